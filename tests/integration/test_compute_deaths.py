"""Whatever dies, every job ends once, the executor goes on, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from compute_driver import HERE, Driver, alive, children, drivers, gone_within, tree_of


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    yield from drivers(tmp_path)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (("end", 3), "ended with exit code 3"),
        (("end", 0), "ended with exit code 0"),
        (("segfault",), "was killed by SIGSEGV"),
        (("close_everything",), "ended with exit code 70"),
    ],
)
def test_a_worker_that_ends_is_one_lost_job(driver, action, words):
    ended = driver.run(*action)
    assert ended.cause == "lost"
    assert ended.message == f"the worker of {action[0]} {words}"
    assert driver.run("echo", "on").payload == b"on"


def test_a_segfault_leaves_its_place_in_the_log(driver):
    name = driver.start("segfault")
    driver.ended(name)
    assert "in segfault" in driver.log(name)


def test_a_killed_worker_is_one_lost_job_and_its_cpu_is_counted(driver):
    names = [driver.start("burn", 0.2), driver.start("pause", 0.5)]
    pid = int(driver.heard(names[0]))
    os.kill(pid, signal.SIGKILL)
    lost, other = driver.ended(*names)
    assert (lost.cause, lost.message) == ("lost", "the worker of burn was killed by SIGKILL")
    assert lost.usage.cpu_s > 0.15
    assert lost.usage.peak_bytes > 1_000_000
    assert other.payload == b"slept"


@pytest.mark.parametrize("escape", [False, True])
def test_a_killed_worker_takes_what_it_started_with_it(driver, escape):
    name = driver.start("start_children_and_wait", escape)
    children = json.loads(driver.heard())
    worker = driver.worker_pid(name)
    family = tree_of(worker)
    assert set(children) <= set(family)
    os.kill(worker, signal.SIGKILL)
    assert driver.ended(name)[0].cause == "lost"
    assert gone_within(family, 2)


def test_a_lost_worker_takes_nothing_of_another_worker(driver):
    """What left its process group still belongs to the worker that started it."""
    driver.start("start_children_and_wait", True)
    children = json.loads(driver.heard())
    assert driver.run("end", 3).cause == "lost"
    assert driver.run("echo", "on").payload == b"on"
    assert all(map(alive, children))


def test_a_killed_fork_server_loses_its_jobs_and_the_next_one_serves(driver):
    driver.run("echo", "warm")
    names = [driver.start("pause", 30), driver.start("start_children_and_wait", False)]
    driver.heard(), driver.heard()
    server = driver.server_pid()
    family = tree_of(server)
    os.kill(server, signal.SIGKILL)
    for ended in driver.ended(*names):
        assert ended.cause == "lost"
        assert "went down with its fork server, which was killed by SIGKILL" in ended.message
    assert gone_within(family, 2)
    assert driver.run("echo", "on").payload == b"on"


def test_a_server_killed_between_jobs_is_not_noticed(driver):
    driver.run("echo", "warm")
    family = [driver.server_pid(), *tree_of(driver.server_pid())]
    os.kill(driver.server_pid(), signal.SIGKILL)
    assert gone_within(family, 2)
    assert driver.run("echo", "on").payload == b"on"


def test_a_worker_killed_between_jobs_is_not_noticed(driver):
    pid = int(driver.run("pid").payload)
    os.kill(pid, signal.SIGKILL)
    assert gone_within([pid], 2)
    driver.executor.wait(0.1)
    assert driver.run("echo", "on").payload == b"on"


CONTROLLER = f"""
import json, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored from the start where the suite runs in the background of a script
sys.path.insert(0, {HERE!r})
from pathlib import Path
from compute_driver import Driver
driver = Driver(Path(sys.argv[1]))
driver.start("start_children_and_wait", True)
driver.heard()
driver.start("deaf")
driver.heard()
print("ready", flush=True)
driver.executor.wait(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_dead_controller_leaves_no_process(tmp_path, how):
    """However it ends: fork server, workers, their children and escaped grandchildren are gone within two seconds."""
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as controller:
        assert controller.stdout is not None
        assert controller.stdout.readline() == b"ready\n"
        family = tree_of(controller.pid)
        assert len(family) >= 6
        controller.send_signal(how)
        controller.wait(10)
    assert gone_within(family, 2)


def test_workers_end_when_controller_and_fork_server_are_killed_together(tmp_path):
    """No one is left to kill them: the kernel does."""
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as controller:
        assert controller.stdout is not None
        assert controller.stdout.readline() == b"ready\n"
        (server,) = children(controller.pid)
        family = tree_of(server)
        workers = children(server)
        assert len(workers) == 2
        for pid in (controller.pid, server):
            os.kill(pid, signal.SIGSTOP)
        for pid in (server, controller.pid):
            os.kill(pid, signal.SIGKILL)
    assert gone_within(workers, 2)
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_ctrl_c_in_the_terminal_reaches_the_controller_alone(tmp_path):
    """SIGINT to the controller's whole process group: workers go on until the controller decides."""
    script = (
        CONTROLLER.replace("import json", "import signal, json").replace(
            'print("ready"', 'signal.signal(signal.SIGINT, lambda *_: (driver.executor.wake()));print("ready"'
        )
        + "\nprint(driver.run('echo', 'still here').payload, flush=True)\ndriver.executor.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as controller:
        assert controller.stdout is not None
        assert controller.stdout.readline() == b"ready\n"
        family = tree_of(controller.pid)
        os.killpg(controller.pid, signal.SIGINT)
        assert controller.stdout.readline() == b"b'still here'\n"
        controller.wait(10)
    assert gone_within(family, 2)


def test_close_ends_every_process(tmp_path):
    for driver in drivers(tmp_path):
        driver.start("deaf")
        driver.heard()
        driver.start("start_children_and_wait", True)
        driver.heard()
        family = [driver.server_pid(), *tree_of(driver.server_pid())]
        driver.executor.close()
        assert gone_within(family, 2)
