"""What every Executor owes its caller. Subclass `ExecutorContract` in a test file and give it `make`.

    class TestMyExecutor(ExecutorContract):
        def make(self) -> Executor:
            return MyExecutor(handler="bedplate.testing.executor_contract:make_handle")

Covered: what holds for an executor in one process as for one over many. Not covered: limits and lost processes, which an inline
executor cannot have; their tests stand beside the executors that do. Needs pytest.
"""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedplate.compute.executor import Ended, Executor, Handle, Job, Progress, Spent
from bedplate.compute.slots import pick
from bedplate.core.errors import InternalError
from bedplate.core.project import Needs

_PATIENCE_S = 30.0


def make_handle(stopping: Callable[[], bool]) -> Handle:
    """A handle for the suite: the payload's first word says what to do with the rest."""

    def handle(payload: bytes, report: Callable[[bytes], None]) -> bytes:
        word, _, rest = payload.partition(b" ")
        if word == b"report":
            for number in range(int(rest)):
                report(b"%d" % number)
        elif word == b"raise":
            raise ValueError(rest.decode())
        elif word == b"spent":
            raise Spent(rest)
        elif word == b"work":
            until = time.process_time() + float(rest)
            while time.process_time() < until:
                pass
        return rest

    return handle


class ExecutorContract(ABC):
    """Tests of one executor; each gets a fresh one and a folder for logs."""

    @abstractmethod
    def make(self) -> Executor:
        """An executor whose workers run `make_handle`."""

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        """Made for one test and closed after it."""
        executor = self.make()
        yield executor
        executor.close()

    @pytest.fixture
    def job(self, tmp_path: Path) -> Callable[..., Job]:
        """`job(b"echo hi")`: a job with an id of its own."""
        numbers = itertools.count()

        def make(payload: bytes, **fields: object) -> Job:
            number = next(numbers)
            return Job(**{"id": f"job-{number}", "payload": payload, "log": tmp_path / f"{number}.log", **fields})  # type: ignore[arg-type] # fields of a Job

        return make

    def test_a_job_answers_with_what_its_handle_returned(self, executor: Executor, job: Callable[..., Job]) -> None:
        """Bytes in, bytes out, one end, no cause; every byte value and no bytes at all survive."""
        for rest in (b"", bytes(range(256)), b"x" * 1_000_000):
            ended = run(executor, job(b"echo " + rest))
            assert (ended.cause, ended.payload) == ("", rest)

    def test_progress_comes_in_order_and_before_the_end(self, executor: Executor, job: Callable[..., Job]) -> None:
        """What a job reports is not lost, reordered or late."""
        one = job(b"report 50")
        executor.start(one)
        events = until_ended(executor, {one.id})
        assert [event.payload for event in events if isinstance(event, Progress)] == [b"%d" % n for n in range(50)]
        assert isinstance(events[-1], Ended)

    def test_a_handle_that_raises_loses_its_job_and_nothing_else(self, executor: Executor, job: Callable[..., Job]) -> None:
        """Our own bug in a handle is named, and the next job runs."""
        ended = run(executor, job(b"raise a bug of ours", name="late"))
        assert ended.cause == "lost"
        assert "late" in ended.message
        assert "ValueError: a bug of ours" in ended.message
        assert run(executor, job(b"echo on")).payload == b"on"

    def test_a_spent_handle_has_answered(self, executor: Executor, job: Callable[..., Job]) -> None:
        """Spent is an answer like any other; the next job runs."""
        ended = run(executor, job(b"spent failed"))
        assert (ended.cause, ended.payload) == ("", b"failed")
        assert run(executor, job(b"echo on")).payload == b"on"

    def test_many_jobs_end_once_each(self, executor: Executor, job: Callable[..., Job]) -> None:
        """The loop of every caller: pick, start, wait, until nothing is left."""
        ready = {one.id: one for one in (job(b"echo %d" % n, needs=Needs(cpu=1 + n % 3)) for n in range(30))}
        expected = sorted(ready)
        ended: list[str] = []
        deadline = time.monotonic() + _PATIENCE_S
        while len(ended) < len(expected) and time.monotonic() < deadline:
            for name in pick([(name, one.needs) for name, one in ready.items()], executor.free(), executor.total):
                executor.start(ready.pop(name))
            ended += [event.id for event in executor.wait(1.0) if isinstance(event, Ended)]
        assert sorted(ended) == expected

    def test_what_is_free_shrinks_and_comes_back(self, executor: Executor, job: Callable[..., Job]) -> None:
        """`busy` counts what was started, at once, and what has ended no more."""
        assert executor.free().busy == 0
        one = job(b"echo hi")
        executor.start(one)
        assert executor.free().busy == 1
        until_ended(executor, {one.id})
        assert executor.free().busy == 0

    def test_an_id_runs_once_at_a_time(self, executor: Executor, job: Callable[..., Job]) -> None:
        """A second start of a running id is our bug; after its end the id may be used again."""
        one = job(b"echo hi")
        executor.start(one)
        with pytest.raises(InternalError, match="job-0"):
            executor.start(one)
        until_ended(executor, {one.id})
        assert run(executor, one).payload == b"hi"

    def test_waiting_for_nothing_ends_with_the_time(self, executor: Executor) -> None:
        """No job, no event, no busy loop."""
        began = time.monotonic()
        assert executor.wait(0.05) == []
        assert time.monotonic() - began >= 0.045

    def test_cancelling_what_does_not_run_is_nothing(self, executor: Executor) -> None:
        """An end and a cancel may cross."""
        executor.cancel("no-such-job", 1.0)
        executor.stop(1.0)
        assert executor.wait(0.0) == []

    def test_stop_ends_every_job_once(self, executor: Executor, job: Callable[..., Job]) -> None:
        """Stopped jobs end as cancelled, and the executor can be used again."""
        jobs = [job(b"echo %d" % n, needs=Needs(cpu=0.1)) for n in range(3)]
        for one in jobs:
            executor.start(one)
        executor.stop(5.0)
        events = until_ended(executor, {one.id for one in jobs})
        assert sorted(event.id for event in events) == sorted(one.id for one in jobs)
        assert {event.cause for event in events if isinstance(event, Ended)} == {"cancelled"}
        assert run(executor, job(b"echo on")).payload == b"on"

    def test_usage_is_measured(self, executor: Executor, job: Callable[..., Job]) -> None:
        """Wall and CPU seconds and peak memory of the job itself."""
        usage = run(executor, job(b"work 0.05")).usage
        assert 0.05 <= usage.cpu_s < 5.0
        assert usage.wall_s >= 0.045
        assert usage.peak_bytes > 1_000_000

    def test_closing_twice_is_closing(self, executor: Executor, job: Callable[..., Job]) -> None:
        """Also while a job runs."""
        executor.start(job(b"echo hi"))
        executor.close()
        executor.close()


def run(executor: Executor, job: Job) -> Ended:
    """Start a job and wait for its end."""
    executor.start(job)
    ended = until_ended(executor, {job.id})[-1]
    assert isinstance(ended, Ended)
    return ended


def until_ended(executor: Executor, ids: set[str]) -> list[Progress | Ended]:
    """Every event until these jobs have ended. Fails after half a minute."""
    events: list[Progress | Ended] = []
    left = set(ids)
    deadline = time.monotonic() + _PATIENCE_S
    while left:
        assert time.monotonic() < deadline, f"no end of {sorted(left)}; so far {events}"
        for event in executor.wait(1.0):
            events.append(event)
            if isinstance(event, Ended):
                left.discard(event.id)
    return events
