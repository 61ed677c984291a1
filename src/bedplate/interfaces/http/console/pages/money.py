"""Money and energy: what a period took by stage, step, service, day and run, against the project's budget."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final
from urllib.parse import urlencode

from bedplate.interfaces.http.console.about import seen_project
from bedplate.interfaces.http.console.frame import page
from bedplate.interfaces.http.console.planned.budgets import budget
from bedplate.interfaces.http.console.planned.money_view import charts, forecast, summed, tables
from bedplate.interfaces.http.console.planned.project_now import look
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, invalid, on_server

_PAGE: Final = 50
_MOST_DAYS: Final = 366
_MOST_SKIP: Final = 1_000_000


class GetMoney(Asks, frozen=True, kw_only=True):
    """A month (2026-11), or the days from `since` to `until`, both with it; and how many runs are passed over."""

    month: str = ""
    since: str = ""
    until: str = ""
    skip: int = 0


def money(desk: Desk, asked: GetMoney) -> Reply:
    """The page; for who may not see the project, and where there is none, what to do about it."""
    seen = seen_project(desk)
    if seen is None:
        return page(desk, "nothing.html", title="Money and energy", at="money", has_project=desk.beside is not None)
    first, last = _period(asked, desk.now.date())
    took = desk.catalog.money.took(first, last)
    skip = min(max(asked.skip, 0), _MOST_SKIP)
    runs = desk.catalog.money.runs(first, last, limit=_PAGE + 1, skip=skip)
    period = {"month": asked.month} if not asked.since else {"since": asked.since, "until": asked.until}
    more = "?" + urlencode({**period, "skip": skip + _PAGE}) if len(runs) > _PAGE else ""
    whole = summed(took)
    return page(
        desk, "money.html", title="Money and energy", at="money", tables=tables(took, runs[:_PAGE], more), project=seen.name, whole=whole,
        drawn=charts(took, first, last) if took else [], first=first, until=last - timedelta(days=1), budget=budget(desk),
        is_looking=look(desk).is_looking, comes_to=forecast(whole.usd, first, last, desk.now), began=desk.catalog.money.first(),
        is_month=not asked.since,
        before=f"{first - timedelta(days=1):%Y-%m}", after=f"{last:%Y-%m}" if last <= desk.now.date() else "",
    )  # fmt: skip


def _period(asked: GetMoney, today: date) -> tuple[date, date]:
    """The first day, and the day after the last one. Raises Fault for what is no period."""
    try:
        if asked.since or asked.until:
            first = date.fromisoformat(asked.since or asked.until)
            last = date.fromisoformat(asked.until or asked.since) + timedelta(days=1)
        else:
            first = date.fromisoformat(f"{asked.month}-01") if asked.month else today.replace(day=1)
            last = (first + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError):
        raise invalid("that is no period: write ?month=2026-11, or ?since=2026-11-03&until=2026-11-09") from None
    if first == date.min or not timedelta(0) < last - first <= timedelta(days=_MOST_DAYS):
        raise invalid(f"a period has 1 to {_MOST_DAYS} days, its last day after its first")
    return first, last


ENDPOINTS: Final = (Endpoint("GET", "/money", GetMoney, "experiment.list", on_server, money),)
