"""The inline executor's own ways; its contract is tested beside the local one's."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from bedplate.compute.executor import Ended, Job, Progress
from bedplate.compute.inline import InlineExecutor
from bedplate.compute.slots import pick
from bedplate.core.project import Needs


def job(name: str, payload: bytes = b"", **fields: object) -> Job:
    return Job(id=name, payload=payload, log=Path("unused"), **fields)


def test_jobs_run_one_at_a_time_in_the_order_of_their_start():
    ran: list[bytes] = []
    executor = InlineExecutor(lambda payload, report: ran.append(payload) or payload)
    for name in "abc":
        executor.start(job(name, name.encode()))
    assert ran == [], "start only queues"
    assert [event.id for event in executor.wait(0)] == ["a", "b", "c"]
    assert ran == [b"a", b"b", b"c"]


def test_short_jobs_are_taken_many_at_once_and_a_long_one_ends_the_turn():
    short = InlineExecutor(lambda payload, report: payload, turn_s=math.inf)
    long = InlineExecutor(lambda payload, report: payload, turn_s=0.0)
    ready = [(str(number), Needs()) for number in range(200)]
    taken = []
    for _ in range(8):
        chosen = pick(ready, short.free(), short.total)
        taken.append(len(chosen))
        for name in chosen:
            short.start(job(name))
        assert len(short.wait(0)) == len(chosen), "each of these ends within the turn"
    assert taken == [1, 2, 4, 8, 16, 32, 64, 64]
    for name in "ab":
        long.start(job(name))
    assert [event.id for event in long.wait(0)] == ["a"]
    assert pick(ready, long.free(), long.total) == ["0"], "one runs, one waits: no more than that"


def test_a_job_of_any_size_is_picked_and_then_no_other():
    executor = InlineExecutor(lambda payload, report: payload)
    ready = [("big", Needs(cpu=64, gpu=8, memory_bytes=10**15)), ("next", Needs())]
    assert pick(ready, executor.free(), executor.total) == ["big"]
    executor.start(job("big", needs=ready[0][1]))
    assert pick(ready[1:], executor.free(), executor.total) == []


def test_progress_and_end_come_together():
    def handle(payload, report):
        report(b"half")
        return b"done"

    executor = InlineExecutor(handle)
    executor.start(job("a"))
    assert executor.wait(0)[0] == Progress(id="a", payload=b"half")
    assert executor.wait(0) == []


def test_ctrl_c_goes_to_the_caller_and_leaves_the_executor_usable():
    def handle(payload, report):
        if payload == b"interrupt":
            raise KeyboardInterrupt
        return payload

    executor = InlineExecutor(handle)
    executor.start(job("a", b"interrupt"))
    with pytest.raises(KeyboardInterrupt):
        executor.wait(0)
    executor.start(job("b", b"on"))
    ends = [event for event in executor.wait(0) if isinstance(event, Ended)]
    assert [(end.id, end.cause, end.payload) for end in ends] == [("a", "cancelled", b""), ("b", "", b"on")]


def test_an_idle_wait_passes_the_time_it_was_given():
    slept: list[float] = []
    assert InlineExecutor(lambda payload, report: b"", sleep=slept.append).wait(1.5) == []
    assert slept == [1.5]


def test_energy_without_a_meter_is_assumed():
    executor = InlineExecutor(lambda payload, report: b"", watts_per_cpu=10.0)
    executor.start(job("a"))
    (ended,) = executor.wait(0)
    assert ended.usage.energy_basis == "assumed"
    assert ended.usage.energy_joules == pytest.approx(ended.usage.cpu_s * 10.0)


def test_a_job_costs_far_less_than_half_a_millisecond():
    """An in-process step has 0.5 ms in all; the executor may take a tenth of it."""
    executor = InlineExecutor(lambda payload, report: payload)
    began = time.process_time()
    for number in range(500):
        executor.start(job(str(number)))
        executor.wait(0)
    assert (time.process_time() - began) / 500 < 50e-6
