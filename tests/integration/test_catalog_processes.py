"""The catalog under several processes: nothing lost, nothing half, whatever is killed or forked."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock
from bedplate.core.errors import CatalogError

WRITER = str(Path(__file__).with_name("catalog_writer.py"))
ENDLESS = 1_000_000


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, WRITER, str(path), name, str(count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def reopened(path: Path) -> Catalog:
    catalog = Catalog.open(open_database(path), SystemClock())
    assert catalog.database.faults() == []
    return catalog


def assert_whole(catalog: Catalog) -> None:
    """Every version has a done attempt, a done step, its cache key and all its sisters."""
    for version in catalog.artifacts.versions("shared", 10**6):
        attempt = catalog.runs.attempt(version.attempt)
        steps = {step.result: step for step in catalog.runs.steps(attempt.run)}
        assert attempt.status == "done"
        assert steps[attempt.id].status == "done"
        assert catalog.runs.cached(f"key {attempt.id}") == attempt.id
        assert [made.artifact for made in catalog.artifacts.by_attempt(attempt.id)] == ["shared", f"own_{attempt.run[2:]}"]


def test_eight_processes_commit_at_once(tmp_path: Path, record_property: Any) -> None:
    """From the very first open on: no commit is lost, no number given twice; the longest wait is recorded."""
    path = tmp_path / "state" / "catalog.db"
    writers = [writer(path, f"w{number}", 25) for number in range(8)]
    said = [process.communicate(timeout=120) for process in writers]
    assert [(process.returncode, errors) for process, (_, errors) in zip(writers, said, strict=True)] == [(0, "")] * 8
    lines = [line.split() for output, _ in said for line in output.splitlines()]
    waits = [(float(line[1]), float(line[2])) for line in lines if line[0] == "waits"]
    acknowledged = {line[0] for line in lines if line[0] != "waits"}
    record_property("longest_wait_s", max(wait for wait, _ in waits))
    record_property("longest_commit_s", max(commit for _, commit in waits))
    record_property("processes_that_waited_over_a_second", sum(wait > 1 for wait, _ in waits))
    print(f"longest wait {max(wait for wait, _ in waits):.3f} s, longest begin and commit {max(commit for _, commit in waits):.3f} s")
    catalog = reopened(path)
    assert acknowledged == {version.ref for version in catalog.artifacts.versions("shared", 1000)}
    assert {version.number for version in catalog.artifacts.versions("shared", 1000)} == set(range(1, 201))
    migrated = [event.subject for _, event in catalog.events.since() if event.kind == "catalog.migrated"]
    assert len(migrated) == len(set(migrated)) > 0
    assert_whole(catalog)
    catalog.close()


def test_killed_in_the_middle_of_commits(tmp_path: Path) -> None:
    """kill -9 of three writers at random moments, again and again: what was acknowledged is there, nothing is half there."""
    path, chance = tmp_path / "catalog.db", random.Random(20260131)
    acknowledged: set[str] = set()
    for turn in range(6):
        writers = [writer(path, f"t{turn}w{number}", ENDLESS) for number in range(3)]
        first = [process.stdout.readline().split()[0] for process in writers if process.stdout]
        time.sleep(chance.uniform(0.0, 0.2))
        for process in writers:
            process.kill()
        acknowledged |= {
            *first,
            *(
                line.split()[0]
                for process in writers
                for line in process.communicate()[0].splitlines()
                if line.endswith(tuple("0123456789"))
            ),
        }
        catalog = reopened(path)
        assert acknowledged <= {version.ref for version in catalog.artifacts.versions("shared", 10**6)}
        assert_whole(catalog)
        catalog.close()
    assert len(acknowledged) > 18


FORKING = """
import os, sys
from pathlib import Path
from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock
from bedplate.core.errors import InternalError
from bedplate.core.records import Event

clock = SystemClock()
catalog = Catalog.open(open_database(Path(sys.argv[1])), clock)
said = lambda kind: Event(kind=kind, subject="s", at=clock.now())
catalog.events.add(said("parent"))
(wrote, write), (closed, close) = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    catalog.events.add(said("child"))
    os.write(write, b"1")
    os.read(closed, 1)
    catalog.events.add(said("child"))
    os._exit(0)
os.read(wrote, 1)
catalog.events.add(said("parent"))
catalog.close()
os.write(close, b"1")
assert os.waitpid(child, 0)[1] == 0

def inside():
    born = os.fork()
    if born == 0:
        try:
            catalog.events.add(said("orphan"))
        except InternalError as error:
            os._exit(7 if "forked inside" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(born, 0)[1]) == 7
    catalog.events.add(said("parent"))

catalog.database.transact(inside)
"""


def test_a_fork_loses_nothing(tmp_path: Path) -> None:
    """Parent and child both go on, also when the parent closes first; a child born inside a transaction is told."""
    path = tmp_path / "catalog.db"
    done = subprocess.run([sys.executable, "-c", FORKING, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    catalog = reopened(path)
    kinds = [event.kind for _, event in catalog.events.since() if event.kind != "catalog.migrated"]
    assert sorted(kinds) == ["child", "child", "parent", "parent", "parent"]
    catalog.close()


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.bad_input("a truncated database")
def test_a_truncated_database(tmp_path: Path, keep: float) -> None:
    """One message that names the file and the next command; the file is left as it is."""
    path = tmp_path / "catalog.db"
    assert writer(path, "w", 40).communicate(timeout=60)[1] == ""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(CatalogError, match="is damaged") as damaged:
        Catalog.open(open_database(path), SystemClock())
    assert damaged.value.what == f"the catalog at {path} is damaged"
    assert "bring it back from a copy" in damaged.value.next
    assert damaged.value.exit_code == 4
    assert len(path.read_bytes()) == int(len(whole) * keep)
