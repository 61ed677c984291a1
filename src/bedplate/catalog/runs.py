"""Runs, their steps and attempts, the cache, and what was predicted and took place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from bedplate.core.clock import iso
from bedplate.core.context import Noted
from bedplate.core.errors import NotFound
from bedplate.core.records import Attempt, Event, Forecast, Run, RunStatus, Step, Usage

from . import rows
from .database import Database
from .events import write_events
from .tracking.mirror import mirror_attempts, mirror_end, mirror_noted, mirror_run

KEPT = frozenset({"metric", "param", "tag", "file"})
"""What of a step's sayings is kept; progress is only shown."""
_ENDED: Final[Mapping[str, str]] = {"done": "run.finished", "failed": "run.failed", "cancelled": "run.cancelled"}
_SAID: Final = 500
"""Characters of a failure that its event has."""


class Runs:
    """What ran, why, how it ended and what it took."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, run: Run) -> None:
        """Record that a run begins."""

        def work() -> None:
            self._database.run("run_put", **rows.run_values(run))
            mirror_run(self._database, run)

        self._database.transact(work)

    def end(self, run: str, status: RunStatus, at: datetime) -> None:
        """Record how it ended; that it did is an event."""

        def work() -> None:
            self._database.run("run_end", id=run, status=status, ended_at=iso(at))
            mirror_end(self._database, run, status, at)
            if status in _ENDED:
                data = {"run_id": run, "status": status, "command": self.get(run).command}
                write_events(self._database, [Event(kind=_ENDED[status], subject=run, at=at, data=data)])

        self._database.transact(work)

    def get(self, run: str) -> Run:
        """One run. Raises NotFound with near ids."""
        row = self._database.one("run_get", id=run)
        if row is None:
            near = difflib.get_close_matches(run, [kept[0] for kept in self._database.rows("run_ids")], 1)
            raise NotFound(f"there is no run '{run}'", next=f"did you mean '{near[0]}'?" if near else "bedplate status")
        return rows.run_of(row)

    def last(self, limit: int = 10) -> list[Run]:
        """The newest runs, newest first: at most so many of the project, and as many of trackers' clients that are as new."""
        found = {run.id: run for query in ("runs_last", "runs_last_of_project") for run in self._of(query, limit)}
        return sorted(found.values(), key=lambda run: (run.started_at, run.id), reverse=True)

    def last_of_project(self, limit: int = 10) -> list[Run]:
        """The newest runs of the project itself, newest first."""
        return self._of("runs_last_of_project", limit)

    def running(self) -> list[Run]:
        """Runs of the project that have not ended, oldest first; the process of one may be dead (`host`, `pid`, `process_started` tell)."""
        return [rows.run_of(row) for row in self._database.rows("runs_running")]

    def put_steps(self, steps: Sequence[Step]) -> None:
        """Record steps as they stand now, new or known, in one transaction."""
        self._database.transact(lambda: write_steps(self._database, steps))

    def steps(self, run: str) -> list[Step]:
        """The steps of a run in the order in which they were first put."""
        return [rows.step_of(row) for row in self._database.rows("steps_of_run", run=run)]

    def step_of(self, attempt: str) -> Step | None:
        """The step that an attempt was a try at; None where its run has none (a client's)."""
        row = self._database.one("step_of_attempt", attempt=attempt)
        return None if row is None else rows.step_of(row)

    def last_step(self, name: str, part: str = "") -> Step | None:
        """What `why` compares with: the last one that ended done or skipped and knows its key parts.

        One of a run with default settings on the project's target goes before any other: heads stand on it.
        """
        row = self._database.one("step_last", name=name, part=part)
        return None if row is None else rows.step_of(row)

    def failed_step(self, name: str, part: str = "") -> Step | None:
        """The last one of that name that failed (with a part: that part of it), whatever came after it."""
        row = self._database.one("step_failed", name=name, part=part)
        return None if row is None else rows.step_of(row)

    def last_steps(self) -> dict[tuple[str, str], Step]:
        """`last_step` of every (name, part) at once."""
        return {(row[1], row[2]): rows.step_of(row) for row in self._database.rows("steps_last")}

    def failed_steps(self) -> frozenset[str]:
        """The names of the steps that failed, or of which a part did, in the last run (of the newest 50) that got to them."""
        return frozenset(str(row[0]) for row in self._database.rows("steps_failed"))

    def cached(self, cache_key: str) -> str | None:
        """The attempt that answers a cache key, or None."""
        found = self._database.value("cache_get", cache_key=cache_key)
        return None if found is None else str(found)

    def cached_many(self, keys: Iterable[str]) -> dict[str, str]:
        """The keys that are answered, each with its attempt."""
        asked = list(keys)
        return self._database.snapshot(lambda: {key: found for key in asked if (found := self.cached(key)) is not None})

    def begin_attempts(self, attempts: Sequence[Attempt]) -> None:
        """Record that attempts begin, in one transaction."""

        def work() -> None:
            self._database.many("attempt_put", [rows.attempt_values(attempt) for attempt in attempts])
            mirror_attempts(self._database, attempts)

        self._database.transact(work)

    def attempt(self, attempt: str) -> Attempt:
        """One attempt. Raises NotFound."""
        row = self._database.one("attempt_get", id=attempt)
        if row is None:
            raise NotFound(f"there is no attempt '{attempt}'", next="bedplate status")
        return rows.attempt_of(row)

    def open_attempts(self) -> list[Attempt]:
        """Attempts of any run of the project that have not ended: what recovery looks at."""
        return [rows.attempt_of(row) for row in self._database.rows("attempts_open")]

    def attempts(self, run: str, step: str | None = None) -> list[Attempt]:
        """The attempts of a run (or of one of its steps), oldest first."""
        return [rows.attempt_of(row) for row in self._database.rows("attempts_of_run", run=run, step=step or "")]

    def noted(self, attempt: str) -> tuple[Noted, ...]:
        """Everything that an attempt said, in order: metrics, params, tags, files."""
        return tuple(rows.noted_of(row) for row in self._database.rows("noted_of", attempt=attempt))

    def metrics(self, attempt: str) -> dict[str, float]:
        """The last value of each metric (a curve's points are in `noted`)."""
        return self._said(attempt, "metric")

    def params(self, attempt: str) -> dict[str, Any]:
        """The last value of each param."""
        return self._said(attempt, "param")

    def tags(self, attempt: str) -> dict[str, str]:
        """Tags by name."""
        return self._said(attempt, "tag")

    def files(self, attempt: str) -> dict[str, str]:
        """Files kept beside the record: name to place in the store."""
        return self._said(attempt, "file")

    def usages(self, step: str, limit: int = 20) -> list[Usage]:
        """What the newest done attempts of a step took, newest first."""
        return [rows.usage_of(row) for row in self._database.rows("usages_of_step", step=step, limit=limit)]

    def put_forecasts(self, run: str, forecasts: Mapping[tuple[str, str], Sequence[Forecast]]) -> None:
        """Record what was predicted for steps of a run, by (name, part), in one transaction."""
        values = [rows.forecast_values(run, name, part, one) for (name, part), some in forecasts.items() for one in some]
        self._database.many("forecast_put", values)

    def forecasts(self, step: str, limit: int = 200) -> list[tuple[Forecast, Usage]]:
        """Predictions of a step beside what its done attempts took, newest first."""
        found = self._database.rows("forecasts_of_step", step=step, limit=limit)
        return [(rows.forecast_of(row), rows.usage_of(row[6:])) for row in found]

    def cost_since(self, since: datetime) -> float:
        """What all attempts begun since then cost, in US dollars."""
        return float(self._database.value("cost_since", since=iso(since)))

    def kept_files(self) -> set[str]:
        """The digests of every file kept beside a step's record: `gc` keeps their bytes."""
        return {msgspec.json.decode(value) for (value,) in self._database.rows("files_kept")}

    def _of(self, query: str, limit: int) -> list[Run]:
        return [rows.run_of(row) for row in self._database.rows(query, limit=limit)]

    def _said(self, attempt: str, what: str) -> dict[str, Any]:
        return {noted.name: noted.value for noted in self.noted(attempt) if noted.what == what}


