"""Runs: the table of all runs that one may see, what completes its filter, and the views that an account saved of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec

from bedplate.catalog.tracking.grammar import spelt
from bedplate.catalog.tracking.overview import Key, What
from bedplate.catalog.tracking.search import Question
from bedplate.catalog.tracking.tracked import Experiment, TrackedRun
from bedplate.core.errors import UserError
from bedplate.interfaces.http.console.about import experiments
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.many_runs import completing
from bedplate.interfaces.http.console.many_runs.runs_asked import GetRuns, Wanted, read
from bedplate.interfaces.http.console.many_runs.runs_table import table
from bedplate.interfaces.http.console.many_runs.sparks import sparks
from bedplate.interfaces.http.console.tables import Link
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, Resource, on_server

_PAGE: Final = 50
_TAKEN_AWAY: Final = 1_000
"""Rows of the CSV."""
_NOTHING_WRONG: Final = dict.fromkeys(("filter", "order", "columns", "token"), "")
_OF_STEPS: Final = 4
Below = Mapping[str, Mapping[Key, float | str]]
_COMMON: Final[tuple[tuple[What, int], ...]] = (("metric", 4), ("param", 4))


def runs(desk: Desk, asked: GetRuns) -> Reply:
    """The table."""
    seen = experiments(desk)
    wanted = read(asked, seen)
    found, token, wrong = _found(desk, asked, wanted)
    overview = desk.catalog.tracking.overview
    listed = overview.runs(found)
    below = _below(desk, listed, seen)
    keys = _keys(desk, found, wanted, below)
    cells = overview.cells(found, keys)
    query = {name: values for name, values in desk.query().items() if name != "csv"}
    shown = table(
        listed, keys, {id: {**below.get(id, {}), **cells.get(id, {})} for id in found}, query=query,
        order=next(iter(wanted.orders), None), token=token, now_ms=desk.now_ms,
        unsorted=frozenset(key for some in below.values() for key in some),
    )  # fmt: skip
    return page(
        desk, "runs.html", title="Runs", at="runs", tables=(shown,), asked=asked, wrong={**_NOTHING_WRONG, **wrong},
        experiments=seen, keys=_told(keys), sparks={} if "csv" in desk.query() else sparks(desk, found, keys),
        marks=_marks(desk, listed, seen, wanted), parent=_parent(desk, asked, seen), count=_count(desk, wanted), views=_views(desk),
        query_first=_first(query),
        may={action: _may(desk, action, listed) for action in ("run.write", "run.delete")}, chosen=set(asked.experiment),
    )  # fmt: skip


def _found(desk: Desk, asked: GetRuns, wanted: Wanted) -> tuple[list[str], str, dict[str, str]]:
    """The runs of the page and the token of the next, and what is wrong; nothing is shown of a search that cannot be read."""
    if "filter" in wanted.wrong:
        return [], "", wanted.wrong
    question = Question(
        experiments=tuple(sorted(one.id for one in wanted.experiments)), clauses=wanted.clauses, orders=wanted.orders,
        stages=wanted.stages, parent=wanted.parent, limit=_TAKEN_AWAY if "csv" in desk.query() else _PAGE, token=asked.token,
    )  # fmt: skip
    try:
        found, token = desk.catalog.tracking.search.page(question)
    except UserError as error:
        return [], "", {**wanted.wrong, "token" if asked.token else "filter": error.what}
    return found, token, wanted.wrong


def _keys(desk: Desk, found: list[str], wanted: Wanted, below: Below) -> list[Key]:
    """The columns asked for, else those that most of the runs have, or their steps."""
    if wanted.columns is not None:
        return list(wanted.columns)
    often = Counter(key for some in below.values() for key in some).most_common(_OF_STEPS)
    of_steps = [key for key, _ in often]
    metrics, params = (desk.catalog.tracking.overview.common(found, what, most) for what, most in _COMMON)
    is_rare = bool(often) and 2 * often[0][1] < len(found)
    return [*metrics, *of_steps, *params] if is_rare else [*of_steps, *metrics, *params]


def _below(desk: Desk, listed: list[TrackedRun], seen: list[Experiment]) -> Below:
    """What the steps of the project's runs measured, as `step.key`, where runs are shown without them."""
    tracking = desk.catalog.tracking
    results = tracking.compared.results([run.id for run in listed if run.origin == "project" and not run.parent][:_PAGE])
    attempts, known = {attempt for some in results.values() for _, attempt in some}, {one.id for one in seen}
    said = tracking.overview.metrics([one.id for one in tracking.overview.runs(sorted(attempts)) if one.experiment in known])
    return {
        run: {Key("metric", f"{step}.{name}"): value for step, attempt in some for name, value in said.get(attempt, ())}
        for run, some in results.items()
    }


