"""Project: the graph of its steps and how each stands; one step in detail; parts by the page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from bedplate.core.errors import NotFound
from bedplate.core.records import Attempt, Forecast, Step
from bedplate.interfaces.http.beside.begun import Doing
from bedplate.interfaces.http.console.about import seen_project
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.graphs import Graph
from bedplate.interfaces.http.console.one_run.subject import state_of
from bedplate.interfaces.http.console.planned.project_now import Picture, picture
from bedplate.interfaces.http.console.planned.step_states import ACTIONS, RECORDED, TONES, Stand, counted, drawn
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Value
from bedplate.interfaces.http.door.endpoint import SERVER, Asks, Desk, Endpoint, Reply, missing, on_server
from bedplate.pipeline.plan import forecasts
from bedplate.pipeline.whole import Placing

_TAIL: Final = 6000
"""Bytes of a log that are shown here; the run's page has all of it."""
_VERSIONS: Final = 6
_PARTS: Final = 100
_STEPS_SHOWN: Final = 300
_STEPS: Final = (
    Column("step", "Step"), Column("stage", "Stage"), Column("state", "Status", "state"), Column("why", "Why", "words"),
    Column("needs", "Needs"), Column("parts", "Parts", "number"),
)  # fmt: skip
_PART_COLUMNS: Final = (Column("part", "Part", "code"), Column("state", "Status", "state"), Column("why", "Why", "words"))


class GetProject(Asks, frozen=True, kw_only=True):
    """The project, with one of its steps; of very many steps a page of the table."""

    step: str = ""
    skipped: int = 0


class GetParts(Asks, frozen=True, kw_only=True):
    """Parts of a step from one on, all or of one state."""

    step: str
    after: str = ""
    state: str = ""


def project(desk: Desk, asked: GetProject) -> Reply:
    """The project's page; for who may not see the project, and where there is none, what to do about it."""
    seen = seen_project(desk)
    if seen is None:
        return page(desk, "nothing.html", title="Project", at="project", has_project=desk.beside is not None)
    shown = picture(desk)
    chosen = shown.by_name.get(asked.step)
    if asked.step and chosen is None and not shown.seen.is_looking:
        raise missing("the project has no step of that name")
    detail = _detail(desk, shown, chosen) if chosen is not None else None
    tables = (_steps(shown, asked), *([detail["versions"]] if detail is not None else ()))
    return page(
        desk, "project.html", title=seen.name, at="project", tables=tables, drawing=drawn(shown.stood, asked.step), shown_now=shown,
        counts=[(State(state, TONES[state]), count) for state, count in counted(shown.stood).items()],
        has_project=desk.beside is not None, may_run=desk.beside is not None and desk.may("project.run", SERVER),
        may_cancel=desk.may("project.run", SERVER), detail=detail,
        last_state=state_of(shown.last.status) if shown.last is not None else None,
        description=shown.seen.whole.description if shown.seen.whole is not None else "",
        bits={one.name: _bit(shown, one) for one in shown.stood if one.state == "running"},
    )  # fmt: skip


def graph(desk: Desk, asked: GetProject) -> Reply:
    """The drawing alone, for a page that is open."""
    shown = picture(desk) if seen_project(desk) is not None else None
    found = drawn(shown.stood, asked.step) if shown is not None else Graph(name="project", title="", nodes=(), edges=())
    return Reply(body=found.json().encode("utf-8", "replace"), media_type="application/json")


def parts(desk: Desk, asked: GetParts) -> Reply:
    """The parts of one step."""
    shown = picture(desk) if seen_project(desk) is not None else None
    stand = shown.by_name.get(asked.step) if shown is not None else None
    if shown is None or stand is None:
        raise missing("the project has no step of that name")
    rows, more = _part_rows(desk, shown, asked)
    table = Table(
        name="parts", columns=_PART_COLUMNS, rows=rows, empty="It has no such parts.",
        more="?" + urlencode({"step": asked.step, "state": asked.state, "after": more}) if more else "",
    )  # fmt: skip
    return page(
        desk, "project_parts.html", title=f"Parts of {asked.step}", at="project", tables=(table,), stand=stand, step=asked.step,
        state_chosen=asked.state,
    )  # fmt: skip


def _steps(shown: Picture, asked: GetProject) -> Table:
    first = max(asked.skipped, 0)
    last = first + _STEPS_SHOWN
    rows: list[tuple[Value, ...]] = [
        (
            Link(one.name, "/?" + urlencode({"step": one.name})), one.stage, one.shown, f"{one.told}; {one.why}" if one.told else one.why,
            ", ".join(one.after) or None,
            Link(f"{one.parts:,}", "/project/parts?" + urlencode({"step": one.name})) if one.parts > 1 else None,
        )
        for one in shown.stood[first:last]
    ]  # fmt: skip
    more = "?" + urlencode({"step": asked.step, "skipped": last}) if len(shown.stood) > last else ""
    columns: tuple[Column, ...] = _STEPS
    if not any(one.parts > 1 for one in shown.stood):
        columns, rows = _STEPS[:-1], [row[:-1] for row in rows]
    return Table(name="steps", columns=columns, rows=rows, more=more, empty="Nothing has run here yet.", command="bedplate run")


def _bit(shown: Picture, stand: Stand) -> str:
    """How far a running step is, in words."""
    doing = shown.begun.doing.get(stand.name, Doing()) if shown.begun is not None and shown.begun.run == shown.now.run else Doing()
    if doing.share is not None:
        return f"{doing.text} {doing.share:.0%}".strip()
    if stand.parts > 1:
        return stand.told
    return f"{doing.done:,} {doing.text}".strip() if doing.done is not None else ""


