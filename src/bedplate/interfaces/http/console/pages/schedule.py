"""Schedule: what is due now and next, what ran, was missed or overlapped and why, and what a budget holds back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from bedplate.catalog.due import Occurrence
from bedplate.core.clock import iso
from bedplate.interfaces.http.console.about import seen_project
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.planned.budgets import budget
from bedplate.interfaces.http.console.planned.project_now import look
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Tone, Value
from bedplate.interfaces.http.door.endpoint import SERVER, Asks, Desk, Endpoint, Reply, on_server
from bedplate.pipeline.whole import Whole

_PAGE: Final = 50
_DAYS: Final = 7
_DRAWN: Final = 2000
_TONES: Final[dict[str, Tone]] = {
    "running": "now", "done": "good", "failed": "bad", "stopped": "bad", "missed": "warn", "overlapped": "warn", "refused": "bad",
}  # fmt: skip
_HELD: Final = ("refused", "stopped")
_BY: Final = {"schedule": "schedule", "data": "new data", "drift": "drift", "labels": "labels", "keys": "missing parts"}
_ACTIONS: Final = {"run": State("due", "now"), "record": State("passed over", "warn"), "wait": State("waits", "off")}
_NOW: Final = (
    Column("step", "Step"), Column("by", "By"), Column("how", "Status", "state"), Column("why", "Why", "words"),
    Column("next", "Next (UTC)", "time"),
)  # fmt: skip
_PAST: Final = (
    Column("decided", "Decided (UTC)", "time"), Column("step", "Step"), Column("by", "By"), Column("became", "Became", "state"),
    Column("why", "Why", "words"), Column("due", "Was due (UTC)", "time"), Column("tries", "Tries", "number"), Column("run", "Run"),
)  # fmt: skip


class GetSchedule(Asks, frozen=True, kw_only=True):
    """A page of decisions, of one status or all."""

    status: str = ""
    until: str = ""
    skipped: int = 0


def schedule(desk: Desk, asked: GetSchedule) -> Reply:
    """Due work as it stands and as it was."""
    if seen_project(desk) is None:
        return page(desk, "nothing.html", title="Schedule", at="schedule", has_project=desk.beside is not None)
    seen, tallies = look(desk), desk.catalog.tallies
    whole = seen.whole
    status = asked.status if asked.status in _TONES else ""
    skipped = min(max(asked.skipped, 0), 1_000_000)
    found = tallies.decisions(status, asked.until, skipped, _PAGE + 1)
    until = asked.until or (iso(found[0].decided_at) if found else "")
    more = "?" + urlencode({"status": status, "until": until, "skipped": skipped + _PAGE}) if len(found) > _PAGE else ""
    past = Table(
        name="decisions", columns=_PAST, rows=[_decision(one) for one in found[:_PAGE]], more=more,
        empty="Nothing was due yet.", command="bedplate plan --due",
    )  # fmt: skip
    counts = tallies.decided(desk.now - timedelta(days=_DAYS))
    return page(
        desk, "schedule.html", title="Schedule", at="schedule", tables=(past, _standing(whole)), charts=(_days(desk),), seen=seen,
        has_project=desk.beside is not None, counts=counts, chosen=status, statuses=tuple(_TONES), days=_DAYS, budget=budget(desk),
        held=[one for word in _HELD for one in tallies.decisions(word, limit=3)],
        tones={word: State(word, tone) for word, tone in _TONES.items()},
        due=[one for one in whole.due if one.action == "run"] if whole is not None else [], coming=_coming(whole),
        may_run=desk.beside is not None and desk.may("due.run", SERVER), begun=desk.beside.begun if desk.beside is not None else None,
    )  # fmt: skip


def _standing(whole: Whole | None) -> Table:
    """What can become due, and how that stands."""
    rows: list[tuple[Value, ...]] = [
        (Link(one.step, "/?" + urlencode({"step": one.step})), _BY[one.kind], _ACTIONS[one.action], one.reason, one.next)
        for one in sorted(whole.due if whole is not None else (), key=lambda one: ("run", "record", "wait").index(one.action))
    ]  # fmt: skip
    return Table(
        name="standing", columns=_NOW, rows=rows, command='@project.ingest(every="1 day")',
        empty="Nothing here can become due: every=, on_drift=, label_delay=, each=daily(...) or a source make it so.",
    )  # fmt: skip


def _decision(one: Occurrence) -> tuple[Value, ...]:
    run = Link(one.run, path_of("runs", one.run)) if one.run else None
    step = Link(one.step, "/?" + urlencode({"step": one.step}))
    return one.decided_at, step, _BY[one.kind], State(one.status, _TONES[one.status]), one.reason, one.due_at, one.tries, run


def _coming(whole: Whole | None) -> Any:
    """What will be due next, by the clock."""
    waiting = [one for one in (whole.due if whole is not None else ()) if one.next is not None and one.action != "run"]
    return min(waiting, key=lambda one: one.next.timestamp() if one.next is not None else 0.0, default=None)


def _days(desk: Desk) -> Chart:
    """How the last days' decisions ended, by the hour of the day that they were decided in."""
    since = desk.now - timedelta(days=_DAYS)
    found = [one for one in desk.catalog.tallies.decisions(limit=_DRAWN) if one.decided_at >= since]
    counts: dict[str, dict[int, int]] = {}
    for one in found:
        hour = int(one.decided_at.timestamp() // 3600 * 3600)
        mine = counts.setdefault(one.status, {})
        mine[hour] = mine.get(hour, 0) + 1
    return Chart(
        name="days", title=f"Decisions of the last {_DAYS} days, by the hour", x=Axis("time (UTC)", "time"), y=Axis("decisions", "whole"),
        series=[Series(word, sorted(hours), [float(hours[hour]) for hour in sorted(hours)]) for word, hours in counts.items()],
        draws="scatter",
    )  # fmt: skip


ENDPOINTS: Final = (Endpoint("GET", "/schedule", GetSchedule, "experiment.list", on_server, schedule),)
