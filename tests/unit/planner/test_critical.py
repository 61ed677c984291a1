"""The wall time of a plan: chains, branches, processors and honest ranges."""

from __future__ import annotations

import math
import random

import pytest

from bedplate.core.records import Forecast
from bedplate.planner.forecasts.critical import placed, wall_time


def takes(middle: float, factor: float = 1.0) -> Forecast:
    return Forecast(quantity="wall_s", middle=middle, low=middle / factor, high=middle * factor, basis="history", samples=9)


DIAMOND = {"b": ["a"], "c": ["a"], "d": ["b", "c"]}
TIMES = {"a": takes(1), "b": takes(5), "c": takes(3), "d": takes(2)}


def test_branches_run_beside_each_other_where_processors_allow() -> None:
    assert wall_time(TIMES, DIAMOND, slots=2).total.middle == pytest.approx(8)
    assert wall_time(TIMES, DIAMOND, slots=1).total.middle == pytest.approx(11)
    assert wall_time(TIMES, DIAMOND, slots=2).path == ("a", "b", "d")


def test_a_step_that_needs_two_processors_waits_for_both() -> None:
    assert wall_time(TIMES, DIAMOND, cpu={"b": 2}, slots=2).total.middle == pytest.approx(11)
    assert wall_time(TIMES, DIAMOND, cpu={"b": 64}, slots=2).total.middle == pytest.approx(11), "more than there is: all of it"


def test_one_step_keeps_its_own_range() -> None:
    total = wall_time({"a": takes(10, 2.0)}, {}).total
    assert (total.low, total.middle, total.high) == (pytest.approx(5, rel=0.05), pytest.approx(10, rel=0.02), pytest.approx(20, rel=0.05))


def test_a_long_chain_is_relatively_surer_than_one_step_and_holds_four_in_five() -> None:
    steps = {f"s{i:02}": takes(1, 2.0) for i in range(30)}
    chain = {f"s{i:02}": [f"s{i - 1:02}"] for i in range(1, 30)}
    total = wall_time(steps, chain).total
    assert total.high / total.low < 2
    dice = random.Random(3)
    spread = math.log(2.0) / 1.2816
    sums = [sum(math.exp(dice.gauss(0, spread)) for _ in range(30)) for _ in range(2000)]
    assert 0.74 <= sum(total.low <= s <= total.high for s in sums) / 2000 <= 0.87


def test_steps_without_a_forecast_are_named_and_the_total_says_unknown() -> None:
    unknown = Forecast(quantity="wall_s", middle=0, low=0, high=0, basis="unknown")
    result = wall_time({"a": takes(2), "b": None, "c": unknown}, {"b": ["a"], "c": ["gone"]})
    assert result.unknown == ("b", "c")
    assert result.total.basis == "unknown"
    assert result.total.middle == pytest.approx(2)


def test_an_empty_plan_takes_no_time_and_a_cycle_is_refused() -> None:
    assert wall_time({}, {}).total.high == 0
    with pytest.raises(ValueError, match="wait for each other"):
        wall_time({"a": takes(1), "b": takes(1)}, {"a": ["b"], "b": ["a"]})


def test_the_same_seed_gives_the_same_answer() -> None:
    steps = {n: takes(3, 1.7) for n in "abcdef"}
    assert wall_time(steps, {"f": list("abcde")}, slots=2) == wall_time(steps, {"f": list("abcde")}, slots=2)


def test_a_schedule_says_when_each_step_starts_and_what_the_longest_chain_takes() -> None:
    """With two processors two steps run side by side, with one they follow each other; the chain is the same; the unknown takes no time."""
    both, one = placed(TIMES, DIAMOND, {}, 2), placed(TIMES, DIAMOND, {}, 1)
    assert both.spans["b"][0] == both.spans["c"][0] == both.spans["a"][1]
    assert one.spans["b"][0] != one.spans["c"][0]
    assert both.chain_s == one.chain_s == pytest.approx(max(end for _, end in both.spans.values()))
    assert placed({"a": None}, {}, {}, 1).spans == {"a": (0.0, 0.0)}
