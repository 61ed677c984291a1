"""Limits are enforced and named; a job that is asked to stop can; nothing spins."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from compute_driver import Driver, drivers, gone_within


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    yield from drivers(tmp_path)


def test_a_job_over_its_time_is_asked_to_stop_and_named(driver):
    ended = driver.run("until_stopped", time_s=0.3)
    assert ended.cause == "time"
    assert ended.message == "until_stopped ran longer than its limit of 300 ms"
    assert ended.payload == b"checkpointed"
    assert 0.3 <= ended.usage.wall_s < 2


def test_a_job_that_ignores_its_time_is_killed_and_its_log_says_where_it_hung(driver):
    name = driver.start("deaf", time_s=0.2)
    ended = driver.ended(name)[0]
    assert (ended.cause, ended.payload) == ("time", b"")
    assert gone_within([int(driver.heard())], 2)
    assert "in deaf" in driver.log(name)
    assert driver.run("echo", "on").payload == b"on"


def test_time_counts_from_the_worker_and_not_from_its_server(tmp_path):
    """A server that takes long to preload does not eat the job's limit."""
    for driver in drivers(tmp_path, preload=("polars",)):
        assert driver.run("echo", "hi", time_s=0.1).cause == ""


def test_a_job_over_its_memory_is_killed_and_named(driver):
    ended = driver.run("take_memory", 400_000_000, 30, memory_bytes=150_000_000)
    assert ended.cause == "memory"
    assert "take_memory took" in ended.message
    assert "more than its limit of 150.0 MB" in ended.message
    assert ended.usage.peak_bytes > 150_000_000
    assert ended.usage.wall_s < 10


def test_a_job_within_its_memory_is_left_alone_and_its_peak_is_its_own(driver):
    large = driver.run("take_memory", 120_000_000, 0.1, memory_bytes=250_000_000)
    small = driver.run("echo", "hi")
    assert large.cause == small.cause == ""
    assert large.usage.peak_bytes > 120_000_000
    assert small.usage.peak_bytes < 100_000_000, "the peak of the job before is not this one's"


def test_memory_of_children_counts(driver):
    ended = driver.run("take_memory_in_child", 400_000_000, memory_bytes=150_000_000)
    assert ended.cause == "memory"


def test_a_cancelled_job_may_checkpoint(driver):
    name = driver.start("until_stopped")
    driver.heard()
    driver.executor.cancel(name, 10.0)
    ended = driver.ended(name)[0]
    assert (ended.cause, ended.payload) == ("cancelled", b"checkpointed")
    assert ended.message == "until_stopped was stopped on request"


def test_stop_kills_what_does_not_stop_in_its_grace(driver):
    names = [driver.start("deaf"), driver.start("until_stopped")]
    pids = [int(driver.heard()), int(driver.heard())]
    began = time.monotonic()
    driver.executor.stop(0.3)
    ends = driver.ended(*names)
    assert time.monotonic() - began < 3
    assert [(end.cause, end.payload) for end in ends] == [("cancelled", b""), ("cancelled", b"checkpointed")]
    assert gone_within(pids, 2)


def test_a_second_stop_ends_what_is_still_in_its_grace(driver):
    name = driver.start("deaf")
    driver.heard()
    driver.executor.stop(60.0)
    began = time.monotonic()
    driver.executor.stop(0.0)
    assert driver.ended(name)[0].cause == "cancelled"
    assert time.monotonic() - began < 5


def test_a_worker_that_was_asked_to_stop_is_not_used_again(driver):
    name = driver.start("until_stopped")
    pid = driver.heard()
    driver.executor.cancel(name, 10.0)
    driver.ended(name)
    assert driver.run("pid").payload != pid


def test_a_frozen_worker_holds_up_no_one(driver):
    """It reads nothing and answers nothing: others go on, and its time limit ends it."""
    frozen = driver.start("pause", 0.2, time_s=1.5)
    os.kill(int(driver.heard()), signal.SIGSTOP)
    assert driver.run("echo", "on").payload == b"on"
    assert driver.ended(frozen)[0].cause == "time"


def test_wait_ends_at_once_when_woken(driver):
    threading.Timer(0.1, driver.executor.wake).start()
    began = time.monotonic()
    assert driver.executor.wait(20.0) == []
    assert time.monotonic() - began < 5


def test_waiting_costs_nothing(driver):
    """A second of waiting for a silent job takes next to no CPU."""
    name = driver.start("pause", 1.2)
    driver.heard()
    began = time.process_time()
    assert driver.executor.wait(1.0) == []
    assert time.process_time() - began < 0.02
    driver.ended(name)


def test_a_kill_by_the_kernel_for_lack_of_memory_is_named(driver):
    """The kernel's own count of such kills has grown since the last look."""
    name = driver.start("pause", 30)
    pid = int(driver.heard())
    driver.executor._oom_kills = -1
    os.kill(pid, signal.SIGKILL)
    ended = driver.ended(name)[0]
    assert (ended.cause, ended.message) == ("memory", "pause was killed by the kernel: this machine ran out of memory")


def test_accelerators_are_handed_out_one_by_one(tmp_path):
    """Each job sees its own, and one that asks for none sees none."""
    for driver in drivers(tmp_path, gpu=3):
        names = [driver.start("environ", "CUDA_VISIBLE_DEVICES", gpu=count, cpu=0.5) for count in (1, 2, 0)]
        assert driver.executor.free().gpu == 0
        assert [end.payload for end in driver.ended(*names)] == [b"0", b"1,2", b""]
        assert driver.run("environ", "CUDA_VISIBLE_DEVICES", gpu=3).payload == b"0,1,2"
