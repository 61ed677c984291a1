"""Purses: money is set aside before it is spent, across runs, services and processes that die; the clock moves when told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bedplate.catalog.spending import Spent
from bedplate.core.errors import Refused
from bedplate.core.records import Attempt, Outcome, Run, Task, Usage
from bedplate.core.units import budget
from bedplate.pipeline.spending import STOPPED, Purse, spent

PRICE = 36.0
"""Dollars an hour: a cent a second."""
ONE = """
@p.step
def a() -> int:
    return 1
"""


def purse(house: Any, run: str, limit: str = "1 USD/day") -> Purse:
    """What a run of a process of its own may spend; a look every 5 s, and 10 s to stop."""
    workspace = house.open(ONE) if house.loaded is None else house.open()
    workspace.parts.loaded.project.budget = budget(limit)
    project = workspace.parts.loaded.project
    return Purse(workspace.catalog, project, price=PRICE, clock=house.clock, spender=run, interval_s=5.0)


def begins(house: Any, run: str, attempt: str) -> Attempt:
    """An attempt of a run begins now."""
    catalog, now = house.open().catalog, house.clock.now()
    if all(known.id != run for known in catalog.runs.last(50)):
        catalog.runs.begin(Run(id=run, project="p", target="local", command="", started_at=now))
    begun = Attempt(id=attempt, run=run, step="a", started_at=now)
    catalog.runs.begin_attempts([begun])
    return begun


def goes(house: Any, one: Purse, most_s: int = 10_000) -> float:
    """Let it run until its purse says stop; returns the dollars that its time has cost by then."""
    for beat in range(1, most_s // 5):
        house.clock.forward(5.0)
        if one.beat():
            return beat * 5.0 * PRICE / 3600
    pytest.fail("nothing stopped it")


def test_a_run_is_stopped_before_the_budget_is_spent_with_the_grace_to_stop(house: Any) -> None:
    """A dollar at a cent a second: after 85 or 90 s, so that 10 s of grace stay within it."""
    one = purse(house, "r")
    one.open(0.0)
    begins(house, "r", "a1")
    cost = goes(house, one)
    assert 0.80 <= cost <= 0.90
    event = house.open().catalog.events.last(STOPPED, "r")
    assert event is not None
    assert "of 1.00 USD" in event.data["why"]


def test_two_processes_cannot_both_spend_the_last_of_it(house: Any) -> None:
    """Together they cost no more than the budget; what each has set aside is gone for the other."""
    both = [purse(house, "r1"), purse(house, "r2")]
    for number, one in enumerate(both, 1):
        one.open(0.0)
        begins(house, f"r{number}", f"a{number}")
    running = dict(enumerate(both))
    cost = 0.0
    while running:
        house.clock.forward(5.0)
        cost += len(running) * 5.0 * PRICE / 3600
        for number, one in list(running.items()):
            if one.beat():
                del running[number]
                ended = house.open().catalog.runs.attempt(f"a{number + 1}")
                _ends(house, ended)
                one.close()
    assert 0.75 <= cost <= 1.0


def _ends(house: Any, attempt: Attempt) -> None:
    """It ended now, and carries what it cost."""
    wall = (house.clock.now() - attempt.started_at).total_seconds()
    usage = Usage(wall_s=wall, cost_usd=wall / 3600 * PRICE)
    ended = msgspec.structs.replace(attempt, status="cancelled", ended_at=house.clock.now(), usage=usage)
    house.open().catalog.runs.begin_attempts([ended])


def test_a_plan_that_costs_most_of_it_leaves_too_little_for_the_next(house: Any) -> None:
    """The low end of the first one's forecast is set aside as long as it goes on."""
    purse(house, "r1").open(0.7)
    with pytest.raises(Refused, match="does not allow this"):
        purse(house, "r2").open(0.4)
    purse(house, "r3").open(0.0)


def test_what_a_dead_process_had_set_aside_is_free_again_and_what_it_had_spent_is_not(house: Any) -> None:
    """Killed after 30 s: 30 cents are gone though no attempt ever ended."""
    one = purse(house, "r1")
    one.open(0.6)
    begins(house, "r1", "a1")
    for _ in range(6):
        house.clock.forward(5.0)
        assert one.beat() == ""
    house.clock.forward(120.0)
    catalog, now = house.open().catalog, house.clock.now()
    assert catalog.spending.held(now) == 0.0
    assert spent(catalog, budget("1 USD/day"), now) == pytest.approx(0.30)
    with pytest.raises(Refused):
        purse(house, "r2").open(0.71)
    purse(house, "r2").open(0.69)


def test_what_an_ended_attempt_cost_is_counted_once(house: Any) -> None:
    """Its own cost takes the place of what was written while it ran, also where its process died before it could say so."""
    one = purse(house, "r1")
    one.open(0.0)
    attempt = begins(house, "r1", "a1")
    house.clock.forward(20.0)
    assert one.beat() == ""
    _ends(house, attempt)
    catalog = house.open().catalog
    assert spent(catalog, budget("1 USD/day"), house.clock.now()) == pytest.approx(0.20)
    one.close()
    assert spent(catalog, budget("1 USD/day"), house.clock.now()) == pytest.approx(0.20)


def test_what_was_spent_before_the_period_is_free_again(house: Any) -> None:
    one = purse(house, "r1")
    one.open(0.0)
    _ends(house, begins(house, "r1", "a1"))
    catalog = house.open().catalog
    catalog.spending.put(Spent(spender="s", hour=house.clock.now(), kind="service", usd=0.9, held_until=house.clock.now()))
    with pytest.raises(Refused):
        purse(house, "r2").open(0.2)
    house.clock.forward(86_401.0)
    purse(house, "r2").open(0.2)


def test_a_run_that_its_budget_stops_says_so_and_another_is_refused(house: Any) -> None:
    """Through the run loop: the beat that finds the money gone ends the run; its state is cancelled, with the reason."""
    house.settings["price"] = "36 USD/hour"
    workspace = house.open(ONE + "\n@p.step\ndef b(a: int) -> int:\n    return a\n")
    workspace.parts.loaded.project.budget = budget("1 USD/day")

    def overspends(task: Task) -> Outcome | None:
        if task.step == "a":
            spender = Spent(spender="elsewhere", hour=house.clock.now(), kind="service", usd=2.0, held_until=house.clock.now())
            workspace.catalog.spending.put(spender)
            why = Purse(
                workspace.catalog, workspace.parts.loaded.project, price=PRICE, clock=house.clock, spender=task.run, interval_s=5.0
            ).beat()
            workspace.stop_once(why)
        return None

    house.before = overspends
    summary = workspace.run()
    assert summary.run.status == "cancelled"
    assert summary.stopped.startswith("the budget of p allows no more: 2.")
    assert house.steps(summary) == {"a": "done"}
    with pytest.raises(Refused):
        workspace.run()
