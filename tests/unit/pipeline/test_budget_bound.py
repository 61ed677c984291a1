"""The bound of budgets, simulated: whatever begins when, dies or takes its time to stop, all overspend by no more than one beat."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import Refused
from bedplate.core.project import Project
from bedplate.core.records import Attempt, Run, Usage
from bedplate.pipeline.spending import Purse
from bedplate.testing.clock import ManualClock

PRICE, BEAT_S, GRACE_S, LIMIT = 36.0, 5.0, 10.0, 2.0
"""A cent a second; two dollars a day."""
Plan = tuple[int, int, float, bool, int]
"""A process: the beat at which it begins, how many it would go on for, its low forecast, whether it dies, how long it takes to stop."""
_PLANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 80), st.sampled_from([0.0, 0.1, 0.9]), st.booleans(), st.integers(0, 2)),
    min_size=1, max_size=6,
)  # fmt: skip


class Process:
    """One run with one attempt, by its plan; `cost` is what its time really costs."""

    def __init__(self, world: World, number: int, plan: Plan) -> None:
        self.world = world
        self.name = f"r{number}"
        self.begins, self.beats, self.low, self.dies, self.stops = plan
        self.left: int | None = None
        self.cost = 0.0
        self.over = False
        self.attempt: Attempt | None = None
        self.purse: Purse | None = None

    def step(self, beat: int) -> None:
        """What it does at a beat of the world's clock."""
        if self.over or beat < self.begins:
            return
        if self.attempt is None:
            self._begin()
            return
        assert self.purse is not None
        self.cost += BEAT_S * PRICE / 3600
        self.beats -= 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self._end()
        elif self.beats <= 0:
            self.over = self.dies
            if not self.dies:
                self._end()
        elif self.purse.beat():
            self.left = self.stops - 1
            if self.left < 0:
                self._end()

    def _begin(self) -> None:
        world = self.world
        self.purse = Purse(world.catalog, world.project, price=PRICE, clock=world.clock, spender=self.name, interval_s=BEAT_S)
        try:
            self.purse.open(self.low)
        except Refused:
            self.over = True
            return
        now = world.clock.now()
        world.catalog.runs.begin(Run(id=self.name, project="p", target="local", command="", started_at=now))
        self.attempt = Attempt(id=f"a-{self.name}", run=self.name, step="s", started_at=now)
        world.catalog.runs.begin_attempts([self.attempt])

    def _end(self) -> None:
        assert self.attempt is not None
        assert self.purse is not None
        usage = Usage(wall_s=self.cost / PRICE * 3600, cost_usd=self.cost)
        ended = msgspec.structs.replace(self.attempt, status="done", ended_at=self.world.clock.now(), usage=usage)
        self.world.catalog.runs.begin_attempts([ended])
        self.purse.close()
        self.over = True


class World:
    """A record, a clock and some processes."""

    def __init__(self, plans: list[Plan]) -> None:
        self.clock = ManualClock()
        self.catalog = Catalog.open(open_database(Path("nowhere/at-all.db"), makes=False), self.clock)
        self.project = Project("p", budget=f"{LIMIT} USD/day")
        self.processes = [Process(self, number, plan) for number, plan in enumerate(plans)]

    def run(self) -> float:
        """Let it all happen; what it cost."""
        for beat in range(160):
            for process in self.processes:
                process.step(beat)
            self.clock.forward(BEAT_S)
        return sum(process.cost for process in self.processes)


@given(_PLANS)
@settings(max_examples=250, deadline=None)
def test_all_processes_together_overspend_by_no_more_than_they_cost_in_one_beat(plans: list[Plan]) -> None:
    """That of one which stops, and the last beat of each that died, which nobody could write down any more."""
    world = World(plans)
    cost, died = world.run(), sum(process.dies for process in world.processes)
    assert cost <= LIMIT + (1 + died) * BEAT_S * PRICE / 3600 + 1e-9


def test_a_budget_that_suffices_stops_nobody() -> None:
    """Four processes that need 1.60 of 2 dollars all get through: what is set aside comes back."""
    world = World([(beat, 8, 0.3, False, 0) for beat in (0, 0, 20, 20)])
    assert world.run() == pytest.approx(1.6)
