"""Clocks that jump, as processes see them: daylight saving, a clock set back, a machine asleep for months, days that go by in seconds."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import bedplate
from bedplate.core.clock import iso

PROJECT = """
from bedplate import Project

nights = Project("nights")

@nights.step(every="30 2 * * * Europe/Berlin")
def report() -> int:
    return 1
"""
WAIT_S = 60.0


def write(someone: Any, at: str) -> None:
    """The project, on a clock that says this time."""
    (someone.folder / "nights.py").write_text(PROJECT)
    (someone.folder / "bedplate.toml").write_text('clock = "now.txt"\nlook = "1 s"\n')
    (someone.folder / "now.txt").write_text(at)


def looks(someone: Any, at: str) -> list[str]:
    """What `run --due` does at that time: when it was due."""
    (someone.folder / "now.txt").write_text(at)
    return [str(one["due_at"]) for one in someone.events("run", "--due")[-1]["ended"]]


def test_each_night_is_done_once_whatever_the_clock_does(someone: Any) -> None:
    """Half past two in Berlin: skipped on 29 March 2026 (done at once after the gap), twice on 25 October (done the first time)."""
    write(someone, "2026-03-28T12:00:00Z")
    assert looks(someone, "2026-03-28T12:00:00Z") == []
    assert looks(someone, "2026-03-29T00:59:00Z") == []
    assert looks(someone, "2026-03-29T01:01:00Z") == ["2026-03-29T01:00:00Z"]
    assert looks(someone, "2026-03-29T00:30:00Z") == []
    assert looks(someone, "2026-03-29T01:02:00Z") == []
    assert looks(someone, "2026-03-30T00:31:00Z") == ["2026-03-30T00:30:00Z"]
    assert looks(someone, "2026-10-25T00:31:00Z") == ["2026-10-25T00:30:00Z"]
    assert looks(someone, "2026-10-25T01:31:00Z") == []
    assert looks(someone, "2026-10-26T01:31:00Z") == ["2026-10-26T01:30:00Z"]
    missed = [one for one in bedplate.open(someone.folder).catalog.due.newest() if one.status == "missed"]
    assert [one.reason for one in missed] == ["208 missed from 2026-03-31 00:30:00 to 2026-10-24 00:30:00"]


def test_a_loop_does_each_night_of_a_week_that_goes_by_in_seconds(someone: Any) -> None:
    """Every jump of a day is one night; the loop sees it at its next look."""
    write(someone, "2026-01-10T12:00:00Z")
    typed = [sys.executable, "-m", "bedplate", "run", "--due", "--loop", "--json"]
    with (someone.folder / "loop.log").open("ab") as log:
        loop = subprocess.Popen(typed, cwd=someone.folder, stdout=log, stderr=log)
    catalog = bedplate.open(someone.folder).catalog
    expected: list[str] = []
    try:
        _until(lambda: catalog.due.schedule("report") is not None)
        for day in range(11, 15):
            (someone.folder / "now.txt").write_text(f"2026-01-{day}T12:00:00Z")
            expected.append(f"2026-01-{day}T01:30:00.000000Z")
            _until(lambda: [iso(one.due_at) for one in catalog.due.newest() if one.status == "done"] == expected[::-1])
    finally:
        loop.terminate()
        assert loop.wait(30) == 0, (someone.folder / "loop.log").read_text()


def _until(holds: Any) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
