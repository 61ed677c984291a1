"""The project's own runs among the tracked: written in the very transaction that writes them.

A run is one tracked run in the experiment of its project, each attempt at a step another with the run as its parent; what a step said are
its params, tags and metrics. A metric without a step counts its values; its time is that of the attempt. Runs of an older state are
filled in once (`fill`). What is mirrored twice is there once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from datetime import datetime

from bedplate.catalog import rows
from bedplate.catalog.database import Database, Value
from bedplate.core.context import Noted
from bedplate.core.records import Attempt, Run, RunStatus

from .curves import write_points
from .experiments import of_project
from .limits import text
from .overview import write_keys
from .runs import ms_of
from .tracked import COMMIT, PARENT, RUN_NAME, SOURCE_NAME, THEIRS, Point

_LONGEST = 80


def mirror_run(database: Database, run: Run) -> None:
    """A run of the project that begins; inside a transaction."""
    started_ms = ms_of(run.started_at)
    experiment = of_project(database, run.project, started_ms)
    database.run(
        "mirror_run",
        id=run.id,
        experiment=experiment,
        name=run_name(run),
        status=THEIRS[run.status],
        started_ms=started_ms,
        ended_ms=_ms(run.ended_at),
    )
    _tags(database, run.id, {RUN_NAME: run_name(run), SOURCE_NAME: run.command, COMMIT: run.git_commit})
    _params(database, run.id, [(name, _word(value)) for name, value in run.settings.items()])


def run_name(run: Run) -> str:
    """What a run of the project is called: what was asked for, and when (UTC), as `run late 11-22 12:44`."""
    return f"{run.command.removeprefix('bedplate ')[:_LONGEST]} {run.started_at:%m-%d %H:%M}".strip()


def mirror_end(database: Database, run: str, status: RunStatus, at: datetime) -> None:
    """How it ended; inside a transaction."""
    database.run("mirror_run_end", id=run, status=THEIRS[status], ended_ms=ms_of(at))


def mirror_attempts(database: Database, attempts: Sequence[Attempt]) -> None:
    """Attempts at steps, as they stand now; inside a transaction. What belongs to a run that is not mirrored is passed over."""
    database.many("mirror_attempt", [_attempt(one) for one in attempts])


def mirror_noted(database: Database, attempt: Attempt, noted: Sequence[Noted]) -> None:
    """What an attempt said, its name and its parent; inside a transaction, once the attempt is mirrored."""
    row = database.one("tracked_get", id=attempt.id)
    if row is None:
        return
    said = {one.name: _word(one.value) for one in noted if one.what == "tag"}
    _tags(database, attempt.id, {**said, RUN_NAME: _name(attempt), PARENT: attempt.run})
    _params(database, attempt.id, [(one.name, _word(one.value)) for one in noted if one.what == "param"])
    points = _points(noted, ms_of(attempt.ended_at or attempt.started_at))
    if points:
        write_points(database, attempt.id, int(row[1]), points)


def is_due(database: Database) -> bool:
    """Whether an older state's runs are still to be mirrored."""
    return bool(database.value("mirror_is_due"))


def fill(database: Database) -> int:
    """Mirror the runs of an older state, each in a transaction of its own; how many. Nothing where it was done before."""
    if not is_due(database):
        return 0
    waiting = [str(row[0]) for row in database.rows("runs_untracked")]
    for run in waiting:
        database.transact(functools.partial(_fill_run, database, run))
    database.run("mirror_is_done")
    return len(waiting)


def _fill_run(database: Database, run: str) -> None:
    row = database.one("run_get", id=run)
    if row is None:
        return
    mirror_run(database, rows.run_of(row))
    attempts = [rows.attempt_of(found) for found in database.rows("attempts_of_run", run=run, step="")]
    if attempts:
        mirror_attempts(database, attempts)
    for attempt in attempts:
        mirror_noted(database, attempt, [rows.noted_of(found) for found in database.rows("noted_of", attempt=attempt.id)])


def _attempt(attempt: Attempt) -> dict[str, Value]:
    return {
        "id": attempt.id, "parent": attempt.run, "name": _name(attempt), "status": THEIRS[attempt.status],
        "started_ms": ms_of(attempt.started_at), "ended_ms": _ms(attempt.ended_at),
    }  # fmt: skip


def _points(noted: Iterable[Noted], at_ms: int) -> list[Point]:
    counted: dict[str, int] = {}
    points = []
    for one in noted:
        if one.what == "metric":
            place = counted.get(one.name, 0)
            counted[one.name] = place + 1
            points.append(Point(one.name, float(one.value), at_ms, place if one.at_step is None else one.at_step))
    return points


def _tags(database: Database, run: str, tags: dict[str, str]) -> None:
    said = {name: value for name, value in tags.items() if value}
    database.many("run_tag_put", [{"run": run, "name": name, "value": value} for name, value in said.items()])
    write_keys(database, run, "tag", said)


def _params(database: Database, run: str, params: Sequence[tuple[str, str]]) -> None:
    if params:
        database.many("run_param_mirror", [{"run": run, "name": name, "value": value} for name, value in params])
        write_keys(database, run, "param", [name for name, _ in params])


def _word(value: object) -> str:
    """A value as a param or tag has it: text as it is, all else as JSON."""
    return text(value if isinstance(value, str) else rows.text(value))


def _name(attempt: Attempt) -> str:
    return f"{attempt.step}[{attempt.part}]" if attempt.part else attempt.step


def _ms(at: datetime | None) -> int | None:
    return None if at is None else ms_of(at)
