"""Due work: what becomes due, is done once, recorded with its reason, and taken up when its process dies. The clock moves when told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from looking import DAY, NIGHTLY, Killed, did, kept, made, ruling, turn

from bedplate.core.errors import UserError
from bedplate.core.records import Outcome, Task
from bedplate.core.units import budget
from bedplate.pipeline.doctor import examine
from bedplate.pipeline.due.facts import lease_name
from bedplate.pipeline.due.work import DueWork, Turn
from bedplate.pipeline.workspace import Workspace


@pytest.fixture
def folder(house: Any) -> Path:
    """The folder that the projects here ingest from, with one file."""
    place: Path = house.folder / "in"
    place.mkdir()
    (place / "a.txt").write_text("one")
    return place


def test_what_was_never_made_is_due_at_once_and_then_not_before_its_time(house: Any, folder: Path) -> None:
    """The first look makes the ingest and what follows from it, up to the next step on the clock; the second one nothing."""
    first = turn(house, NIGHTLY)
    assert did(first) == [("raw", "schedule", "done")]
    assert made(first) == ["raw", "clean"]
    assert "made raw, clean" in first.ended[0].reason
    again = turn(house)
    assert again.summaries == ()
    assert ruling(again, "raw").next == house.clock.now() - timedelta(seconds=0) + timedelta(days=1)
    assert ruling(again, "weekly").next.isoformat() == "2026-02-01T01:00:00+00:00"


def test_an_occurrence_looks_at_the_source_anew_and_a_plain_run_does_not(house: Any, folder: Path) -> None:
    """`every=` is how long a look at the source holds, and when the next one is due."""
    turn(house, NIGHTLY)
    (folder / "b.txt").write_text("two")
    assert house.steps(house.run())["raw"] == "skipped"
    house.clock.forward(DAY)
    found = turn(house)
    assert "raw" in made(found)
    assert house.open()["clean"].load() == ["one", "two"]


def test_an_occurrence_at_which_nothing_has_changed_is_done_and_makes_nothing(house: Any, folder: Path) -> None:
    turn(house, NIGHTLY)
    house.clock.forward(DAY)
    found = turn(house)
    assert ("raw", "schedule", "done") in did(found)
    assert "nothing had changed" in next(one.reason for one in found.ended if one.step == "raw")


def test_what_was_held_up_by_a_failure_is_not_said_to_be_done(house: Any, folder: Path) -> None:
    """The data of a night did not get through: nothing was trained on them, which is not the same as nothing having changed."""
    text = NIGHTLY.replace('"0 2 * * * Europe/Berlin"', '"1 day"')
    turn(house, text)
    house.clock.forward(DAY)
    (folder / "b.txt").write_bytes(b"\xff\xfe\xff")
    found = turn(house)
    assert {(one.step, one.status) for one in found.ended} == {("raw", "failed"), ("weekly", "failed")}
    assert "weekly: it needs raw, which did not get through" in next(one.reason for one in found.ended if one.step == "weekly")
    assert all("\n" not in one.reason for one in found.ended)


def test_after_three_days_asleep_it_catches_up_once_and_records_what_was_missed(house: Any, folder: Path) -> None:
    turn(house, NIGHTLY)
    begun = house.clock.now()
    house.clock.forward(3.5 * DAY)
    found = turn(house)
    assert [one.due_at for one in found.ended if one.step == "raw"] == [begun + timedelta(days=3)]
    missed = next(one for one in kept(house, "missed") if one.step == "raw")
    assert missed.due_at == begun + timedelta(days=2)
    assert missed.reason.startswith("2 missed")
    assert turn(house).summaries == ()


def test_a_schedule_that_is_edited_counts_from_when_it_is_seen(house: Any, folder: Path) -> None:
    """What the old one had due is forgotten; the new one goes from when the step was made."""
    turn(house, NIGHTLY)
    made_at = house.clock.now()
    house.clock.forward(0.5 * DAY)
    edited = turn(house, NIGHTLY.replace('"1 day"', '"2 days"'))
    assert ruling(edited, "raw").next == made_at + timedelta(days=2)
    house.clock.forward(DAY)
    assert all(one.step != "raw" for one in turn(house).ended)


def test_a_clock_set_back_repeats_nothing_and_a_clock_that_was_a_year_ahead_stops_nothing(house: Any, folder: Path) -> None:
    """What was carried out is carried out once; what the clock of then has written ahead of now is passed over."""
    turn(house, NIGHTLY)
    house.clock.forward(DAY)
    assert ("raw", "schedule", "done") in did(turn(house))
    house.clock.forward(-3600.0)
    assert turn(house).summaries == ()
    house.clock.forward(3600.0)
    assert turn(house).summaries == ()
    house.clock.forward(365 * DAY)
    turn(house)
    house.clock.forward(-365 * DAY + 3600)
    assert turn(house).summaries == ()
    house.clock.forward(DAY)
    assert ("raw", "schedule", "done") in did(turn(house))


def test_what_comes_due_while_the_step_is_still_being_made_is_passed_over_and_recorded(house: Any, folder: Path) -> None:
    """A run of 26 hours: the occurrence after 24 is not made up for, the one after 48 is."""

    def takes_long(task: Task) -> Outcome | None:
        house.clock.forward(26 * 3600.0 if task.step == "clean" else 0.0)
        return None

    house.before = takes_long
    assert ("raw", "schedule", "done") in did(turn(house, NIGHTLY))
    house.before = lambda _task: None
    found = turn(house)
    assert all(one.step != "raw" for one in found.ended)
    assert [one.step for one in kept(house, "overlapped")] == ["raw"]
    house.clock.forward(22 * 3600.0)
    assert ("raw", "schedule", "done") in did(turn(house))


def test_two_processes_that_look_at_once_do_it_once(house: Any, folder: Path) -> None:
    """While one does it, the other finds it claimed, and its own next time passed over."""
    seen: list[Turn] = []

    def meanwhile(task: Task) -> Outcome | None:
        house.before = lambda _task: None
        seen.append(turn(house))
        return None

    house.before = meanwhile
    assert did(turn(house, NIGHTLY)) == [("raw", "schedule", "done")]
    assert seen[0].summaries == ()
    assert "is running" in ruling(seen[0], "raw").reason


def test_a_process_that_dies_leaves_its_work_to_the_next_and_what_was_finished_stays_finished(house: Any, folder: Path) -> None:
    def dies(task: Task) -> Outcome | None:
        if task.step == "clean":
            raise Killed
        return None

    house.before = dies
    with pytest.raises(Killed):
        turn(house, NIGHTLY)
    house.dies()
    house.before = lambda _task: None
    house.clock.forward(20.0)
    found = turn(house)
    assert did(found) == [("raw", "schedule", "done")]
    assert made(found) == ["clean"]
    assert found.ended[0].tries == 2
    assert found.ended[0].reason.endswith("made raw (by a process that died), clean")
    assert turn(house).summaries == ()


def test_work_over_which_five_processes_died_is_given_up(house: Any, folder: Path) -> None:
    """What ends every process that does it (memory, power) must not end them for ever."""

    def dies(_task: Task) -> Outcome | None:
        raise Killed

    house.before = dies
    for _ in range(5):
        with pytest.raises(Killed):
            turn(house, NIGHTLY)
        house.dies()
        house.clock.forward(20.0)
    found = turn(house, NIGHTLY)
    assert found.summaries == ()
    assert "5 processes died over it" in kept(house, "failed")[0].reason


def test_who_was_overtaken_cannot_say_how_it_ended(house: Any, folder: Path) -> None:
    """A process that slept through its lease (SIGSTOP, a laptop's lid) finds its work done by another."""
    seen: list[Turn] = []

    def sleeps(_task: Task) -> Outcome | None:
        house.before = lambda _task: None
        house.clock.forward(60.0)
        workspace = house.open()
        with_lease = workspace.catalog.leases.holder(lease_name("raw"))
        assert with_lease is not None
        seen.append(turn(house, workspace=workspace))
        return None

    house.before = sleeps
    late = turn(house, NIGHTLY)
    assert did(seen[0]) == [("raw", "schedule", "done")]
    assert late.ended == ()
    assert [one.status for one in house.open().catalog.due.newest() if one.step == "raw"] == ["done"]


def test_a_failed_occurrence_says_why_and_the_next_one_tries_again(house: Any, folder: Path) -> None:
    text = NIGHTLY.replace("return [line.strip() for line in raw]", 'raise ValueError("bad day")')
    found = turn(house, text)
    assert did(found) == [("raw", "schedule", "failed")]
    assert "clean: ValueError: bad day" in found.ended[0].reason
    house.clock.forward(60.0)
    assert turn(house).summaries == ()
    house.clock.forward(DAY)
    assert ("raw", "schedule", "done") in did(turn(house, NIGHTLY))


def test_a_step_that_reads_nothing_runs_anew_at_each_of_its_times_and_only_then(house: Any) -> None:
    """Nothing but running it could tell that there is something new; a process that died after it had run does not make it run again."""
    text = """
    @p.ingest(every="1 hour")
    def price() -> float:
        return 3.0

    @p.step
    def twice(price: float) -> float:
        return 2 * price
    """
    assert made(turn(house, text)) == ["price", "twice"]
    assert house.steps(house.run())["price"] == "skipped"
    for at in ("price", "twice"):
        house.clock.forward(3600.0)

        def dies(task: Task, step: str = at) -> None:
            if task.step == step:
                house.keep()
                raise Killed

        house.after = dies
        house.tasks.clear()
        text = text.replace("return ", "return 1 * ", 2)
        with pytest.raises(Killed):
            turn(house, text)
        house.killed()
        house.after = lambda _task: None
        house.clock.forward(20.0)
        turn(house)
        assert [task.step for task in house.tasks] == ["price", "twice"]


def test_a_clean_stop_is_no_try_and_the_next_look_goes_on(house: Any, folder: Path) -> None:
    workspace = house.open(NIGHTLY)

    def stops(task: Task) -> Outcome | None:
        if task.step == "raw":
            workspace.stop()
        return None

    house.before = stops
    found = DueWork(workspace).turn()
    assert found.stopped
    assert found.ended == ()
    house.before = lambda _task: None
    house.clock.forward(1.0)
    after = turn(house)
    assert did(after) == [("raw", "schedule", "done")]
    assert after.ended[0].tries == 1


def test_a_budget_that_is_spent_refuses_due_work_on_record(house: Any, folder: Path) -> None:
    """It is not tried again before its next time."""
    house.settings["price"] = "3600000 USD/hour"
    turn(house, NIGHTLY)
    workspace = house.open()
    workspace.parts.loaded.project.budget = budget("1 USD/month")
    (folder / "b.txt").write_text("two")
    house.clock.forward(DAY)
    found = turn(house, workspace=workspace)
    assert ("raw", "schedule", "refused") in did(found)
    assert "does not allow this" in kept(house, "refused")[0].reason
    assert turn(house).summaries == ()


@pytest.mark.bad_input
def test_due_work_on_a_target_beside_the_projects_own_is_refused(house: Any, folder: Path) -> None:
    """Its versions are side versions: the work would be taken for done."""
    workspace = house.open(NIGHTLY)
    beside = Workspace(msgspec.structs.replace(workspace.parts, config=msgspec.structs.replace(workspace.config, target="big", aside=True)))
    with pytest.raises(UserError, match="on the project's own target"):
        DueWork(beside).turn()
    assert DueWork(beside).plan()


def test_plan_says_all_this_and_writes_nothing(house: Any, folder: Path) -> None:
    work = DueWork(house.open(NIGHTLY))
    assert [(one.step, one.action) for one in work.plan()] == [("raw", "run"), ("weekly", "wait")]
    assert house.open().catalog.due.schedule("raw") is None
    assert msgspec.json.encode(work.plan())


def test_doctor_says_when_nobody_looks_any_more_and_how_it_went_last(house: Any, folder: Path) -> None:
    """Before anybody looked it says nothing: who runs by hand needs no clock."""

    def told() -> list[tuple[str, str]]:
        return [(one.level, one.what) for one in examine(house.open()) if one.area == "due work"]

    house.open(NIGHTLY)
    assert told() == []
    turn(house)
    assert told() == [("ok", "what was due was made, and the last of each went well: 1")]
    house.clock.forward(DAY + 7200.0)
    assert ("warning", "raw has been due since 2026-02-01 07:00:00 UTC (schedule): nobody looks") in told()
    turn(house, NIGHTLY.replace("return [line.strip() for line in raw]", 'raise ValueError("bad day")'))
    (level, what), *_ = told()
    assert level == "warning"
    assert what.startswith("raw failed: every 1 day")
