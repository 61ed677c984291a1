"""A service that cannot be: the number that is named is the one that is then accepted, and latency is named where latency is what lacks."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from bedplate.assembly import knowledge
from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Limits, Serve
from bedplate.planner.asking.sizing import Design, Sizing
from bedplate.planner.facts.estimate import exact
from bedplate.planner.search.pick import Constraint
from bedplate.planner.search.serving_checks import runs
from bedplate.planner.search.serving_conflict import too_slow
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


def test_all_accelerators_of_a_paid_node_are_used_for_the_same_money() -> None:
    """One request a second takes fewer than 8 H100, but a node of 8 is paid for: all of it answers, and sooner."""
    asked = Serve(model="llama-3.1-70b", isl=2000, osl=300, rate=1, limits=Limits(on=("p5.48xlarge",), terms=("on-demand",)))
    found = size(asked, KNOWN).best
    assert found is not None
    assert (found.n_accel, found.n_nodes) == (8, 1)


def test_the_parts_of_an_iteration_with_the_prompts_of_others_last_as_long_as_a_token() -> None:
    found = served().best
    assert found is not None
    iteration = next(one for one in found.breakdowns if one.name == "iteration")
    assert iteration.total == pytest.approx(found.quantities["tpot_s"].value)
    assert "prompts" in {part.name for part in iteration.parts}


def test_a_service_says_what_a_month_costs_and_how_well_its_slowest_are_known() -> None:
    found = served().best
    assert found is not None
    assert found.simulated is not None
    assert found.quantities["usd_per_month"].value == pytest.approx(found.quantities["cost_usd"].value)
    first = found.simulated.ttft_s
    assert first.p90 < first.p99_low <= first.p99 <= first.p99_high


def test_of_machines_that_are_too_slow_it_is_said_by_how_much() -> None:
    """By hand: 66 ms of 60 are 10 % beyond; what is quick enough is not named."""
    limit = Constraint(name="time per token", quantity="tpot_p99_s", limit=0.06, told="within 60 ms")
    designs = [
        Design(name=name, accelerator=name, quantities={"tpot_p99_s": exact(seconds)})
        for name, seconds in (("slow", 0.09), ("slow", 0.066), ("quick", 0.05))
    ]
    assert [told.split(": ")[1] for told in too_slow(designs, [limit])] == ["slow (10% beyond)"]


def test_weights_narrower_than_any_unit_of_the_chip_are_served_only_where_the_engine_widens_them() -> None:
    chips = KNOWN.systems.accelerators
    ampere, tpu, hopper = chips["A100-SXM4-80GB"], chips["TPU-v5p"], chips["H100-SXM5-80GB"]
    assert [runs("vllm", "fp8", chip) for chip in (ampere, tpu, hopper)] == [True, False, True]
    assert [runs("tensorrt-llm", "fp8", chip) for chip in (ampere, tpu, hopper)] == [False, False, True]
    asked = Serve(model="llama-3.1-8b", isl=500, osl=100, rate=1, precision="fp8", limits=Limits(on=("a100",)))
    assert any("weights alone are kept in it" in told for told in size(asked, KNOWN).warnings)
    with pytest.raises(UserError, match="on none of TPU-v5p"):
        size(msgspec.structs.replace(asked, limits=Limits(on=("TPU-v5p",))), KNOWN)
