"""The choice of a service, simulated: its percentiles decide, and what they ask for is said."""

from __future__ import annotations

import msgspec
import pytest

from bedplate.assembly import knowledge
from bedplate.planner.asking.questions import Limits, Serve
from bedplate.planner.search import size

KNOWN = knowledge()
LIMITS = Limits(on=("H100-SXM5-80GB",), terms=("on-demand",))
ASKED = Serve(model="Llama-3.1-70B", isl=1000, osl=300, rate=1, limits=LIMITS)


def test_percentiles_of_the_choice_are_simulated_and_keep_to_the_limits() -> None:
    answer = size(msgspec.structs.replace(ASKED, rate=20, tpot_s=0.05, ttft_s=2.0), KNOWN)
    for design in (answer.best, answer.runner_up):
        if design is not None:
            assert design.simulated is not None
            assert design.quantities["ttft_p99_s"].value == design.simulated.ttft_s.p99 <= 2.0
            assert design.quantities["tpot_p99_s"].value == design.simulated.tpot_s.p99 <= 0.05
    assert any("simulated requests" in told for told in answer.reasons)


def test_more_instances_where_the_simulation_breaks_a_limit_and_the_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed form that takes the 99th percentile for less than the mean asks for too few."""
    for room in ("carrying", "serving"):
        monkeypatch.setattr(f"bedplate.planner.search.{room}.TAIL_TPOT", 0.7)
    answer = size(msgspec.structs.replace(ASKED, rate=200, tpot_s=0.03, ttft_s=3.0, quiet_rate=200), KNOWN)
    assert answer.best is not None
    assert answer.best.simulated is not None
    found = answer.best.simulated
    assert found.asked < found.instances == answer.best.layout["instances"]
    assert answer.best.layout["instances when quiet"] == found.instances
    assert found.tpot_s.p99 <= 0.03
    assert any(told.startswith(f"{found.instances} instances, where the closed form asked for {found.asked}") for told in answer.reasons)


def test_a_limit_that_the_longest_prompts_break_alone_is_the_conflict() -> None:
    """No number of instances reads a prompt of five times the mean sooner."""
    tight = msgspec.structs.replace(ASKED, isl=8000, ttft_s=0.2)
    assert size(tight, KNOWN).conflict[0].startswith("time to first token")


def test_lengths_that_scatter_more_never_take_less_money() -> None:
    """The longest prompts and the answers beside them decide what 99 of 100 get."""
    costs = []
    for cv in (0.0, 0.5, 1.0):
        best = size(msgspec.structs.replace(ASKED, rate=20, tpot_s=0.04, ttft_s=0.8, length_cv=cv), KNOWN).best
        costs.append(best.quantities["cost_usd"].value if best else float("inf"))
    assert costs == sorted(costs)


def test_an_exact_number_of_accelerators_is_not_raised() -> None:
    """What more instances would do is another question: the two limits contradict each other."""
    answer = size(msgspec.structs.replace(ASKED, rate=20, tpot_s=0.02, ttft_s=2.0, limits=msgspec.structs.replace(LIMITS, gpus=8)), KNOWN)
    assert answer.best is None or answer.best.n_accel == 8
