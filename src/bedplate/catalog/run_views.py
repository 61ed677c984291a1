"""One run or attempt with what stands around it: its steps, what it took and made, what was predicted, its neighbours.

For pages: nothing here reads more rows than it is asked for, however many parts a run has.
"""

from __future__ import annotations

from datetime import datetime

from bedplate.core.clock import iso
from bedplate.core.kinds import Kind
from bedplate.core.records import Attempt, Basis, Forecast, Record, Step, Usage

from . import rows
from .database import Database, Row
from .tracking.tracked import TrackedRun


class StepView(Record, frozen=True, kw_only=True):
    """A step of a run: how it stands, why, and what the attempt that it stands for took; `made_in` is the run of that attempt."""

    name: str
    part: str
    stage: str
    status: str
    why: str
    result: str
    started_at: datetime | None
    ended_at: datetime | None
    made_in: str = ""
    usage: Usage | None = None


class VersionView(Record, frozen=True, kw_only=False):
    """A version that was made or handed over."""

    artifact: str
    number: int
    kind: Kind
    rows: int | None
    size_bytes: int


class Predicted(Record, frozen=True, kw_only=True):
    """A prediction of a step, beside what was used."""

    step: str
    part: str
    forecast: Forecast
    usage: Usage


class Spent(Record, frozen=True, kw_only=False):
    """What attempts took together whose energy has one basis."""

    basis: Basis
    attempts: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    energy_joules: float
    cost_usd: float


class RunViews:
    """Reads what a page about one run shows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def steps(self, run: str, limit: int = 200) -> list[StepView]:
        """The steps of a run in the order in which they were planned."""
        return [_step(row) for row in self._database.rows("view_steps", run=run, limit=limit)]

    def step(self, run: str, name: str, part: str = "") -> Step | None:
        """One step of a run, with what its key was made of."""
        row = self._database.one("view_step", run=run, name=name, part=part)
        return None if row is None else rows.step_of(row)

    def attempts(self, run: str, limit: int = 100) -> list[Attempt]:
        """The attempts of a run: those that failed first, then those that go on, then the newest."""
        return [rows.attempt_of(row) for row in self._database.rows("view_attempts", run=run, limit=limit)]

    def outputs(self, run: str, attempt: str = "", limit: int = 100) -> list[VersionView]:
        """What a run (or one attempt of it) made or made again."""
        return [VersionView(*row) for row in self._database.rows("view_outputs", run=run, attempt=attempt, limit=limit)]

    def inputs(self, run: str, attempt: str = "", limit: int = 100) -> list[VersionView]:
        """What a run was handed that others had made; of one attempt, all that it was handed."""
        return [VersionView(*row) for row in self._database.rows("view_inputs", run=run, attempt=attempt, limit=limit)]

    def predicted(self, run: str, step: str = "", part: str = "", limit: int = 100) -> list[Predicted]:
        """What was predicted of a run's done steps (or of one), and what they took."""
        found = self._database.rows("view_forecasts", run=run, step=step, part=part, limit=limit)
        return [
            Predicted(step=row[0], part=row[1], forecast=rows.forecast_of(row[2:8]), usage=rows.usage_of(row[8:])) for row in found
        ]  # fmt: skip

    def spent(self, run: str) -> list[Spent]:
        """What its attempts took, by the basis of their energy."""
        return [Spent(*row) for row in self._database.rows("view_spent", run=run)]

    def around_attempt(self, attempt: Attempt) -> tuple[str, str]:
        """The done attempts at the same step (and part) before and after one; empty: there is none."""
        asked = {"step": attempt.step, "part": attempt.part, "at": iso(attempt.started_at)}
        return self._id("view_attempt_before", **asked), self._id("view_attempt_after", **asked)

    def around(self, run: TrackedRun) -> tuple[str, str]:
        """The runs of the same experiment, parent and origin before and after one; empty: there is none."""
        asked: dict[str, str | int] = {
            "experiment": run.experiment, "parent": run.parent, "origin": run.origin, "at_ms": run.started_ms, "id": run.id,
        }  # fmt: skip
        return self._id("view_run_before", **asked), self._id("view_run_after", **asked)

    def _id(self, query: str, **asked: str | int) -> str:
        return str(self._database.value(query, **asked) or "")


def _step(row: Row) -> StepView:
    return StepView(
        name=row[0], part=row[1], stage=row[2], status=row[3], why=row[4], result=row[5], started_at=rows.at_of(row[6]),
        ended_at=rows.at_of(row[7]), made_in=row[8] or "", usage=None if row[8] is None else rows.usage_of(row[9:]),
    )  # fmt: skip
