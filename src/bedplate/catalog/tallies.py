"""How the project stands, counted: for pages that are asked often and must not read forty thousand parts to say how many are done.

Only the newest runs are looked at: a step that none of them got to is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bedplate.core.clock import iso, parse
from bedplate.core.records import Attempt, Record, Step

from . import rows
from .database import Database
from .due import Occurrence, occurrence_of

_RUNS: Final = 20
"""How many of the newest runs are looked at."""


class Tally(Record, frozen=True, kw_only=True):
    """How many parts of a step (or itself) stand so in a run; `why` is one of their reasons."""

    name: str
    stage: str
    status: str
    count: int
    started_at: datetime | None = None
    ended_at: datetime | None = None
    why: str = ""


class Tallies:
    """Counts and newest things."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_run(self, run: str) -> list[Tally]:
        """The steps of a run, counted by how they stand."""
        found = self._database.rows("tally_of_run", run=run)
        return [
            Tally(
                name=row[0], stage=row[1], status=row[2], count=row[3], started_at=_time(row[4]), ended_at=_time(row[5]), why=row[6] or ""
            )
            for row in found
        ]  # fmt: skip

    def newest_steps(self, limit: int = 10_000) -> list[Step]:
        """The newest row of every step that the newest runs got to, in the order in which they were put."""
        return [rows.step_of(row) for row in self._database.rows("tally_newest_steps", runs=_RUNS, limit=limit)]

    def arrows(self) -> list[tuple[str, str]]:
        """Which step was handed what another made, as the newest runs had it: (maker, user)."""
        return [(str(row[0]), str(row[1])) for row in self._database.rows("tally_arrows", runs=_RUNS)]

    def newest_step(self, name: str, status: str = "") -> Step | None:
        """The newest row of a step in the newest runs, of one status where that is asked for."""
        row = self._database.one("tally_step", name=name, status=status, runs=_RUNS)
        return None if row is None else rows.step_of(row)

    def attempt(self, step: Step) -> Attempt | None:
        """The newest attempt that a row of a step stands for in its run."""
        row = self._database.one("tally_attempt", run=step.run, step=step.name, part=step.part)
        return None if row is None else rows.attempt_of(row)

    def parts(self, run: str, name: str, after: str = "", status: str = "", limit: int = 100) -> list[Step]:
        """The parts of a step in a run in the order of their names, those behind `after`."""
        found = self._database.rows("tally_parts", run=run, name=name, after=after, status=status, limit=limit)
        return [rows.step_of(row) for row in found]

    def part_statuses(self, run: str, name: str) -> dict[str, str]:
        """How each part of a step stands in a run."""
        return {str(row[0]): str(row[1]) for row in self._database.rows("tally_part_statuses", run=run, name=name)}

    def moved(self) -> Sequence[object]:
        """What is another value whenever a plan may be another one."""
        return tuple(self._database.one("tally_moved") or ())

    def forecast_steps(self, limit: int = 200) -> list[str]:
        """The steps that something was predicted of."""
        return [str(row[0]) for row in self._database.rows("tally_forecast_steps", limit=limit)]

    def decisions(self, status: str = "", until: str = "", skipped: int = 0, limit: int = 50) -> list[Occurrence]:
        """Decisions about due work, newest first; `until` (ISO) keeps later pages to what the first one saw."""
        found = self._database.rows("tally_occurrences", status=status, until=until, skipped=skipped, limit=limit)
        return [occurrence_of(row) for row in found]

    def decided(self, since: datetime) -> dict[str, int]:
        """How many decisions since then ended how."""
        return {str(row[0]): int(row[1]) for row in self._database.rows("tally_decided", since=iso(since))}


def _time(text: str | None) -> datetime | None:
    return parse(text) if text else None
