"""Due work on PostgreSQL: the loop outlives a database that is killed and comes back, and two loops share the work."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_servers import PostgresServer, new_postgres

import bedplate
from bedplate.core.errors import WorldError
from bedplate.pipeline.workspace import Workspace

PROJECT = """
import time
from bedplate import Project

ticks = Project("ticks")

@ticks.step(every="1 s")
def tick() -> float:
    return time.time()
"""
WAIT_S = 60.0
AWAY_S = 3.0


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of this test's own, to be killed."""
    own = new_postgres()
    own.start()
    yield own
    own.remove()


@pytest.fixture
def folder(tmp_path: Path, server: PostgresServer) -> Path:
    (tmp_path / "ticks.py").write_text(PROJECT)
    (tmp_path / "bedplate.toml").write_text(f'lease = "2 s"\nlook = "1 s"\ncatalog = "{server.url}?schema=ticks"\n')
    return tmp_path


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    """The project, opened to look at its record."""
    found = bedplate.open(folder)
    yield found
    found.catalog.close()


def loop(folder: Path, name: str) -> subprocess.Popen[bytes]:
    typed = [sys.executable, "-m", "bedplate", "run", "--due", "--loop", "--json"]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(typed, cwd=folder, stdout=log, stderr=log)


def done(workspace: Workspace) -> int:
    """How many occurrences are done; -1 while the database is away."""
    try:
        return sum(one.status == "done" for one in workspace.catalog.due.newest(1000))
    except WorldError:
        return -1


def until(workspace: Workspace, least: int) -> int:
    """Wait for so many to be done."""
    end = time.monotonic() + WAIT_S
    while (found := done(workspace)) < least:
        assert time.monotonic() < end, f"{found} done, not {least}"
        time.sleep(0.1)
    return found


@pytest.mark.slow
def test_the_loop_goes_on_when_the_database_is_back(folder: Path, server: PostgresServer, workspace: Workspace) -> None:
    """Killed and away for some seconds: the loop waits for it and goes on; what was begun is taken up."""
    run = loop(folder, "loop")
    try:
        before = until(workspace, 2)
        server.kill()
        time.sleep(AWAY_S)
        assert run.poll() is None, (folder / "loop.log").read_text()
        server.start()
        until(workspace, before + 2)
    finally:
        run.terminate()
        assert run.wait(60) == 0, (folder / "loop.log").read_text()
    statuses = {one.status for one in workspace.catalog.due.newest(1000)}
    assert statuses <= {"done", "missed", "overlapped", "running"}


@pytest.mark.slow
def test_two_loops_share_the_work_and_double_nothing(folder: Path, workspace: Workspace) -> None:
    """Each second is done by one of them: as many attempts got through as occurrences were done."""
    loops = [loop(folder, name) for name in ("one", "two")]
    try:
        until(workspace, 5)
    finally:
        for run in loops:
            run.terminate()
        for run in loops:
            assert run.wait(60) == 0
    attempts = [one for run in workspace.catalog.runs.last(1000) for one in workspace.catalog.runs.attempts(run.id) if one.status == "done"]
    left = sum(one.status == "running" for one in workspace.catalog.due.newest(1000))
    assert 0 <= len(attempts) - done(workspace) <= left
