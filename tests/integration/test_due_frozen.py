"""A loop that is frozen (a laptop's lid, a paused machine) has its work taken over, and when it wakes nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import bedplate
from bedplate.catalog.catalog import Catalog

PROJECT = """
import time
from bedplate import Project

slow = Project("slow")

@slow.step(every="1 day")
def work() -> int:
    time.sleep(2)
    return 1
"""
WAIT_S = 60.0


def loop(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A loop in a group of its own."""
    typed = [sys.executable, "-m", "bedplate", "run", "--due", "--loop", "--json"]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(typed, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def until(catalog: Catalog, what: Callable[[Catalog], bool]) -> None:
    """Wait for the record to say so."""
    end = time.monotonic() + WAIT_S
    while not what(catalog):
        assert time.monotonic() < end, "the record never said so"
        time.sleep(0.05)


def test_a_frozen_loop_is_overtaken_and_cannot_say_how_it_ended(tmp_path: Path) -> None:
    """SIGSTOP in the middle of a step, for longer than its lease: the other loop does the work; woken, the first one changes nothing."""
    (tmp_path / "slow.py").write_text(PROJECT)
    (tmp_path / "bedplate.toml").write_text('lease = "1 s"\nlook = "1 s"\n')
    first = loop(tmp_path, "first")
    catalog = bedplate.open(tmp_path).catalog
    try:
        until(catalog, lambda record: bool(record.runs.open_attempts()))
        os.killpg(first.pid, signal.SIGSTOP)
        second = loop(tmp_path, "second")
        try:
            until(catalog, lambda record: any(one.status == "done" for one in record.due.newest()))
            done = catalog.due.newest()
            os.killpg(first.pid, signal.SIGCONT)
            time.sleep(4.0)
            assert catalog.due.newest() == done
            assert [(one.step, one.status, one.tries) for one in done] == [("work", "done", 2)]
            assert [version.number for version in catalog.artifacts.versions("work")] == [1]
        finally:
            second.terminate()
            assert second.wait(30) == 0, (tmp_path / "second.log").read_text()
    finally:
        os.killpg(first.pid, signal.SIGCONT)
        first.terminate()
        assert first.wait(30) == 0, (tmp_path / "first.log").read_text()
    assert '"due.ended"' not in (tmp_path / "first.log").read_text()
