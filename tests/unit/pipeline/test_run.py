"""The run loop: failures, retries, leases that others hold, stopping, and what a run says at its end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bedplate.compute.inline import InlineExecutor
from bedplate.core.records import Outcome, Task

FORK = """
@p.step
def a() -> int:
    return 1

@p.step
def b(a: int) -> int:
    return a + 1

@p.step
def c(b: int) -> int:
    return b + 1

@p.step
def other() -> int:
    return 10

@p.step
def last(other: int) -> int:
    return other + 1
"""
ONE = """
@p.step(NEEDS)
def a() -> int:
    return 1
"""


def ends(step: str, cause: str, times: int, message: str = "it went wrong") -> Any:
    """A `before` under which the first attempts at a step end with this cause."""
    left = [times]

    def before(task: Task) -> Outcome | None:
        if task.step != step or not left[0]:
            return None
        left[0] -= 1
        return Outcome(attempt=task.attempt, task=task, cause=cause, message=message)  # type: ignore[arg-type]  # a Literal, as text

    return before


def test_a_failure_holds_up_what_needs_it_and_nothing_else(house: Any) -> None:
    summary = house.run(FORK.replace("a + 1", "a / 0"))
    assert not summary.ok
    assert summary.run.status == "failed"
    assert house.steps(summary) == {"a": "done", "b": "failed", "c": "cancelled", "other": "done", "last": "done"}
    assert summary.failures == {"b": "ZeroDivisionError: division by zero"}
    assert house.told("step.cancelled") == ["it needs b, which did not get through"]
    failed = next(said for said in house.said if said.kind == "step.failed")
    assert "in b\n    return a / 0" in failed.data["traceback"]
    assert failed.data["traceback"].startswith('  File "')


def test_what_failed_runs_again_and_what_was_done_does_not(house: Any) -> None:
    house.run(FORK.replace("a + 1", "a / 0"))
    summary = house.run(FORK)
    assert house.steps(summary) == {"a": "skipped", "b": "done", "c": "done", "other": "skipped", "last": "skipped"}


def test_the_record_knows_how_every_step_and_attempt_ended(house: Any) -> None:
    summary = house.run(FORK.replace("a + 1", "a / 0"))
    catalog = house.open().catalog
    steps = {step.name: step for step in catalog.runs.steps(summary.run.id)}
    assert {name: step.status for name, step in steps.items()} == house.steps(summary)
    assert steps["c"].why == "it needs b, which did not get through"
    [attempt] = catalog.runs.attempts(summary.run.id, "b")
    assert (attempt.status, attempt.cause, attempt.message) == ("failed", "code", "ZeroDivisionError: division by zero")
    assert catalog.runs.get(summary.run.id).status == "failed"
    assert catalog.runs.get(summary.run.id).ended_at is not None
    assert catalog.leases.held() == []


def test_a_run_ends_with_every_step_and_every_version(house: Any) -> None:
    summary = house.run(FORK)
    assert summary.ok
    assert summary.run.status == "done"
    assert {name: version.ref for name, version in summary.versions.items()} == {
        name: f"{name}@1" for name in ("a", "b", "c", "other", "last")
    }
    assert all(step.result and step.started_at and step.ended_at for step in summary.steps)
    assert house.said[0].kind == "run.started"
    assert house.said[-1].text == "done"


def test_only_what_is_named_and_what_it_needs_is_run(house: Any) -> None:
    assert house.steps(house.run(FORK, "b")) == {"a": "done", "b": "done"}


def test_only_runs_the_step_on_what_is_there(house: Any) -> None:
    """`bedplate step c` without a version of `b` is blocked; with one it runs alone."""
    summary = house.run(FORK, "c", only=True)
    assert "'b' has no version yet" in summary.failures["c"]
    house.run(FORK, "b")
    assert house.steps(house.run(FORK, "c", only=True)) == {"c": "done"}


@pytest.mark.parametrize(("cause", "waited"), [("code", 2.0), ("time", 2.0), ("lost", 1.0), ("world", 1.0)])
def test_a_cause_that_may_pass_is_tried_again_after_a_wait(house: Any, cause: str, waited: float) -> None:
    house.before = ends("a", cause, 1)
    before = house.clock.monotonic() + 1.0
    summary = house.run(ONE.replace("NEEDS", "retries=1"))
    assert summary.ok
    assert house.clock.monotonic() - before == pytest.approx(waited, abs=0.01)
    assert "it went wrong; again in" in house.told("step.retried")[0]
    attempts = house.open().catalog.runs.attempts(summary.run.id, "a")
    assert [(one.number, one.status, one.cause) for one in attempts] == [(1, "failed", cause), (2, "done", "")]


def test_code_without_retries_is_not_tried_again(house: Any) -> None:
    house.before = ends("a", "code", 1)
    assert house.run(ONE.replace("NEEDS", "")).failures == {"a": "it went wrong"}


def test_a_user_s_mistake_is_not_tried_again_whatever_retries_says(house: Any) -> None:
    house.before = ends("a", "user", 1)
    assert not house.run(ONE.replace("NEEDS", "retries=5")).ok
    assert len(house.tasks) == 1


def test_out_of_memory_is_tried_again_at_once_with_twice_then_four_times_as_much(house: Any) -> None:
    house.before = ends("a", "memory", 2)
    before = house.clock.monotonic() + 1.0
    summary = house.run(ONE.replace("NEEDS", 'memory="1 GB", retries=2'))
    assert summary.ok
    assert [job.needs.memory_bytes for job in house.jobs] == [1e9, 2e9, 4e9]
    assert house.clock.monotonic() == before


def test_a_run_s_end_names_the_failure_of_the_last_try(house: Any) -> None:
    house.before = ends("a", "lost", 3, "its worker was killed by SIGKILL")
    summary = house.run(ONE.replace("NEEDS", "retries=2"))
    assert summary.failures == {"a": "its worker was killed by SIGKILL"}
    assert len(house.jobs) == 3


def test_what_another_run_makes_is_waited_for_and_used(house: Any) -> None:
    house.open(FORK)
    [lease] = house.another("r-other", "a")
    waits = []

    def asleep() -> None:
        waits.append(1)
        if len(waits) == 3:
            workspace = house.open()
            workspace.catalog.leases.release([lease])
            workspace.run("a")

    house.asleep = asleep
    summary = house.run()
    assert house.steps(summary) == {"a": "skipped", "b": "done", "c": "done", "other": "done", "last": "done"}
    assert summary.versions["a"].number == 1
    assert house.told("step.held") == ["another run is making it"], "said once, however often it looks again"


def test_a_holder_that_dies_meanwhile_is_taken_over_from(house: Any) -> None:
    """Its lease has not expired, but its process on this machine is gone."""
    house.open(FORK)
    house.another("r-other", "a")
    house.asleep = lambda: house.processes.pop(99, None)
    summary = house.run()
    assert summary.ok
    assert house.open().catalog.runs.attempts(summary.run.id, "a")[0].fence == 2


def test_a_holder_on_another_machine_is_waited_for_until_its_lease_ends(house: Any) -> None:
    house.open(FORK)
    house.another("r-other", "a", host="elsewhere")
    started = house.clock.monotonic()
    assert house.run().ok
    assert 15.0 <= house.clock.monotonic() - started < 20.0


def test_a_lease_lost_at_the_commit_fails_that_attempt_only(house: Any) -> None:
    """Two steps come back together; one lost its lease to another run, whose result it then stands on."""
    house.open(FORK)
    house.another("r-other")

    def steal(task: Task) -> None:
        if task.step == "a":
            catalog = house.open().catalog
            assert catalog.leases.steal(catalog.leases.holder("a"), "r-other", house.clock.now(), 2.0)
            house.after = lambda _task: None

    house.after = steal
    summary = house.run()
    assert summary.ok
    attempts = house.open().catalog.runs.attempts(summary.run.id)
    ended = {(one.step, one.number): (one.status, one.cause) for one in attempts}
    assert ended["a", 1] == ("failed", "world")
    assert ended["other", 1] == ("done", "")
    assert "the lease on 'a' was lost" in next(one.message for one in attempts if one.step == "a" and one.number == 1)
    assert summary.versions["a"].number == 1


def test_leases_are_renewed_while_steps_run(house: Any) -> None:
    """Three steps that were started at once end one after the other, after 6, 12 and 18 s: no lease of 15 s has run out."""
    expires = {}

    def before(task: Task) -> None:
        held = house.open().catalog.leases.held()
        expires[task.step] = next(lease.expires_at for lease in held if lease.name == task.step)
        house.clock.forward(6.0)

    house.before, house.together = before, False
    assert house.run("".join(f"@p.step\ndef {name}() -> int:\n    return 1\n" for name in "xyz")).ok
    assert [(expires[name] - expires["x"]).total_seconds() for name in "xyz"] == [0.0, 6.0, 12.0]


def test_stop_lets_nothing_new_start_and_what_runs_ends_as_cancelled(house: Any) -> None:
    workspace = house.open(FORK)

    def before(task: Task) -> Outcome | None:
        if task.step != "other":
            return None
        workspace.stop()
        return Outcome(attempt=task.attempt, task=task, cause="cancelled", message="stopped on request")

    house.before = before
    summary = workspace.run(emit=house.said.append)
    assert summary.run.status == "cancelled"
    assert house.steps(summary) == {"a": "done", "other": "cancelled"}
    assert summary.failures == {}
    assert house.told("step.failed") == []
    assert workspace.catalog.runs.attempts(summary.run.id, "other")[0].status == "cancelled"
    assert workspace.catalog.leases.held() == []


def test_after_a_stop_the_next_run_goes_on_where_it_was(house: Any) -> None:
    workspace = house.open(FORK)
    house.after = lambda task: workspace.stop()
    assert workspace.run().run.status == "cancelled"
    house.after = lambda task: None
    summary = house.run()
    assert summary.ok
    assert house.steps(summary)["a"] == "skipped"


def test_a_stop_before_the_run_has_begun_stops_nothing(house: Any) -> None:
    workspace = house.open(FORK)
    workspace.stop()
    assert workspace.run().ok


PARTS = """
@p.ingest
def days() -> list[str]:
    return ["mon", "tue", "wed"]

