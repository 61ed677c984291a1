"""Due work: what becomes due, is done once, recorded with its reason, and taken up when its process dies. The clock moves when told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedplate.catalog.due import Occurrence
from bedplate.core.errors import ProjectError, UserError
from bedplate.core.records import Event, Outcome, Task
from bedplate.core.units import budget
from bedplate.pipeline.doctor import examine
from bedplate.pipeline.due.facts import DRIFT, lease_name
from bedplate.pipeline.due.rules import Ruling
from bedplate.pipeline.due.work import DueWork, Turn
from bedplate.pipeline.workspace import Workspace

DAY = 86400.0

NIGHTLY = """
@p.ingest(every="1 day")
def raw(source: Files = Files("in/*.txt")) -> list[str]:
    return sorted(path.read_text() for path in source.paths)

@p.prepare
def clean(raw: list[str]) -> list[str]:
    return [line.strip() for line in raw]

@p.step(every="0 2 * * * Europe/Berlin")
def weekly(clean: list[str]) -> int:
    return len(clean)
"""


@pytest.fixture
def folder(house: Any) -> Path:
    """The folder that the projects here ingest from, with one file."""
    place: Path = house.folder / "in"
    place.mkdir()
    (place / "a.txt").write_text("one")
    return place


def turn(house: Any, text: str = "", workspace: Workspace | None = None) -> Turn:
    """One look by a process of its own."""
    return DueWork(workspace or house.open(text)).turn()


def did(found: Turn) -> list[tuple[str, str, str]]:
    """Step, kind and how it ended."""
    return [(one.step, one.kind, one.status) for one in found.ended]


def made(found: Turn) -> list[str]:
    """The steps that ran."""
    return [step.name for summary in found.summaries for step in summary.steps if step.status == "done"]


def ruling(found: Turn, step: str) -> Ruling:
    return next(one for one in reversed(found.rulings) if one.step == step)


def kept(house: Any, status: str) -> list[Occurrence]:
    return [one for one in house.open().catalog.due.newest(100) if one.status == status]


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


class Killed(BaseException):
    """The process is gone."""


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


POLLED = NIGHTLY.replace('(every="1 day")', "").replace('(every="0 2 * * * Europe/Berlin")', "")


def test_new_data_is_due_when_it_is_there_and_once_for_each_state(house: Any, folder: Path) -> None:
    """An ingest without `every=` is looked at each time; data that fails is not tried again until it is other data."""
    assert made(turn(house, POLLED)) == ["raw", "clean", "weekly"]
    assert turn(house).summaries == ()
    (folder / "b.txt").write_text("two")
    found = turn(house)
    assert did(found) == [("raw", "data", "done")]
    assert "1 new file (" in found.ended[0].reason
    (folder / "b.txt").unlink()
    assert did(turn(house)) == [("raw", "data", "done")]
    (folder / "b.txt").write_text("two")
    assert did(turn(house)) == [("raw", "data", "done")]


def test_data_that_fails_waits_for_other_data(house: Any, folder: Path) -> None:
    turn(house, POLLED)
    (folder / "b.txt").write_bytes(b"\xff\xfe\xff")
    assert did(turn(house)) == [("raw", "data", "failed")]
    again = turn(house)
    assert again.summaries == ()
    assert "the last was failed" in ruling(again, "raw").reason
    (folder / "b.txt").write_text("two")
    assert did(turn(house)) == [("raw", "data", "done")]


@pytest.mark.bad_input
def test_a_source_that_cannot_be_listed_waits_and_says_so(house: Any, folder: Path) -> None:
    """A bucket that vanishes is no error of the loop: it is looked at again."""
    turn(house, POLLED)
    (folder / "a.txt").unlink()
    found = turn(house)
    assert found.summaries == ()
    assert ruling(found, "raw").reason.startswith("its sources cannot be listed: ")


MODEL = """
import polars as pl

def predict(params, columns):
    return [params["mean"] for _ in columns["x"]]

@p.ingest
def raw(source: Files = Files("in/*.txt")) -> list[int]:
    return sorted(len(path.read_text()) for path in source.paths)

