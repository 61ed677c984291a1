"""The loop is killed at random moments: no occurrence is lost, none is carried out twice, and nothing is left running."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

import bedplate
from bedplate.catalog.due import Occurrence
from bedplate.pipeline.workspace import Workspace

PROJECT = """
import time
from bedplate import Project

ticks = Project("ticks")

@ticks.step(every="1 s")
def tick() -> float:
    time.sleep(0.2)
    return time.time()

@ticks.step
def after(tick: float) -> float:
    time.sleep(0.1)
    return tick + 1
"""
KILLS = 8
SEED = 20_261_122


def begin(folder: Path) -> subprocess.Popen[bytes]:
    """The loop, in a group of its own, so that its workers go with it."""
    typed = [sys.executable, "-m", "bedplate", "run", "--due", "--loop", "--json"]
    with (folder / "loop.log").open("ab") as log:
        return subprocess.Popen(typed, cwd=folder, stdout=log, stderr=log, start_new_session=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ticks.py").write_text(PROJECT)
    (tmp_path / "bedplate.toml").write_text('lease = "1 s"\nlook = "1 s"\n')
    return tmp_path


@pytest.mark.slow
def test_killed_at_random_moments_it_loses_and_doubles_nothing(folder: Path) -> None:
    """Every second from the first to the last is done, missed or passed over; each done one made its step exactly once."""
    moments = random.Random(SEED)
    for _ in range(KILLS):
        loop = begin(folder)
        time.sleep(moments.uniform(1.5, 4.5))
        os.killpg(loop.pid, signal.SIGKILL)
        assert loop.wait(10) == -signal.SIGKILL, (folder / "loop.log").read_text()
    last = begin(folder)
    time.sleep(6.0)
    last.terminate()
    assert last.wait(30) == 0, (folder / "loop.log").read_text()
    workspace = bedplate.open(folder)
    found = workspace.catalog.due.newest(1000)
    left = [one for one in found if one.status == "running"]
    assert len(left) <= 1  # what the clean stop put back
    done = [one for one in found if one.status == "done"]
    assert len(done) >= 4
    assert not [one.reason for one in found if one.status in ("failed", "refused", "stopped")]
    assert gaps(found) == []
    assert attempts(workspace, "tick") - len(done) in (0, len(left))


def gaps(found: list[Occurrence]) -> list[str]:
    """Seconds that no decision accounts for; the grid is the first decision's."""
    spans = sorted((span(one) for one in found), key=lambda one: one[0])
    return [f"{a} then {b}" for a, b in pairwise(spans) if abs(b[0] - a[1] - 1.0) > 1e-3]


def span(one: Occurrence) -> tuple[float, float]:
    """The first and the last second that a decision is about."""
    first = one.mark.split(" to ")[0]
    at = one.due_at.timestamp()
    return (at if first == one.mark else datetime.fromisoformat(first).timestamp(), at)


def attempts(workspace: Workspace, step: str) -> int:
    """How many attempts at a step got through."""
    runs = workspace.catalog.runs.last(1000)
    return sum(one.status == "done" for run in runs for one in workspace.catalog.runs.attempts(run.id, step))
