"""The platform's metrics, and the rules and dashboard that ship with them: checked by Prometheus' own tool, against what is served."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from real_servers import absent
from trackers import Tracker, tracker

import bedplate
from bedplate.interfaces.http import metrics as services
from bedplate.interfaces.http.up import counts, standing

__all__ = ["tracker"]
MONITORING = Path(bedplate.__file__).parent / "monitoring"
NAME = re.compile(r"bedplate_[a-z_]+")


def known() -> set[str]:
    """Every metric that the code names, as Prometheus shows it."""
    source = "".join(Path(str(module.__file__)).read_text() for module in (services, counts, standing))
    named = set(re.findall(r'"(bedplate_[a-z_]+)"', source))
    return named | {f"{name}{end}" for name in named for end in ("_total", "_bucket", "_count", "_sum", "_info")}


def test_the_rules_pass_promtool(tmp_path: Path) -> None:
    """Proves that Prometheus reads the rules, and that one of them fires on what it is for."""
    if shutil.which("promtool") is None:
        absent("prometheus")
    subprocess.run(["promtool", "check", "rules", MONITORING / "alerts.yml"], check=True, capture_output=True)
    (tmp_path / "test.yml").write_text(
        f"""
rule_files: [{MONITORING / "alerts.yml"}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'bedplate_drift_seconds{{service="late"}}', values: '60x10'}}
      - {{series: 'bedplate_service_silent_seconds{{service="late", url="u"}}', values: '5x10'}}
    alert_rule_test:
      - {{eval_time: 5m, alertname: BedplateDrift, exp_alerts: [{{exp_labels: {{severity: warn, service: late}},
          exp_annotations: {{summary: what late gets has drifted, next: bedplate watch late}}}}]}}
      - {{eval_time: 5m, alertname: BedplateServiceSilent, exp_alerts: []}}
"""
    )
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "test.yml"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", ["alerts.yml", "dashboard.json"])
def test_rules_and_dashboard_ask_for_metrics_that_there_are(file: str) -> None:
    """Proves that no rule and no panel waits for a name that nothing has."""
    asked = set(NAME.findall((MONITORING / file).read_text()))
    assert asked
    assert asked <= known()


def test_the_dashboard_is_one() -> None:
    """Proves that each panel has a place and asks the source that is chosen."""
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels) == len({panel["id"] for panel in panels})
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {"${source}"}


def test_a_server_shows_how_everything_stands(tracker: Callable[..., Tracker]) -> None:
    """Proves that the record's numbers are read behind the gate, in the form that promtool accepts."""
    up = tracker()
    request = urllib.request.Request(f"{up.url}/metrics", headers={"Authorization": f"Bearer {up.token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    assert "bedplate_record_readable 1.0" in text
    assert re.search(r'bedplate_service_silent_seconds\{service="up",url="http://127.0.0.1:\d+"\} \d', text)
    if shutil.which("promtool") is not None:
        done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
