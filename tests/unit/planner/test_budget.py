"""Budgets refuse what they cannot bear, and nothing else."""

from __future__ import annotations

from bedplate.core.records import Forecast
from bedplate.core.units import budget
from bedplate.planner.forecasts.budget import standing

FIVE = budget("5 USD/month")


def _cost(low: float, high: float) -> Forecast:
    return Forecast(quantity="cost_usd", middle=(low + high) / 2, low=low, high=high, basis="history", samples=3)


def test_a_plan_within_the_budget_may_begin() -> None:
    """Two dollars spent and at least one to come stay under five, even if it may cost four."""
    stands = standing(FIVE, 2.0, [_cost(1.0, 4.0)])
    assert stands.refusal == ""
    assert stands.high == 4.0


def test_a_spent_budget_refuses_with_its_figures() -> None:
    """At the limit nothing begins."""
    assert "5.00 of 5.00 USD are spent" in standing(FIVE, 5.0, []).refusal


def test_a_plan_that_must_break_the_budget_is_refused_before_it_begins() -> None:
    """Even the low end is too much."""
    assert "cost 3.50 or more" in standing(FIVE, 2.0, [_cost(1.5, 2.0), _cost(2.0, 9.0)]).refusal


def test_unknown_costs_count_as_nothing() -> None:
    """A step without history cannot refuse a plan."""
    unknown = Forecast(quantity="cost_usd", middle=9.0, low=9.0, high=9.0, basis="unknown")
    assert standing(FIVE, 0.0, [unknown]).refusal == ""