@p.prepare(each="days")
def raw(days: str) -> int:
    return 1 // (days != "tue")

@p.prepare
def week(raw: dict) -> int:
    return sum(raw.values())
"""


def test_a_part_that_fails_fails_its_step_and_keeps_the_other_parts(house: Any) -> None:
    summary = house.run(PARTS)
    steps = house.steps(summary)
    assert (steps["raw[mon]"], steps["raw[tue]"], steps["raw[wed]"], steps["week"]) == ("done", "failed", "done", "cancelled")
    again = house.run(PARTS.replace('(days != "tue")', "1"))
    assert again.ok


def test_the_parts_behind_one_that_fails_are_tried_too(house: Any) -> None:
    """With room for one at a time, as for many: each part is made or has its own failure, and what needs them is held up once."""
    house.together = False
    text = PARTS.replace('"mon", "tue", "wed"', '"tue", "mon", "wed", "thu", "fri"').replace('!= "tue"', 'not in ("tue", "wed")')
    summary = house.run(text)
    steps = house.steps(summary)
    assert {part: steps[f"raw[{part}]"] for part in ("tue", "mon", "wed", "thu", "fri")} == {
        "tue": "failed", "mon": "done", "wed": "failed", "thu": "done", "fri": "done"
    }  # fmt: skip
    assert "raw" not in steps
    assert list(summary.failures) == ["raw"]
    assert house.told("step.cancelled") == ["it needs raw, which did not get through"]
    again = house.steps(house.run(text.replace('1 // (days not in ("tue", "wed"))', "1")))
    assert [again[f"raw[{part}]"] for part in ("tue", "mon", "wed", "thu", "fri")] == ["done"] * 5


def test_parts_that_were_done_are_not_done_again_after_a_failure(house: Any) -> None:
    house.before = ends("raw", "code", 1)
    text = PARTS.replace('1 // (days != "tue")', "1")
    house.run(text)
    steps = house.steps(house.run(text))
    assert (steps["raw[mon]"], steps["raw[tue]"], steps["raw[wed]"], steps["week"]) == ("done", "skipped", "skipped", "done")


def test_what_a_step_says_is_kept_with_its_attempt_and_shown_with_a_hit(house: Any) -> None:
    text = """
    @p.train
    def late(context: Context) -> Model:
        for at in range(3):
            context.metric("loss", 1.0 / (at + 1), at)
        context.param("depth", 3)
        return Model.of(predict, {"w": 1.0}, example=[{"x": 1.0}])

    def predict(params: dict, columns: dict) -> object:
        return columns["x"]
    """
    summary = house.run(text)
    runs = house.open().catalog.runs
    assert runs.metrics(summary.versions["late"].attempt) == {"loss": pytest.approx(1 / 3)}
    assert runs.params(summary.versions["late"].attempt) == {"depth": 3}
    assert len(house.told("step.metric")) == 3
    house.run(text)
    assert house.told("step.skipped") == ["unchanged since late@1, loss 0.3333"]


def test_a_step_that_opens_a_file_beside_its_inputs_is_warned_about(house: Any) -> None:
    (house.folder / "hidden.txt").write_text("3")
    text = f"""
    @p.step
    def a() -> int:
        with open({str(house.folder / "hidden.txt")!r}) as file:
            return int(file.read())
    """
    house.run(text)
    assert house.told("step.warned") == [f"opened {house.folder / 'hidden.txt'}, which is not one of its inputs"]


def test_an_interrupt_in_a_step_of_this_process_stops_the_run(house: Any) -> None:
    """The stop button of a notebook: the step ends as cancelled, nothing new starts, and the next run goes on."""

    def interrupt(task: Task) -> None:
        if task.step == "b":
            raise KeyboardInterrupt

    house.before, house.together = interrupt, False
    summary = house.run(FORK)
    assert summary.run.status == "cancelled"
    assert summary.failures == {}
    house.before = lambda _task: None
    assert house.run(FORK).ok
    assert house.open().catalog.runs.open_attempts() == []


def test_a_step_in_this_process_hears_that_it_should_stop(house: Any) -> None:
    text = """
    @p.step
    def a(context: Context) -> bool:
        p.ask_to_stop()
        return context.stopping()
    """
    workspace = house.open(text)
    house.loaded.project.ask_to_stop = workspace.stop
    assert workspace.run().run.status == "cancelled"
    assert workspace["a"].load() is True


def test_a_stop_says_what_it_waits_for_and_a_second_one_ends_it_now(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first stop gives the running step its grace, the second none; each is said once."""
    graces: list[float] = []
    workspace = house.open("""
    @p.step
    def a() -> int:
        return 1
    """)
    heard: list[str] = []

    class Slow(InlineExecutor):
        def wait(self, timeout_s: float) -> list[Any]:
            if len(graces) < 2:
                workspace.stop()
                return []
            return super().wait(timeout_s)

        def stop(self, grace_s: float) -> None:
            graces.append(grace_s)
            if grace_s == 0.0:
                super().stop(grace_s)

    workspace.parts = msgspec.structs.replace(workspace.parts, executor=lambda stopping: Slow(lambda payload, report: b""))
    summary = workspace.run(emit=lambda said: heard.append(said.text) if said.kind == "run.stopping" else None)
    assert summary.run.status == "cancelled"
    assert graces == [10.0, 0.0]
    assert heard == ["stopping: a has 10 s to checkpoint; Ctrl-C again ends it now", "stopping: a is ended now"]


def test_a_notebook_shows_what_is_held_and_how_a_run_ended_on_a_line(house: Any) -> None:
    summary = house.run(FORK)
    assert repr(summary) == f"<run {summary.run.id}: done, 5 done>"
    assert repr(house.open()["b"]) == "<b: 1 version, head b@1>"
    assert repr(house.run(FORK)).endswith(": done, 5 skipped>")