def _told(keys: list[Key]) -> list[str]:
    return [spelt(key.entity, key.name) for key in keys]


def _marks(desk: Desk, listed: list[TrackedRun], seen: list[Experiment], wanted: Wanted) -> list[dict[str, Any]]:
    """What stands beside each run: its id, its experiment where there are several, its children and whose child it is."""
    children = desk.catalog.tracking.overview.children([run.id for run in listed])
    names = {one.id: one.name for one in seen} if len(wanted.experiments) > 1 else {}
    return [
        {
            "id": run.id, "experiment": names.get(run.experiment, ""), "children": children.get(run.id, 0),
            "child": bool(run.parent) and not wanted.parent,
        }
        for run in listed
    ]  # fmt: skip


def _parent(desk: Desk, asked: GetRuns, seen: list[Experiment]) -> Link | None:
    """The run whose children are shown, where one may see it."""
    found = desk.catalog.tracking.overview.runs([asked.parent]) if asked.parent else []
    known = {one.id for one in seen}
    return next((Link(run.name or run.id, path_of("runs", run.id)) for run in found if run.experiment in known), None)


def _count(desk: Desk, wanted: Wanted) -> int | None:
    """How many runs there are, where no filter asks for some of them."""
    if wanted.clauses or wanted.wrong:
        return None
    return desk.catalog.tracking.overview.count([one.id for one in wanted.experiments], wanted.stages, wanted.parent)


def _first(query: Mapping[str, Sequence[str]]) -> str:
    """What stands after `?` in the address of the first page of the same search."""
    return urlencode({name: values for name, values in query.items() if name != "token"}, doseq=True)


def _views(desk: Desk) -> list[Link]:
    return [Link(view.name, f"/runs?{view.address}") for view in desk.catalog.views.of(desk.actor.name, "runs")]


def _may(desk: Desk, action: str, listed: list[TrackedRun]) -> bool:
    """Whether the actor may do that to any of the runs that are shown."""
    return any(desk.may(action, Resource("experiment", str(one))) for one in {run.experiment for run in listed})


class GetCompletion(Asks, frozen=True, kw_only=True):
    """What was written up to the caret, in a filter or as the name of a column; of which experiments (none: all)."""

    text: str = ""
    what: Literal["filter", "column"] = "filter"
    experiment: list[str] = msgspec.field(default_factory=list)


def complete(desk: Desk, asked: GetCompletion) -> dict[str, Any]:
    """What may come next: `start` is the character from which on each of `options` may stand."""
    chosen = set(asked.experiment)
    seen = [one.id for one in experiments(desk) if not chosen or str(one.id) in chosen]

    def knows(what: What, part: str) -> list[str]:
        return desk.catalog.tracking.overview.keys(seen, what, part[:100], completing.MOST)

    if asked.what == "column":
        return {"start": 0, "options": completing.columns(asked.text, knows)}
    found = completing.completed(asked.text, knows)
    return {"start": found.start, "options": found.options}


class SaveView(Asks, frozen=True, kw_only=True):
    """A page's name, a name for the view, and what stands after `?` in its address."""

    room: Literal["runs"]
    name: str
    address: str = ""


class DropView(Asks, frozen=True, kw_only=True):
    """A saved view to take away."""

    room: Literal["runs"]
    name: str


def save(desk: Desk, asked: SaveView) -> dict[str, Any]:
    """Keep a view for the actor."""
    desk.catalog.views.save(desk.actor.name, asked.room, asked.name, asked.address, desk.now)
    return {}


def drop(desk: Desk, asked: DropView) -> dict[str, Any]:
    """Take one of the actor's away."""
    desk.catalog.views.drop(desk.actor.name, asked.room, asked.name)
    return {}


ENDPOINTS: Final = (
    Endpoint("GET", "/runs", GetRuns, "experiment.list", on_server, runs),
    Endpoint("GET", "/runs/complete", GetCompletion, "experiment.list", on_server, complete),
    Endpoint("POST", "/views/save", SaveView, "me.write", on_server, save, writes=True),
    Endpoint("POST", "/views/drop", DropView, "me.write", on_server, drop, writes=True),
)
