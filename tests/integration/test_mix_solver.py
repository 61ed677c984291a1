"""The cheapest mix of reserved, on-demand and spot nodes, solved by HiGHS."""

from __future__ import annotations

import pytest

from bedplate.planner.backends.highs import solve
from bedplate.planner.money.mix import Program, Rates, cheapest

LOAD = [10.0] * 400 + [40.0] * 200 + [80.0] * 130


def test_what_is_needed_more_than_half_the_time_is_reserved_at_half_the_price() -> None:
    """At 2 against 4 USD a reserved node pays when busy over 365 of 730 hours: the first 10 are (730 h), the next 30 not (330)."""
    mix = cheapest(LOAD, Rates(reserved=2, on_demand=4), solve)
    assert mix.reserved == pytest.approx(10)
    assert mix.usd == pytest.approx(10 * 730 * 2 + (30 * 330 + 40 * 130) * 4)


def test_spot_takes_the_share_of_the_load_that_it_may() -> None:
    """30 % of 40 nodes over 200 hours and of 80 over 130, each useful hour paid 1.1 times; the base stays reserved."""
    mix = cheapest(LOAD, Rates(reserved=2, on_demand=4, spot=1.2, spot_overhead=1.1, spot_share=0.3), solve)
    assert mix.spot_hours == pytest.approx((12 * 200 + 24 * 130) * 1.1)
    assert mix.reserved == pytest.approx(10)


def test_a_programme_without_an_answer_says_so() -> None:
    with pytest.raises(ValueError, match=r"[Ii]nfeasible"):
        solve(Program(costs=[1.0], rows=[[1.0], [-1.0]], limits=[1.0, -2.0]))
