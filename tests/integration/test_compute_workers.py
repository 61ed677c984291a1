"""Workers as real processes: which are reused, what they inherit, what they print."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from compute_driver import Driver, alive, drivers, gone_within

from bedplate.core.errors import WorldError


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    yield from drivers(tmp_path)


def test_a_worker_runs_many_jobs_and_makes_its_handle_once(driver):
    pids = {driver.run("pid").payload for _ in range(5)}
    assert len(pids) == 1
    assert driver.run("made").payload == b"1"


@pytest.mark.parametrize("failure", [("fail", "no"), ("spent", "no"), ("end", 3)])
def test_a_worker_is_not_reused_after_a_failure(driver, failure):
    before = driver.run("pid").payload
    driver.run(*failure)
    assert driver.run("pid").payload != before
    assert gone_within([int(before)], 2)


def test_a_worker_never_crosses_a_fingerprint(driver):
    ones = {driver.run("pid", fingerprint="one").payload for _ in range(2)}
    twos = {driver.run("pid", fingerprint="two").payload for _ in range(2)}
    assert len(ones) == len(twos) == 1
    assert ones != twos


def test_idle_workers_of_old_fingerprints_are_let_go(driver):
    pids = [int(driver.run("pid", fingerprint=str(number)).payload) for number in range(6)]
    assert gone_within(pids[:4], 2)
    assert alive(pids[-1])


def test_pools_are_sized_by_the_processors_asked_for(driver, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert driver.run("environ", "OMP_NUM_THREADS", cpu=1).payload == b"1"
    assert driver.run("environ", "POLARS_MAX_THREADS", cpu=2).payload == b"2"
    assert driver.run("environ", "PYTHONHASHSEED").payload == os.environ.get("PYTHONHASHSEED", "0").encode()


def test_what_is_printed_is_in_the_log_when_the_job_ends(driver):
    silent, loud = driver.start("echo", "hi"), driver.start("say", "grüße")
    driver.ended(silent, loud)
    assert driver.log(loud) == "grüße\n"
    assert not (driver.folder / silent).exists(), "a job that prints nothing leaves no file"


def test_a_hundred_megabytes_of_output_are_capped_and_counted(tmp_path):
    """The head and the last lines are kept, the last line says how much is missing, and it takes seconds, not minutes."""
    for driver in drivers(tmp_path, log_limit_bytes=1_000_000):
        began = time.monotonic()
        name = driver.start("say_much", 100_000_000)
        assert driver.ended(name)[0].payload == b"said"
        assert time.monotonic() - began < 15
        lines = driver.log(name).splitlines()
        assert sum(map(len, lines)) < 1_100_000
        assert lines[0] == "x" * 99
        assert lines[-2] == "the very last line"
        assert lines[-1].startswith("--- 99.0 MB of output left out above")


def test_a_log_that_cannot_be_written_does_not_end_the_job(driver):
    (driver.folder / "job-0").write_text("a file where the folder should be")
    ended = driver.run("say", "hello")
    assert ended.cause == ""
    assert "could not be written" in ended.message


@pytest.mark.parametrize("escape", [False, True])
def test_what_a_job_started_ends_with_it(driver, escape):
    """Children in its group, in sessions of their own, and orphans of children: none outlives the answer."""
    ended = driver.run("start_children", escape)
    assert ended.cause == ""
    assert gone_within(json.loads(ended.payload), 2)
    assert driver.run("echo", "on").payload == b"on"


def test_polars_and_delta_work_in_workers_of_a_server_that_preloaded_them(tmp_path):
    """Imported but never used by the server: no hang, twice in each of two workers, with as many threads as asked for."""
    for driver in drivers(tmp_path, preload=("polars", "deltalake", "no_such_module_at_all")):
        for _ in range(2):
            frames = [driver.start("use_polars"), driver.start("use_polars")]
            assert [json.loads(end.payload) for end in driver.ended(*frames)] == [[7, 1], [7, 1]]
            tables = [driver.start("use_delta", str(tmp_path / name)) for name in "ab"]
            driver.ended(*tables)
            for name in "ab":
                (tmp_path / name).rename(tmp_path / f"{name}{time.monotonic_ns()}")
        assert json.loads(driver.run("use_polars", cpu=2).payload) == [7, 2]


def test_large_answers_and_payloads_pass(driver):
    assert driver.run("echo", "y" * 20_000_000).payload == b"y" * 20_000_000
    assert len(driver.run("big", 50_000_000).payload) == 50_000_000


def test_a_preload_that_ends_the_server_is_left_out(tmp_path):
    """`bad_preload` exits when imported: the job begins again on a server without it."""
    for driver in drivers(tmp_path, preload=("compute_bad_preload",)):
        ended = driver.run("echo", "hi")
        assert (ended.cause, ended.payload) == ("", b"hi")


def test_a_worker_that_cannot_be_forked_is_one_lost_job(tmp_path):
    """`compute_no_fork` makes the second fork fail: its job is told why, and the worker that runs goes on."""
    for driver in drivers(tmp_path, preload=("compute_no_fork",)):
        names = [driver.start("until_stopped")]
        driver.heard()
        lost = driver.run("echo", "hi")
        assert (lost.cause, lost.message) == ("lost", "the worker of echo could not be forked: Resource temporarily unavailable")
        assert driver.run("echo", "on").payload == b"on"
        driver.executor.cancel(names[0], 5.0)
        assert driver.ended(*names)[0].payload == b"checkpointed"


def test_a_command_that_is_no_fork_server_is_told(tmp_path):
    for driver in drivers(tmp_path):
        driver.executor._command = ("/no/such/python",)
        with pytest.raises(WorldError, match="could not be started"):
            driver.start("echo", "hi")
        assert driver.executor.free().busy == 0
        driver.executor._command = ("/bin/sh", "-c", "echo cannot do this >&2; exit 9")
        ended = driver.run("echo", "hi")
        assert ended.cause == "lost"
        assert "ended with exit code 9 (cannot do this)" in ended.message


def test_a_warmed_server_is_the_one_that_serves(driver):
    driver.executor.warm(cpu=2)
    server = driver.server_pid()
    assert driver.run("echo", "hi", cpu=1.5).payload == b"hi"
    assert driver.server_pid() == server
