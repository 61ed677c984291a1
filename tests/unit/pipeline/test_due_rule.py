"""The rule of schedules as one sentence, held against any sequence of looks: clocks that jump, processes that sleep, runs that take long.

What is carried out are the newest occurrences at the moments at which somebody looked; each once; but one that came while the step
was still being made is passed over.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.due import Occurrence
from bedplate.core.clock import iso
from bedplate.core.schedules import schedule
from bedplate.pipeline import times
from bedplate.pipeline.due.facts import Seen, rulings
from bedplate.pipeline.due.tasks import Task
from bedplate.testing.clock import ManualClock

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
_TEXTS = ["1 hour", "7 min", "0 2 * * * Europe/Berlin", "*/30 * * * * Europe/Berlin", "15 2,14 * * * Europe/Berlin"]
Looks = list[tuple[int, int]]
"""Seconds since the look before (or back), and how long what is found due takes."""
_LOOKS = st.lists(st.tuples(st.integers(-7200, 3 * 86400), st.sampled_from([0, 0, 1, 900, 20_000, 100_000])), min_size=1, max_size=25)


class Machine:
    """Looks, and does what is due at once; `carried` is what it did."""

    def __init__(self, text: str) -> None:
        self.clock = ManualClock(START)
        self.catalog = Catalog.open(open_database(Path("nowhere/at-all.db"), makes=False), self.clock)
        self.task = Task(step="step", schedule=schedule(text))
        self.carried: list[datetime] = []
        self.recorded: list[Occurrence] = []

    def look(self, takes_s: int) -> None:
        now = self.clock.now()
        for ruling in rulings(self.catalog, {"step": (self.task, Seen())}, now, enrols=True):
            if ruling.action == "wait":
                continue
            assert ruling.due_at is not None
            one = Occurrence(
                step="step", kind=ruling.kind, mark=ruling.mark, due_at=ruling.due_at, status=ruling.status, reason=ruling.reason,
                decided_at=now, fence=1, ended_at=None if ruling.action == "run" else now,
            )  # fmt: skip
            if not self.catalog.due.add(one):
                continue
            if ruling.action == "record":
                self.recorded.append(one)
                continue
            self.carried.append(ruling.due_at)
            self.clock.forward(takes_s)
            assert self.catalog.due.end(one, "done", "", self.clock.now())


@given(st.sampled_from(_TEXTS), _LOOKS)
@settings(max_examples=150, deadline=None)
def test_what_is_carried_out_are_the_newest_occurrences_at_the_looks_each_once(text: str, looks: Looks) -> None:
    """Where nothing takes time: neither a late look, nor a clock set back, nor one set ahead and back changes that."""
    machine, expected = Machine(text), []
    for passed_s, _ in looks:
        machine.clock.forward(passed_s)
        machine.look(0)
        kept = machine.catalog.due.schedule("step")
        assert kept is not None
        newest = times.newest(schedule(text), kept[1], machine.clock.now())
        if newest is not None and newest not in expected:
            expected.append(newest)
    assert machine.carried == expected
    assert len(set(machine.carried)) == len(machine.carried)


@given(st.sampled_from(_TEXTS), _LOOKS)
@settings(max_examples=150, deadline=None)
def test_every_occurrence_is_carried_out_missed_or_passed_over_and_never_two_of_these(text: str, looks: Looks) -> None:
    """On a clock that only goes forward: all occurrences between the first and the last decided are accounted for."""
    machine = Machine(text)
    for passed_s, takes_s in looks:
        machine.clock.forward(abs(passed_s))
        machine.look(takes_s)
    kept = machine.catalog.due.schedule("step")
    assert kept is not None
    decided = [*machine.carried, *(one.due_at for one in machine.recorded if one.status == "overlapped")]
    for one in machine.recorded:
        if one.status == "missed":
            first = datetime.fromisoformat(one.mark.split(" to ")[0])
            count, at, last = times.between(schedule(text), kept[1], first - timedelta(microseconds=1), one.due_at + timedelta(seconds=1))
            assert (at, last) == (first, one.due_at)
            decided += (
                [first + k * (one.due_at - first) / max(1, count - 1) for k in range(count)] if "min" in text or "hour" in text else []
            )
    assert len(set(decided)) == len(decided)
    if decided and ("min" in text or "hour" in text):
        grid, ordered = timedelta(seconds=schedule(text).every_s), sorted(decided)
        assert all(later - earlier == grid for earlier, later in pairwise(ordered))
    for earlier, later in pairwise(machine.carried):
        assert later > earlier


@pytest.mark.parametrize("text", _TEXTS)
def test_a_clock_that_was_a_century_ahead_stops_nothing(text: str) -> None:
    """What it wrote is ahead of every occurrence to come; the schedule goes on from now."""
    machine = Machine(text)
    machine.look(0)
    machine.clock.forward(100 * 365 * 86400.0)
    machine.look(0)
    machine.clock.forward(-100 * 365 * 86400.0 + 86400)
    before = len(machine.carried)
    machine.look(0)
    assert len(machine.carried) == before + 1
    assert machine.carried[-1] <= machine.clock.now()
    assert iso(machine.carried[-1]) not in {iso(at) for at in machine.carried[:-1]}
