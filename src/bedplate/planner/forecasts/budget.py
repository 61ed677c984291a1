"""Budgets: whether what was spent in a period, and what is about to be, stays within a project's `budget=`. Pure.

Spending is the record's own: wall time of attempts at the target's price. A plan is refused where even the low end of
its forecast breaks the budget; steps without history count as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.core.records import Forecast, Record
from bedplate.core.units import Budget


class Standing(Record, frozen=True, kw_only=True):
    """Where a budget stands: all in its currency; `low` and `high` are what the plan should cost."""

    limit: float
    spent: float
    low: float = 0.0
    high: float = 0.0
    currency: str = "USD"

    @property
    def refusal(self) -> str:
        """Why the plan may not begin; empty where it may."""
        gone = f"{self.spent:.2f} of {self.limit:.2f} {self.currency} are spent or set aside"
        if self.spent >= self.limit:
            return gone
        if self.spent + self.low > self.limit:
            return f"{gone}, and this should cost {self.low:.2f} or more"
        return ""


def standing(budget: Budget, spent: float, costs: Sequence[Forecast]) -> Standing:
    """Where the budget stands before a plan whose steps have these costs (`cost_usd` forecasts)."""
    known = [cost for cost in costs if cost.basis != "unknown"]
    return Standing(
        limit=float(budget.money.amount),
        spent=spent,
        low=sum(cost.low for cost in known),
        high=sum(cost.high for cost in known),
        currency=budget.money.currency,
    )