def write_steps(database: Database, steps: Sequence[Step]) -> None:
    """Steps and what their keys were made of; inside a transaction."""
    parts = [None if step.key_parts is None else rows.parts_values(step.key_parts) for step in steps]
    database.many("key_parts_put", [values for values in parts if values is not None])
    pairs = zip(steps, parts, strict=True)
    database.many("step_put", [rows.step_values(step, None if kept is None else kept["digest"]) for step, kept in pairs])


def end_step(database: Database, step: Step) -> None:
    """A step as it ended; of one that began under this key, what the key was made of is there already. Inside a transaction."""
    known = database.run(
        "step_end", run=step.run, name=step.name, part=step.part, cache_key=step.cache_key, status=step.status, why=step.why,
        result=step.result, ended_at=rows.time_of(step.ended_at),
    )  # fmt: skip
    if not known:
        write_steps(database, [step])


def failure(attempt: Attempt, step: Step) -> Event:
    """An attempt failed, and its step with it: what it said."""
    named = {"step": step.name, "part": step.part, "cause": attempt.cause, "said": attempt.message[:_SAID]}
    return Event(kind="step.failed", subject=attempt.id, at=attempt.ended_at or attempt.started_at, data=named)


def write_attempt(database: Database, attempt: Attempt, noted: Sequence[Noted]) -> None:
    """An attempt as it stands now and what it said; inside a transaction."""
    database.many("attempt_put", [rows.attempt_values(attempt)])
    kept = [one for one in noted if one.what in KEPT]
    if kept:
        database.many("noted_put", [rows.noted_values(attempt.id, position, one) for position, one in enumerate(kept)])
    mirror_attempts(database, [attempt])
    mirror_noted(database, attempt, kept)
