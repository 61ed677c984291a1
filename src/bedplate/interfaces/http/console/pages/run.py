"""One run: what it is, its curves, what it printed, its files, the runs inside it; each a tab with an address of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bedplate.catalog.tracking.search import Question
from bedplate.catalog.tracking.tracked import Metric
from bedplate.core.units import show_bytes, show_joules, show_seconds, show_usd
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.one_run import curves, files, log, origins, overview
from bedplate.interfaces.http.console.one_run.subject import NOTE, Subject, resource_of, state_of, subject
from bedplate.interfaces.http.console.tables import Column, Link, Table, Value
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, Resource

_INSIDE: Final = 50
_SOME: Final = 8
_TOLD: Final = 5
"""Failures that are told above a run's steps."""
_CHILDREN: Final = (
    Column("run", "Run"), Column("status", "Status", "state"), Column("started", "Started (UTC)", "time"),
    Column("lasted", "Took", "seconds"),
)  # fmt: skip


class GetRun(Asks, frozen=True, kw_only=True):
    """A tab of a run: `q` narrows names, `first` is where a page begins; the rest is of one tab each."""

    id: str
    tab: str = "overview"
    q: str = ""
    first: int = 0
    scale: str = ""
    attempt: str = ""
    at: int = -1
    find: str = ""
    since: int = -1
    back: bool = False
    folder: str = ""
    file: str = ""
    model: str = ""
    token: str = ""


def on_run(desk: Desk, asked: Any) -> Resource:
    """The experiment of the run."""
    return Resource("experiment", str(desk.catalog.tracking.runs.experiment(asked.id)))


def run(desk: Desk, asked: GetRun) -> Reply:
    """The page."""
    found = subject(desk, asked.id)
    resource = resource_of(found)
    inside = desk.catalog.tracking.overview.children([found.id]).get(found.id, 0)
    tabs = _tabs(found, inside)
    tab = asked.tab if asked.tab in [word for word, _ in tabs] else "overview"
    before, after = _around(desk, found)
    facts = _TABS[tab](desk, found, asked)
    active = found.tracked.stage == "active"
    return page(
        desk, f"run_{tab}.html", title=found.name, at="runs", tables=facts.pop("tables", ()), charts=facts.pop("charts", ()),
        it=found, stands=state_of(found.tracked.status), head=_head(desk, found), tabs=tabs, tab=tab, inside=inside, before=before,
        after=after, above=_above(desk, found), asked=asked, note=found.tag(NOTE), base=path_of("runs", found.id),
        may_write=active and desk.may("run.write", resource), may_delete=desk.may("run.delete", resource), **facts,
    )  # fmt: skip


def _plain(found: Subject) -> list[Metric]:
    """What the run measured, without what the machine did meanwhile."""
    return [one for one in found.detail.metrics if not one.key.startswith(curves.SYSTEM)]


def _tabs(found: Subject, inside: int) -> list[tuple[str, str]]:
    tabs = [("overview", "Overview"), ("metrics", f"Metrics ({len(_plain(found)):,})"), ("system", "System and energy")]
    if found.kind != "client":
        tabs.append(("log", "Log"))
    tabs.append(("files", "Files"))
    return [*tabs, ("inside", f"Runs inside ({inside:,})")] if inside else tabs


def _head(desk: Desk, found: Subject) -> list[tuple[str, Value, str]]:
    """The line below the heading: who, when, how long, what was started and where."""
    tracked, source = found.tracked, found.run.command or found.tag("mlflow.source.name")
    who = tracked.made_by or found.tag("mlflow.user")
    facts: list[tuple[str, Value, str]] = [
        ("Began", tracked.started_ms, "time"), ("Takes" if found.is_live else "Took", found.lasted_s(desk.now_ms), "seconds"),
        ("By" if who else "Host", who or found.run.host or None, "text"),
        ("Command" if found.kind != "client" else "Source", source or None, "code"),
        ("On", found.run.target if found.run.target != "client" else "a client's machine", "text"), ("Id", found.id, "code"),
    ]  # fmt: skip
    if found.kind == "attempt" and found.attempt is not None and found.attempt.number > 1:
        facts.insert(0, ("Try", found.attempt.number, "number"))
    return facts


def _above(desk: Desk, found: Subject) -> list[Link]:
    """The way to it: its experiment, and the run that it is inside of, where who asks may see that."""
    experiment = desk.catalog.tracking.experiments.get(found.tracked.experiment)
    way = [Link(experiment.name, f"/runs?experiment={experiment.id}")]
    if found.tracked.parent:
        parents = desk.catalog.tracking.overview.runs([found.tracked.parent])
        way += [Link(one.name or one.id, path_of("runs", one.id)) for one in parents if one.experiment == found.tracked.experiment]
    return way


def _around(desk: Desk, found: Subject) -> tuple[str, str]:
    views = desk.catalog.run_views
    if found.kind == "attempt" and found.attempt is not None:
        return views.around_attempt(found.attempt)
    return views.around(found.tracked)


