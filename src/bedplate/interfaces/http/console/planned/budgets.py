"""Where the project's budget stands, for every page that shows it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from bedplate.interfaces.http.door.endpoint import Desk

from .money_view import Budget
from .project_now import look

_WEEK: Final = timedelta(days=7)


def budget(desk: Desk) -> Budget | None:
    """Where the project's budget stands now; None where it has none, or the project has not been looked at yet."""
    whole = look(desk).whole
    if whole is None or not whole.budget:
        return None
    spending, period_s = desk.catalog.spending, float(whole.budget["period_s"])
    began = desk.catalog.money.first() or desk.now.date()
    days = min(max((desk.now.date() - began).days + 1, 1), _WEEK.days)
    return Budget(
        limit=float(whole.budget["limit"]), currency=str(whole.budget["currency"]), period_s=period_s, held=spending.held(desk.now),
        spent=spending.since(desk.now - timedelta(seconds=period_s)), pace_day=spending.since(desk.now - _WEEK) / days,
    )  # fmt: skip
