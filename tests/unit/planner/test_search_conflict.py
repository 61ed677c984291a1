"""A service that cannot be: the number that is named is the one that is then accepted, and latency is named where latency is what lacks."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bedplate.assembly import knowledge
from bedplate.planner.asking.questions import Limits, Serve
from bedplate.planner.asking.sizing import Sizing
from bedplate.planner.search.size import size

KNOWN = knowledge(None)


def served(chip: str = "a100", **limits: Any) -> Sizing:
    limits = {"on": (chip,), "terms": ("on-demand",), **limits}
    asked = Serve(model="llama-3.1-70b", isl=2000, osl=300, rate=10, ttft_s=2.0, tpot_s=0.06, limits=Limits(**limits))
    return size(asked, KNOWN)


def least(told: str) -> float:
    found = re.search(r"latency limits is \$?([\d.,]+)(k|M)?, ", told)
    assert found is not None, told
    return float(found[1].replace(",", "")) * {"k": 1e3, "M": 1e6, None: 1.0}[found[2]]


@pytest.mark.parametrize(("limit", "little"), [("max_gpus", 8), ("gpus", 16), ("budget_usd", 1e4)])
def test_the_number_that_a_refusal_names_is_accepted_and_a_little_less_is_not(limit: str, little: float) -> None:
    refused = served(**{limit: little})
    assert refused.best is None
    (told,) = refused.conflict
    enough = least(told)
    kind = type(little)
    assert served(**{limit: kind(enough)}).best is not None
    if limit != "gpus":
        assert served(**{limit: kind(enough * 0.9)}).best is None


def test_where_no_machine_is_quick_enough_the_latency_is_named_and_not_the_number() -> None:
    refused = served("l40s", max_gpus=16)
    assert refused.best is None
    assert all("time" in told for told in refused.conflict)
    assert not any("accelerators" in told for told in refused.conflict)
