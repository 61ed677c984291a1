"""After a power cut: what was finished stays, what was staged is adopted, what was half-done is given up."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.core.records import Task

CHAIN = """
@p.step
def a(context: Context) -> int:
    context.metric("size", 3)
    return 1

@p.step
def b(a: int) -> int:
    return a + 1
"""


def cut_at(house: Any, step: str, *, staged: bool) -> None:
    """The power fails when `step` has its outcome staged, or before it began to work."""

    def keep(task: Task) -> None:
        if task.step == step:
            house.keep()

    if staged:
        house.after = keep
    else:
        house.before = keep
    house.run(CHAIN)
    house.before = house.after = lambda _task: None
    house.killed()


def open_runs(house: Any) -> list[str]:
    return [run.id for run in house.open().catalog.runs.running()]


def test_a_staged_outcome_of_a_dead_run_is_adopted_not_made_again(house: Any) -> None:
    cut_at(house, "b", staged=True)
    [dead] = open_runs(house)
    summary = house.run(CHAIN)
    assert house.steps(summary) == {"a": "skipped", "b": "skipped"}
    assert house.tasks == []
    catalog = house.open().catalog
    [attempt] = catalog.runs.attempts(dead, "b")
    assert (attempt.status, attempt.message) == ("done", "adopted by a later run")
    assert summary.versions["b"].attempt == attempt.id
    assert catalog.runs.get(dead).status == "failed"
    assert catalog.leases.held() == []


def test_what_the_adopted_step_said_is_kept_too(house: Any) -> None:
    cut_at(house, "a", staged=True)
    summary = house.run(CHAIN)
    assert house.steps(summary) == {"a": "skipped", "b": "done"}
    assert house.open().catalog.runs.metrics(summary.versions["a"].attempt) == {"size": 3.0}


def test_an_attempt_that_staged_nothing_is_given_up_and_made_again(house: Any) -> None:
    cut_at(house, "b", staged=False)
    [dead] = open_runs(house)
    summary = house.run(CHAIN)
    assert house.steps(summary) == {"a": "skipped", "b": "done"}
    catalog = house.open().catalog
    [attempt] = catalog.runs.attempts(dead, "b")
    assert (attempt.status, attempt.cause) == ("failed", "lost")
    assert {step.name: step.status for step in catalog.runs.steps(dead)} == {"a": "done", "b": "failed"}
    assert catalog.runs.open_attempts() == []


def test_a_staged_outcome_that_cannot_be_read_is_given_up(house: Any) -> None:
    """A torn file stops nothing: the step is made again."""
    cut_at(house, "b", staged=True)
    [staged] = (house.folder / ".bedplate" / "store" / "staged").iterdir()
    staged.write_text("{")
    summary = house.run(CHAIN)
    assert house.steps(summary) == {"a": "skipped", "b": "done"}
    assert not staged.exists()


def test_an_outcome_of_a_step_that_is_gone_from_the_project_is_given_up(house: Any) -> None:
    cut_at(house, "b", staged=True)
    assert house.steps(house.run(CHAIN.split("@p.step\ndef b", maxsplit=1)[0])) == {"a": "skipped"}
    assert house.open().catalog.runs.open_attempts() == []


def test_the_leases_of_a_dead_run_are_taken_over_at_once(house: Any) -> None:
    """Not after they expire; with the next fence, so that what may be left of the dead run cannot commit."""
    cut_at(house, "b", staged=False)
    [held] = house.open().catalog.leases.held()
    assert held.name == "b"
    started = house.clock.monotonic()
    summary = house.run(CHAIN)
    assert house.clock.monotonic() - started == pytest.approx(1.0)
    [attempt] = house.open().catalog.runs.attempts(summary.run.id, "b")
    assert attempt.fence == held.fence + 1


def test_a_staged_outcome_whose_lease_another_took_is_given_up(house: Any) -> None:
    """Somebody else has the right to write it: that an old outcome is staged counts for nothing."""
    cut_at(house, "b", staged=True)
    catalog = house.open().catalog
    house.another("r-other")
    [held] = catalog.leases.held()
    stolen = catalog.leases.steal(held, "r-other", house.clock.now(), 2.0)
    summary = house.run(CHAIN)
    assert house.steps(summary) == {"a": "skipped", "b": "done"}
    assert catalog.runs.attempt(summary.versions["b"].attempt).fence == stolen.fence + 1


def test_a_run_that_is_alive_is_left_alone(house: Any) -> None:
    """Its attempt is open because it is working: nothing of it is adopted or given up."""
    seen = []

    def during(task: Task) -> None:
        if task.step == "b":
            house.after = lambda _task: None
            inner = house.open()
            inner.run("a")
            seen.extend(inner.catalog.runs.open_attempts())

    house.after = during
    assert house.run(CHAIN).ok
    assert [attempt.step for attempt in seen] == ["b"]


def test_a_run_of_another_machine_is_left_alone_while_its_leases_hold(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its process lives cannot be seen from here; when its lease has ended the step is made here."""
    with monkeypatch.context() as there:
        there.setattr("platform.node", lambda: "elsewhere")
        cut_at(house, "b", staged=True)
    started = house.clock.monotonic()
    summary = house.run(CHAIN)
    assert house.steps(summary) == {"a": "skipped", "b": "done"}
    assert house.clock.monotonic() - started > 10.0
    assert house.run(CHAIN).ok
    assert house.open().catalog.runs.open_attempts() == []


def test_recovery_twice_changes_nothing_more(house: Any) -> None:
    cut_at(house, "b", staged=True)
    first = house.run(CHAIN)
    second = house.run(CHAIN)
    assert {name: v.ref for name, v in first.versions.items()} == {name: v.ref for name, v in second.versions.items()}
    assert open_runs(house) == []


def test_side_versions_that_are_adopted_stay_beside_the_head(house: Any) -> None:
    text = CHAIN.replace("def b(a: int)", "def b(a: int, plus: int = 1)").replace("a + 1", "a + plus")
    house.run(text)

    def keep(task: Task) -> None:
        if task.step == "b":
            house.keep()

    house.after = keep
    house.run(text, settings={"b.plus": 5})
    house.after = lambda _task: None
    house.killed()
    house.run(text)
    workspace = house.open()
    assert workspace.catalog.artifacts.head("b").number == 1
    assert workspace["b"].load(2) == 6