def _detail(desk: Desk, shown: Picture, stand: Stand) -> dict[str, Any]:
    """One step: its newest attempt with what it took and printed, what it made, what it should take, where it stands in the file."""
    catalog = desk.catalog
    step = catalog.tallies.newest_step(stand.name)
    attempt = _attempt(desk, step)
    placing = next((one for one in shown.seen.whole.steps if one.name == stand.name), None) if shown.seen.whole is not None else None
    wall = next(iter(forecasts(catalog, stand.name)), None)
    made = stand.makes or tuple(sorted({one.artifact for one in catalog.artifacts.by_attempt(attempt.id)} if attempt is not None else ()))
    versions = [one for name in made for one in catalog.artifacts.versions(name, _VERSIONS)]
    rows: list[tuple[Value, ...]] = [
        (Link(one.ref, path_of("artifacts", one.artifact, str(one.number))), one.size_bytes, one.created_at)
        for one in sorted(versions, key=lambda one: one.created_at, reverse=True)[:_VERSIONS]
    ]  # fmt: skip
    columns = (Column("version", "Version"), Column("size", "Size", "bytes"), Column("made", "Made", "time"))
    window = desk.logs.before(attempt.log, _last(desk, attempt), _TAIL) if attempt is not None else None
    return {
        "stand": stand, "step": step, "attempt": attempt, "placing": placing, "took": _took(attempt), "expected": _expected(wall),
        "asks": _asks(placing), "versions": Table(name="versions", columns=columns, rows=rows, empty="It has made nothing yet."),
        "log": window.text if window is not None else "", "run": path_of("runs", step.run) if step is not None else "",
    }  # fmt: skip


def _attempt(desk: Desk, step: Step | None) -> Attempt | None:
    """The attempt that a row of a step stands for: its own, or of a skipped one the one that made what there is."""
    if step is None:
        return None
    found = desk.catalog.tallies.attempt(step)
    if found is None and step.result:
        try:
            return desk.catalog.runs.attempt(step.result)
        except NotFound:
            return None
    return found


def _last(desk: Desk, attempt: Attempt) -> int:
    return desk.logs.size(attempt.log) or 0


def _took(attempt: Attempt | None) -> list[tuple[str, Value, str]]:
    if attempt is None or attempt.ended_at is None:
        return []
    usage = attempt.usage
    told: list[tuple[str, Value, str]] = [
        ("took", usage.wall_s, "seconds"),
        ("processors", round(usage.cpu_s / usage.wall_s, 2) if usage.wall_s else None, ""),
    ]
    told += [("memory", usage.peak_bytes, "bytes")] if usage.peak_bytes else []
    told += [(f"energy, {usage.energy_basis}", usage.energy_joules, "joules")] if usage.energy_joules else []
    return told + ([("money", usage.cost_usd, "usd")] if usage.cost_usd else [])


def _expected(wall: Forecast | None) -> Forecast | None:
    return wall if wall is not None and wall.basis != "unknown" else None


def _asks(placing: Placing | None) -> str:
    """What a step asks for, in words."""
    if placing is None:
        return ""
    told = [f"{name.removesuffix('_bytes').removesuffix('_s')} {value:,}" for name, value in placing.needs.items()]
    return ", ".join([*told, *([f"every {placing.every}"] if placing.every else []), *([f"each {placing.each}"] if placing.each else [])])


def _part_rows(desk: Desk, shown: Picture, asked: GetParts) -> tuple[list[tuple[Value, ...]], str]:
    """A page of parts, from the look at the project where there is one, else from its newest run; and where the next begins."""
    found = list(islice(_parts(desk, shown, asked), _PARTS + 1))
    rows: list[tuple[Value, ...]] = [
        (part or "all together", State(state, TONES.get(state, "off")), why) for part, state, why in found[:_PARTS]
    ]  # fmt: skip
    return rows, found[_PARTS - 1][0] if len(found) > _PARTS else ""


def _parts(desk: Desk, shown: Picture, asked: GetParts) -> Iterator[tuple[str, str, str]]:
    """Parts behind one, of the state that is asked for: name, state, why. What a run that goes on has come to goes before what was seen."""
    tallies, going = desk.catalog.tallies, shown.now.run
    placing = next((one for one in shown.seen.whole.steps if one.name == asked.step), None) if shown.seen.whole is not None else None
    if placing is None or not placing.units:
        newest = tallies.newest_step(asked.step)
        steps = tallies.parts(newest.run, asked.step, asked.after, limit=_PARTS + 1) if newest is not None else []
        yield from ((one.part, RECORDED[one.status], one.why) for one in steps)
        return
    statuses = tallies.part_statuses(going, asked.step) if going else {}
    for unit in sorted(placing.units, key=lambda one: one.part):
        if unit.part <= asked.after and asked.after:
            continue
        state, why = ACTIONS[unit.action], unit.why
        if statuses:
            state = RECORDED[statuses[unit.part]] if unit.part in statuses else "waiting"
            state = "fresh" if state == "made" else state
        if asked.state in ("", state):
            yield unit.part, state, why


ENDPOINTS: Final = (
    Endpoint("GET", "/", GetProject, "experiment.list", on_server, project),
    Endpoint("GET", "/project/graph", GetProject, "experiment.list", on_server, graph),
    Endpoint("GET", "/project/parts", GetParts, "experiment.list", on_server, parts),
)