@p.train(every="1 day", on_drift="retrain")
def mean(raw: list[int]) -> Model:
    return Model.of(predict, {"mean": sum(raw) / len(raw)}, example=pl.DataFrame({"x": [1.0]}))

@p.check(promotes="production", label_delay="2 days")
def good(mean: Model, raw: list[int]) -> Check:
    return Check.at_least("rows", len(raw), 1)

@p.service
def guess(mean: Model, x: float) -> float:
    return x
"""


def test_drift_trains_again_once_for_each_finding(house: Any, folder: Path) -> None:
    """With new data at hand; without, the same data would give the same model, and it says so."""
    turn(house, MODEL)
    (folder / "b.txt").write_text("two three")
    house.clock.forward(3600.0)
    event = Event(kind=DRIFT, subject="guess", at=house.clock.now(), data={"columns": {"x": {}}})
    house.open().catalog.events.add(event)
    found = turn(house)
    assert ("mean", "drift", "done") in did(found)
    assert "mean" in made(found)
    assert "drift was found in what guess was asked (x)" in next(one.reason for one in found.ended if one.kind == "drift")
    house.clock.forward(60.0)
    assert turn(house).summaries == ()


def test_a_check_waits_until_the_labels_of_a_version_are_old_enough_and_judges_that_version(house: Any, folder: Path) -> None:
    """Trained every day, judged after two: what is promoted is the version of then, not the newest."""
    for number in range(4):
        (folder / f"{number}.txt").write_text("x" * (number + 2))
        found = turn(house, MODEL)
        ended = {(one.step, one.kind): one for one in found.ended}
        assert ended["mean", "schedule"].status == "done", ended["mean", "schedule"].reason
        if number < 2:
            assert ("good", "labels") not in ended
        else:
            assert ended["good", "labels"].status == "done", ended["good", "labels"].reason
            assert ended["good", "labels"].mark == f"mean@{number - 1}"
            assert house.open().catalog.models.alias("mean", "production") == number - 1
        house.clock.forward(DAY)
    house.clock.forward(2 * DAY)
    turn(house)
    assert house.open().catalog.models.alias("mean", "production") == 4
    assert [one.mark for one in kept(house, "missed") if one.kind == "labels"] == ["mean@3"]


def test_missing_parts_of_a_calendar_are_made_when_their_period_is_over(house: Any) -> None:
    text = """
    @p.ingest(each=daily("2026-01-29"))
    def orders(day: str) -> str:
        return day
    """
    first = turn(house, text)
    assert first.ended[0].reason.startswith("2 of 2 parts are missing, from 2026-01-29 on")
    assert did(first) == [("orders", "keys", "done")]
    waits = ruling(turn(house), "orders")
    assert (waits.action, waits.next.isoformat()) == ("wait", "2026-02-01T00:00:00+00:00")
    house.clock.forward(DAY)
    assert turn(house).ended[0].reason.startswith("1 of 3 parts are missing, from 2026-01-31 on")


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


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('@p.step(every="0 25 * * *")\ndef a() -> int:\n    return 1', "a: every='0 25 * * *' is not a schedule"),
        (
            '@p.check(label_delay="1 day")\ndef a() -> Check:\n    return Check("a", passed=True)',
            "a has a label_delay= and receives no model",
        ),
    ],
)
def test_a_clock_that_cannot_be_is_refused_when_the_project_is_opened(house: Any, text: str, said: str) -> None:
    """With the file and the line, as every mistake of a project."""
    with pytest.raises(ProjectError) as refused:
        house.open(text)
    assert said in refused.value.what
    assert "flow.py:" in refused.value.what


def test_drift_that_nothing_can_find_is_warned_about(house: Any) -> None:
    text = '@p.train(on_drift="retrain")\ndef m() -> Model:\n    return Model.of(m, {}, example={})'
    warned = house.open(text).graph.warnings
    assert "no service uses its model" in warned[0].message


def test_a_watch_that_waits_for_labels_but_for_no_time_is_warned_about(house: Any) -> None:
    text = MODEL + '@p.watch(label_delay="1 day")\ndef w(guess: Any) -> Check:\n    return Check.at_least("n", 1, 0)\n'
    assert any(
        "label_delay= makes nothing due" in warned.message for warned in house.open("from typing import Any\n" + text).graph.warnings
    )


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
