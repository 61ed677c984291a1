"""What the shipped alerts say to type next can be typed: each verb is one of ours, and takes the options that are named."""

from __future__ import annotations

import re
from pathlib import Path

import bedplate
from bedplate.interfaces.cli import load
from bedplate.interfaces.cli.verbs import VERBS

ALERTS = Path(bedplate.__file__).parent / "monitoring" / "alerts.yml"


def test_what_an_alert_says_to_type_is_a_command() -> None:
    known = {verb.name: verb for verb in VERBS}
    typed = re.findall(r"bedplate ([a-z]+)((?: --[a-z-]+)*)", "\n".join(re.findall(r"next: (.*)", ALERTS.read_text())))
    assert len(typed) >= 5
    for verb, options in typed:
        taken = {name for parameter in load(known[verb]).params for name in parameter.opts}
        assert set(options.split()) <= taken, f"bedplate {verb}{options}"
