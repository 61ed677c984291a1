"""What work took and what it cost in a period, added up where it is kept: days, steps, runs and services, for pages about money and energy.

Energy that a meter read and energy that was worked out are never one number: each row has one basis, each run both sums.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from bedplate.core.clock import parse
from bedplate.core.records import Basis, Record, RunStatus

from .database import Database


class Took(Record, frozen=True, kw_only=True):
    """What one step, or one service, took on one day (UTC), as far as its energy has one `basis`.

    `busy_s` are CPU seconds, `idle_s` seconds of `up_s` in which no processor worked for it. `kind` attempt with `attempts` 0 is what was
    spent on attempts that run, or were lost.
    """

    day: str
    kind: Literal["attempt", "service"]
    name: str
    stage: str
    basis: Basis
    attempts: int = 0
    failed: int = 0
    up_s: float = 0.0
    busy_s: float = 0.0
    idle_s: float = 0.0
    joules: float = 0.0
    usd: float = 0.0


class RunTook(Record, frozen=True, kw_only=True):
    """What one run took, with the energy that was measured apart from what was assumed."""

    run: str
    status: RunStatus
    started_at: datetime
    command: str
    attempts: int
    up_s: float
    busy_s: float
    idle_s: float
    measured_joules: float
    assumed_joules: float
    usd: float


class MoneyAndEnergy:
    """Sums over days (UTC); `since` is one of them, `until` is not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def took(self, since: date, until: date) -> list[Took]:
        """Every step and service by day; the sum of the money is what `Spending.since` counts against a budget."""
        period = {"since": since.isoformat(), "until": until.isoformat()}

        def work() -> list[Took]:
            found = [
                Took(
                    day=day, kind="attempt", name=step, stage=stage, basis=basis, attempts=attempts, failed=failed, up_s=wall, busy_s=cpu,
                    idle_s=idle, joules=joules, usd=usd,
                )
                for day, step, stage, basis, attempts, failed, wall, cpu, idle, joules, usd
                in self._database.rows("money_attempts", **period)
            ]  # fmt: skip
            stages = {one.name: one.stage for one in found}
            found += [
                Took(
                    day=day, kind=kind, name=name, stage="deploy" if kind == "service" else stages.get(name, ""), basis=basis, up_s=up,
                    busy_s=busy, idle_s=idle, joules=joules, usd=usd,
                )
                for day, kind, name, basis, up, busy, idle, joules, usd in self._database.rows("money_beside", **period)
            ]  # fmt: skip
            return found

        return self._database.snapshot(work)

    def runs(self, since: date, until: date, *, limit: int = 50, skip: int = 0) -> list[RunTook]:
        """The runs of a period that cost most, of equal ones those that took longest."""
        return [
            RunTook(
                run=run, status=status, started_at=parse(started), command=command, attempts=attempts, up_s=wall, busy_s=cpu, idle_s=idle,
                measured_joules=measured, assumed_joules=assumed, usd=usd,
            )
            for run, status, started, command, attempts, wall, cpu, idle, measured, assumed, usd in self._database.rows(
                "money_runs", since=since.isoformat(), until=until.isoformat(), limit=limit, skip=skip
            )
        ]  # fmt: skip

    def first(self) -> date | None:
        """The day on which anything was first spent; None where nothing was."""
        found = self._database.value("money_first")
        return None if found is None else date.fromisoformat(str(found))
