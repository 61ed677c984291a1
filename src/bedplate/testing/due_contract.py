"""What every Database owes due work and spending: decided once, fenced, counted once. Part of `CatalogContract`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.due import Occurrence
from bedplate.catalog.spending import Spent
from bedplate.core.clock import iso
from bedplate.core.records import Attempt, KeyParts, Run, Step, Usage

from .clock import ManualClock


def occurrence(at: datetime, **more: Any) -> Occurrence:
    """The one of a step `late` that was due then, as it is begun."""
    given = {"step": "late", "kind": "schedule", "mark": iso(at), "status": "running", "fence": 1, **more}
    return Occurrence(due_at=at, decided_at=at, **given)


class DueContract:
    """Tests of due work and spending on one engine; needs the fixtures of `CatalogContract`."""

    def test_an_occurrence_is_decided_once(self, catalog: Catalog, clock: ManualClock) -> None:
        """The first decision stands; another kind or mark is another occurrence."""
        one = occurrence(clock.now(), reason="every 1 day")
        assert catalog.due.add(one)
        assert not catalog.due.add(msgspec.structs.replace(one, status="missed"))
        assert catalog.due.add(msgspec.structs.replace(one, kind="data", mark="x"))
        assert catalog.due.get("late", "schedule", one.mark) == one
        assert catalog.due.get("late", "drift", one.mark) is None

    def test_only_the_newest_fence_says_how_it_ended(self, catalog: Catalog, clock: ManualClock) -> None:
        """Who was overtaken changes nothing; two cannot take it up with one fence; a clean stop counts as no try."""
        one = occurrence(clock.now())
        catalog.due.add(one)
        assert catalog.due.take(one, 2)
        assert not catalog.due.take(one, 2)
        assert not catalog.due.runs_as(one, "r1")
        assert not catalog.due.end(one, "failed", "late", clock.now())
        mine = msgspec.structs.replace(one, fence=2)
        assert catalog.due.runs_as(mine, "r2")
        catalog.due.put_back([mine])
        assert [(left.run, left.tries) for left in catalog.due.running()] == [("r2", 1)]
        assert catalog.due.end(mine, "done", "well", clock.now())
        assert not catalog.due.end(mine, "failed", "again", clock.now())
        ended = catalog.due.get("late", "schedule", one.mark)
        assert ended is not None
        assert (ended.status, ended.reason, ended.run, ended.ended_at) == ("done", "well", "r2", clock.now())
        assert catalog.due.running() == []

    def test_the_newest_decision_is_found_by_time(self, catalog: Catalog, clock: ManualClock) -> None:
        """Up to a time, for what a clock that was ahead has left; what was only recorded was not carried out."""
        first = occurrence(clock.now(), status="done")
        second = occurrence(clock.forward(3600.0), status="missed")
        for one in (first, second):
            catalog.due.add(one)
        assert catalog.due.last("late", "schedule", clock.now()) == second
        assert catalog.due.last("late", "schedule", clock.now() - timedelta(seconds=1)) == first
        assert catalog.due.last("late", "schedule", first.due_at - timedelta(seconds=1)) is None
        assert catalog.due.before("late") == first
        assert catalog.due.newest(1) == [second]

    def test_a_schedule_counts_from_when_it_was_last_seen_first(self, catalog: Catalog, clock: ManualClock) -> None:
        assert catalog.due.schedule("late") is None
        catalog.due.enrol("late", "1 day", clock.now())
        catalog.due.enrol("late", "2 days", clock.forward(1.0))
        assert catalog.due.schedule("late") == ("2 days", clock.now())

    def test_the_parts_that_are_there_are_those_that_runs_of_the_project_made(self, catalog: Catalog, clock: ManualClock) -> None:
        """Not those of side runs, and not those that failed."""
        for run, moves in (("r", True), ("side", False)):
            catalog.runs.begin(Run(id=run, project="p", target="local", command="", started_at=clock.now(), moves_heads=moves))
        done = Step(run="r", name="late", part="mon", status="done", key_parts=KeyParts(code=()))
        other = {"part": "tue", "run": "side"}, {"part": "wed", "status": "failed"}, {"name": "early", "part": "thu"}
        catalog.runs.put_steps([done, *(msgspec.structs.replace(done, **change) for change in other)])
        assert catalog.due.parts_made("late") == {"mon"}

    def test_what_was_spent_is_counted_once_and_what_is_held_until_then(self, catalog: Catalog, clock: ManualClock) -> None:
        """An attempt's own cost takes the place of what was written while it ran; what others hold ends with its time."""
        now = clock.now()
        catalog.runs.begin(Run(id="r", project="p", target="local", command="", started_at=now))
        attempt = Attempt(id="a", run="r", step="late", started_at=now)
        catalog.runs.begin_attempts([attempt])
        until = now + timedelta(seconds=60)
        catalog.spending.put(Spent(spender="r", hour=now, kind="run", held_usd=0.5, held_until=until))
        catalog.spending.put(Spent(spender="a", hour=now, kind="attempt", usd=0.25, held_until=until))
        catalog.spending.put(Spent(spender="s", hour=now, kind="service", usd=2.0, held_usd=0.125, held_until=until))
        assert catalog.spending.since(now) == 2.25
        assert catalog.spending.since(now + timedelta(seconds=1)) == 0.0
        assert (catalog.spending.held(now), catalog.spending.held(now, beside="r"), catalog.spending.held(until)) == (0.625, 0.125, 0.0)
        catalog.runs.begin_attempts([msgspec.structs.replace(attempt, status="done", ended_at=now, usage=Usage(cost_usd=0.375))])
        assert catalog.spending.since(now) == 2.375
        catalog.spending.settle("r")
        assert catalog.spending.since(now) == 2.375
        assert catalog.spending.held(now) == pytest.approx(0.125)

    def test_what_a_period_took_adds_up_to_what_was_spent(self, catalog: Catalog, clock: ManualClock) -> None:
        """By day, step and basis: measured energy is never in one sum with assumed; an ended attempt counts once, a service beside."""
        now = clock.now()
        catalog.runs.begin(Run(id="r", project="p", target="local", command="bedplate run", started_at=now))
        catalog.runs.put_steps([Step(run="r", name="late", part="", stage="train", status="running", why="new")])
        ended = Attempt(id="a", run="r", step="late", started_at=now, status="done", ended_at=now)
        meters = Usage(wall_s=10.0, cpu_s=4.0, energy_joules=100.0, energy_basis="measured", cost_usd=1.0)
        guess = Usage(wall_s=2.0, cpu_s=3.0, energy_joules=50.0, energy_basis="assumed", cost_usd=0.5)
        catalog.runs.begin_attempts(
            [
                msgspec.structs.replace(ended, usage=meters),
                msgspec.structs.replace(ended, id="b", status="failed", usage=guess),
                Attempt(id="c", run="r", step="late", started_at=now),
            ]
        )
        until = now + timedelta(hours=1)
        for spender, usd in (("a", 0.75), ("c", 0.25)):
            catalog.spending.put(Spent(spender=spender, hour=now, kind="attempt", usd=usd, held_until=until))
        catalog.spending.put(Spent(spender="s", hour=now, kind="service", usd=2.0, held_until=until, up_s=9.0, busy_s=1.0))
        today, tomorrow = now.date(), now.date() + timedelta(days=1)
        took = catalog.money.took(today, tomorrow)
        assert sum(one.usd for one in took) == catalog.spending.since(now) == 3.75
        by = {(one.kind, one.basis): one for one in took if one.attempts or one.kind == "service"}
        metered, assumed = by["attempt", "measured"], by["attempt", "assumed"]
        assert (metered.joules, metered.idle_s, metered.stage) == (100.0, 6.0, "train")
        assert (assumed.joules, assumed.idle_s, assumed.failed) == (50.0, 0.0, 1)
        assert (by["service", "unknown"].name, by["service", "unknown"].idle_s) == ("s", 8.0)
        (run,) = catalog.money.runs(today, tomorrow)
        assert (run.run, run.attempts, run.measured_joules, run.assumed_joules, run.usd) == ("r", 3, 100.0, 50.0, 1.5)
        assert catalog.money.runs(today, tomorrow, skip=1) == []
        assert catalog.money.took(tomorrow, tomorrow + timedelta(days=1)) == []
        assert catalog.money.first() == today