def _overview(desk: Desk, found: Subject, asked: GetRun) -> dict[str, Any]:
    views, attempt = desk.catalog.run_views, found.attempt if found.kind == "attempt" else None
    record, only = found.run.id, attempt.id if attempt is not None else ""
    step = views.step(record, attempt.step, attempt.part) if attempt is not None else None
    params, tags = found.detail.params, overview.own_tags(found)
    tables = [
        overview.versions(desk, "inputs", views.inputs(record, only), "It was handed no version of the record."),
        overview.versions(desk, "outputs", views.outputs(record, only), "It made no version of the record."),
        overview.datasets_table(found), overview.named_table("params", params, "No params.", 'mlflow.log_param("depth", 7)'),
        overview.named_table("tags", tags, "No tags."), overview.named_table("protocol", overview.protocol_tags(found), "None."),
    ]  # fmt: skip
    facts: dict[str, Any] = {
        "params": overview.said(params, asked.q), "tags": overview.said(tags, asked.q), "git": origins.git(found),
        "environment": origins.environment(found, step), "packages": origins.packages(step), "sources": origins.sources(desk, found),
        "metrics": [(one.key, curves.told(one.value)) for one in _plain(found)[:_SOME]], "step": step,
        "failures": [overview.failure(attempt)] if attempt is not None and attempt.message else [],
    }  # fmt: skip
    if found.kind == "run":
        facts |= {**_steps(desk, found), "tiles": overview.spent_tiles(views.spent(found.id))}
        tables += facts.pop("more")
    elif attempt is not None:
        predicted = views.predicted(record, attempt.step, attempt.part)
        tables.append(overview.predicted_table([one for one in predicted if one.usage == attempt.usage]))
    return {**facts, "tables": tables}


def _steps(desk: Desk, found: Subject) -> dict[str, Any]:
    """The steps of a run, each or counted; `every` is how many lines there are."""
    tallies = desk.catalog.tallies.of_run(found.id)
    predicted = overview.predicted_table(desk.catalog.run_views.predicted(found.id))
    if sum(one.count for one in tallies) > overview.MOST_STEPS:
        table = overview.counts_table(tallies, whole="csv" in desk.query())
        return {"more": [table, predicted], "charts": [], "every": len(tallies)}
    steps = desk.catalog.run_views.steps(found.id, overview.MOST_STEPS)
    failed = overview.failures(steps, desk.catalog.run_views.attempts(found.id)) if any(one.status == "failed" for one in steps) else []
    return {
        "failures": failed[:_TOLD],
        "more": [overview.steps_table(found.id, steps, failed), predicted],
        "charts": [overview.time_line(found, steps)],
        "every": len(steps),
    }


def _metrics(desk: Desk, found: Subject, asked: GetRun, *, system: bool = False) -> dict[str, Any]:
    is_log = curves.need_scale(asked.scale)
    keys = curves.keys(desk, found, system=system, wanted=asked.q, first=asked.first, is_log=is_log)
    return {"keys": keys, "is_log": is_log, "tables": (keys.table,)}


def _system(desk: Desk, found: Subject, asked: GetRun) -> dict[str, Any]:
    facts = _metrics(desk, found, asked, system=True)
    tiles: tuple[tuple[str, str, str], ...] = ()
    if found.kind == "run":
        tiles = overview.spent_tiles(desk.catalog.run_views.spent(found.id))
    elif found.kind == "attempt" and found.attempt is not None and not found.is_live:
        usage = found.attempt.usage
        tiles = (
            ("Time", show_seconds(usage.wall_s), "measured"), ("Processor", show_seconds(usage.cpu_s), "measured"),
            ("Memory at most", show_bytes(usage.peak_bytes), "measured"),
            ("Energy", show_joules(usage.energy_joules), usage.energy_basis),
            ("Cost", show_usd(usage.cost_usd), "time x the target's price"),
        )  # fmt: skip
    return {**facts, "tiles": tiles}


def _log(desk: Desk, found: Subject, asked: GetRun) -> dict[str, Any]:
    wanted = log.Asked(attempt=asked.attempt, at=asked.at, find=asked.find, since=asked.since, back=asked.back)
    return {"view": log.log_view(desk, found, wanted), "goes_on": {log.GOES_ON: 50, log.WAITS: 500}}


def _files(desk: Desk, found: Subject, asked: GetRun) -> dict[str, Any]:
    view = files.files_view(desk, found, model=asked.model, folder=asked.folder, file=asked.file, first=asked.first)
    shown = view.file.table if view.file is not None else view.table
    return {"view": view, "tables": () if shown is None else (shown,)}


def _inside(desk: Desk, found: Subject, asked: GetRun) -> dict[str, Any]:
    """Runs inside it, the newest first, as links."""
    question = Question(experiments=(found.tracked.experiment,), parent=found.id, limit=_INSIDE, token=asked.token)
    ids, token = desk.catalog.tracking.search.page(question)
    rows: list[tuple[Value, ...]] = []
    for one in desk.catalog.tracking.overview.runs(ids):
        ended = desk.now_ms if one.ended_ms is None else one.ended_ms
        link = Link(one.name or one.id, path_of("runs", one.id))
        rows.append((link, state_of(one.status), one.started_ms, max(ended - one.started_ms, 0) / 1000))
    more = f"?tab=inside&token={token}" if token else ""
    return {"tables": (Table(name="inside", columns=_CHILDREN, rows=rows, more=more, empty="No runs inside."),)}


_TABS: Final[dict[str, Callable[[Desk, Subject, GetRun], dict[str, Any]]]] = {
    "overview": _overview, "metrics": _metrics, "system": _system, "log": _log, "files": _files, "inside": _inside,
}  # fmt: skip

ENDPOINTS: Final = (Endpoint("GET", "/runs/{id}", GetRun, "run.read", on_run, run),)
