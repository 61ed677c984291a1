"""Forecasts of a step from its history: ranges, basis, scaling, and the coverage that they promise."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.records import Forecast, Usage
from bedplate.planner.forecasts.history import TrackRecord, cost, coverage, forecast, join


def walls(values: list[float]) -> list[Usage]:
    return [Usage(wall_s=v) for v in values]


def test_without_history_the_basis_is_unknown() -> None:
    assert forecast([], "wall_s").basis == "unknown"
    assert forecast([Usage()], "wall_s").samples == 0, "a zero was never recorded"


def test_one_attempt_gives_a_wide_range_of_factors() -> None:
    one = forecast(walls([10.0]), "wall_s")
    assert one.middle == pytest.approx(10.0)
    assert one.low < 10 / 3
    assert one.high > 10 * 3
    assert one.high / 10 == pytest.approx(10 / one.low)


@given(st.lists(st.floats(1e-4, 1e9), min_size=1, max_size=40))
def test_the_range_holds_the_middle_and_the_middle_lies_in_the_history(values: list[float]) -> None:
    one = forecast(walls(values), "wall_s")
    assert 0 < one.low <= one.middle <= one.high
    assert min(values) * 0.999 <= one.middle <= max(values) * 1.001
    assert one.samples == min(len(values), 20)


def test_more_attempts_give_a_narrower_range() -> None:
    dice = random.Random(5)
    histories = [[math.exp(dice.gauss(2, 0.25)) for _ in range(20)] for _ in range(200)]
    widths = [sum(math.log(f.high / f.low) for f in (forecast(walls(h[:n]), "wall_s") for h in histories)) for n in (1, 2, 4, 8, 20)]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("n", [10, 15, 20, 40])
@pytest.mark.parametrize("spread", [0.1, 0.4, 1.0])
def test_from_ten_attempts_on_the_ranges_hold_four_in_five(n: int, spread: float) -> None:
    dice = random.Random(n * 100 + int(spread * 10))
    pairs = []
    for _ in range(1500):
        values = [math.exp(dice.gauss(1.0, spread)) for _ in range(n + 1)]
        pairs.append((forecast(walls(values[:n]), "wall_s"), values[n]))
    record = coverage(pairs)
    assert record.share is not None
    assert 0.76 <= record.share <= 0.85


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9])
def test_below_ten_attempts_the_ranges_hold_at_least_four_in_five_for_steady_steps(n: int) -> None:
    dice = random.Random(n)
    pairs = []
    for _ in range(800):
        values = [math.exp(dice.gauss(1.0, 0.4)) for _ in range(n + 1)]
        pairs.append((forecast(walls(values[:n]), "wall_s"), values[n]))
    share = coverage(pairs).share
    assert share is not None
    assert share >= 0.8


def test_recent_attempts_weigh_more() -> None:
    assert forecast(walls([10.0] * 9 + [1.0] * 8), "wall_s").middle == pytest.approx(1.0)


def test_sizes_are_used_where_history_shows_that_they_matter() -> None:
    dice = random.Random(1)
    sizes = [1e6 * 2**i for i in range(8)]
    usages = walls([s / 1e6 * math.exp(dice.gauss(0, 0.05)) for s in sizes])
    scaled = forecast(usages, "wall_s", sizes, 3e6)
    assert scaled.middle == pytest.approx(3.0, rel=0.15)
    assert scaled.high / scaled.low < 4
    far = forecast(usages, "wall_s", sizes, 1e9)
    assert far.middle == pytest.approx(1000, rel=0.3)
    assert far.high / far.low > scaled.high / scaled.low, "outside the sizes seen, the range widens"


def test_sizes_are_left_alone_where_they_explain_nothing() -> None:
    dice = random.Random(2)
    usages = walls([math.exp(dice.gauss(1, 0.2)) for _ in range(10)])
    sizes = [dice.uniform(1e6, 1e8) for _ in range(10)]
    assert forecast(usages, "wall_s", sizes, 1e9) == forecast(usages, "wall_s")
    with pytest.raises(ValueError, match="sizes"):
        forecast(usages, "wall_s", [1.0], 1.0)


def test_energy_keeps_its_basis() -> None:
    assumed = [Usage(energy_joules=5.0, energy_basis="assumed"), Usage(energy_joules=6.0, energy_basis="measured")]
    assert forecast(assumed, "energy_joules").basis == "assumed"
    assert forecast(assumed[1:], "energy_joules").basis == "history"
    assert forecast([Usage(energy_joules=5.0)], "energy_joules").basis == "unknown"


def test_coverage_counts_only_promises() -> None:
    promise = Forecast(quantity="wall_s", middle=10, low=5, high=20, basis="history", samples=3)
    none = Forecast(quantity="wall_s", middle=0, low=0, high=0, basis="unknown")
    record = coverage([(promise, 8.0), (promise, 40.0), (none, 3.0)])
    assert (record.n, record.inside, record.share) == (2, 1, 0.5)
    assert record.median_error == pytest.approx((0.25 + 0.75) / 2)
    assert coverage([]) == TrackRecord()
    assert join([record, record, TrackRecord()]) == TrackRecord(n=4, inside=2, share=0.5, median_error=0.5)


def test_cost_is_wall_time_at_a_price() -> None:
    wall = Forecast(quantity="wall_s", middle=1800, low=900, high=3600, basis="history", samples=4)
    money = cost(wall, 2.0)
    assert (money.quantity, money.low, money.middle, money.high) == ("cost_usd", 0.5, 1.0, 2.0)
