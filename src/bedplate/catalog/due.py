"""Due work on record: since when a step has its schedule, and every decision about an occurrence, with its reason.

An occurrence is known by its step, its kind and its mark (a time, a fingerprint, an event, a version), so it is decided once, whoever
looks and however often. One row stands for all that were missed in a row; its mark is no single occurrence's. One that is carried out has
the fence of its lease: who was overtaken cannot say how it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from bedplate.core.clock import iso, parse
from bedplate.core.records import Record

from .database import Database, Row

Kind = Literal["schedule", "data", "drift", "labels", "keys"]
"""What makes work due."""
Status = Literal["running", "done", "failed", "stopped", "missed", "overlapped", "refused"]


class Occurrence(Record, frozen=True, kw_only=True):
    """One decision; `due_at` is when it was due (of missed ones: the last of them), `tries` counts those who began it."""

    step: str
    kind: Kind
    mark: str
    due_at: datetime
    status: Status
    reason: str = ""
    run: str = ""
    tries: int = 1
    fence: int = 0
    decided_at: datetime
    ended_at: datetime | None = None


class Due:
    """What was due and what became of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def schedule(self, step: str) -> tuple[str, datetime] | None:
        """The schedule that a step was last seen with, and since when it counts."""
        row = self._database.one("schedule_get", step=step)
        return None if row is None else (row[0], parse(row[1]))

    def enrol(self, step: str, schedule: str, since: datetime) -> None:
        """A step has this schedule, counted from `since`."""
        self._database.run("schedule_put", step=step, schedule=schedule, since=iso(since))

    def add(self, occurrence: Occurrence) -> bool:
        """Record a decision; False where that occurrence was decided before."""
        return self._database.run("occurrence_add", **_values(occurrence)) > 0

    def take(self, occurrence: Occurrence, fence: int) -> bool:
        """Take up one that its process left behind; False where another was first."""
        return self._database.run("occurrence_take", **_key(occurrence), fence=fence) > 0

    def runs_as(self, occurrence: Occurrence, run: str) -> bool:
        """It is done by this run; False where another process has taken it over."""
        return self._database.run("occurrence_run", **_key(occurrence), fence=occurrence.fence, run=run) > 0

    def end(self, occurrence: Occurrence, status: Status, reason: str, at: datetime) -> bool:
        """Record how it ended; False where another process has taken it over."""
        changed = self._database.run(
            "occurrence_end", **_key(occurrence), fence=occurrence.fence, status=status, reason=reason, ended_at=iso(at)
        )
        return changed > 0

    def put_back(self, occurrences: Sequence[Occurrence]) -> None:
        """Their process was asked to stop: who takes them up next is no further try."""
        self._database.many("occurrence_back", [{**_key(one), "fence": one.fence} for one in occurrences])

    def get(self, step: str, kind: Kind, mark: str) -> Occurrence | None:
        """What was decided about one occurrence."""
        return _found(self._database.one("occurrence_get", step=step, kind=kind, mark=mark))

    def last(self, step: str, kind: Kind, until: datetime) -> Occurrence | None:
        """The newest that was due at `until` or before; what a clock that was ahead has left is passed over."""
        return _found(self._database.one("occurrence_last", step=step, kind=kind, until=iso(until)))

    def before(self, step: str) -> Occurrence | None:
        """The one of a step that was carried out last."""
        return _found(self._database.one("occurrence_before", step=step))

    def running(self) -> list[Occurrence]:
        """What is being done, or was left behind by a process that died."""
        return [occurrence_of(row) for row in self._database.rows("occurrences_running")]

    def parts_made(self, step: str) -> frozenset[str]:
        """The parts of a step that are there (the empty one: all together)."""
        return frozenset(row[0] for row in self._database.rows("parts_made", step=step))

    def newest(self, limit: int = 20) -> list[Occurrence]:
        """The newest decisions, newest first."""
        return [occurrence_of(row) for row in self._database.rows("occurrences_newest", limit=limit)]


def _key(occurrence: Occurrence) -> dict[str, str]:
    return {"step": occurrence.step, "kind": occurrence.kind, "mark": occurrence.mark}


def _values(one: Occurrence) -> dict[str, str | int | None]:
    return {
        **_key(one), "due_at": iso(one.due_at), "status": one.status, "reason": one.reason, "run": one.run, "tries": one.tries,
        "fence": one.fence, "decided_at": iso(one.decided_at), "ended_at": iso(one.ended_at) if one.ended_at else None,
    }  # fmt: skip


def _found(row: Row | None) -> Occurrence | None:
    return None if row is None else occurrence_of(row)


def occurrence_of(row: Row) -> Occurrence:
    """A row of the table as a record."""
    return Occurrence(
        step=row[0], kind=row[1], mark=row[2], due_at=parse(row[3]), status=row[4], reason=row[5], run=row[6], tries=row[7],
        fence=row[8], decided_at=parse(row[9]), ended_at=parse(row[10]) if row[10] else None,
    )  # fmt: skip
