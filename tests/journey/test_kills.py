"""Killed anywhere, finished steps stay finished: `kill -9` of the command and of its workers at every commit boundary.

A boundary is a call that makes bytes or the record durable or visible: `rename`, `link`, `fsync`, `fdatasync`, a write to the database,
`unlink`. strace kills whoever makes the N-th such call. Calls of the command write the record; calls of a worker write bytes. Each point is
tried on a new project and on one whose tables are overwritten. Then the same command is typed again, and everything must be as if nobody
had been killed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

import bedplate

STEPS = ("flown", "departures", "carrier_delay", "late", "good_enough")
EDIT = ("LATE_MINUTES = 15", "LATE_MINUTES = 30")
TIMEOUT_S = 180
SEED = 20_261_121
MOMENTS = 20

COMMAND_CALLS = ("fdatasync", "link", "unlink", "ftruncate", "pwrite64")
WORKER_CALLS = ("fsync", "rename", "linkat")
STRIDE = {"pwrite64": 13}
"""Writes to the database come in rows of a dozen pages; every boundary between those rows is a `fdatasync`."""

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here: scripts/services unpacks it")


class Left(NamedTuple):
    """What a killed run left: the versions that were committed, the steps that were staged, the keys that were done."""

    versions: dict[tuple[str, int], str]
    staged: set[str]
    done: dict[str, str]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, person: Callable[..., Any]) -> dict[str, tuple[Any, dict[str, str]]]:
    """A new and a changed project, each as it stands before the run that will be killed, and the digests that an untouched run gives."""
    new = person("week", tmp_path_factory.mktemp("new"))
    reference = person("week", tmp_path_factory.mktemp("reference"))
    reference.types("run")
    changed = person("week", tmp_path_factory.mktemp("changed"))
    shutil.copytree(reference.folder, changed.folder, dirs_exist_ok=True)
    changed.edits("week.py", *EDIT)
    first = heads(reference.folder)
    reference.edits("week.py", *EDIT)
    reference.types("run")
    return {"new": (new, first), "changed": (changed, heads(reference.folder))}


def heads(folder: Path) -> dict[str, str]:
    """The digest of every artifact's head."""
    return {name: version.digest for name, version in bedplate.open(folder).catalog.artifacts.heads().items()}


def left(folder: Path) -> Left:
    """Look at what a killed run left, in a copy: looking at a database mends it."""
    copy = folder.with_name(f"{folder.name}-seen")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    if not (copy / ".bedplate" / "catalog.db").exists():
        return Left({}, set(), {})
    catalog = bedplate.open(copy).catalog
    versions = {(v.artifact, v.number): v.digest for name in STEPS for v in catalog.artifacts.versions(name)}
    staged = {path.stem for path in (copy / ".bedplate" / "store" / "staged").glob("a-*.json")}
    done = {
        attempt.id: step.cache_key
        for run in catalog.runs.last(50)
        for step in catalog.runs.steps(run.id)
        for attempt in catalog.runs.attempts(run.id, step.name)
        if attempt.status == "done"
    }
    return Left(versions, staged, done)


def struck(someone: Any, call: str, number: int, *words: str) -> int:
    """Run the command and kill whoever makes that call for the `number`-th time; the exit code."""
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    traced = ["strace", "-f", "-qqq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject]
    typed = [sys.executable, "-B", "-m", "bedplate", "run", *words]
    done = subprocess.run([*traced, *typed], cwd=someone.folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode


def mended(someone: Any, before: Left, digests: dict[str, str]) -> None:
    """Type the command again: it succeeds, and the record is as if nobody had been killed."""
    someone.types("run")
    workspace = bedplate.open(someone.folder)
    catalog = workspace.catalog
    assert heads(someone.folder) == digests
    after = {(v.artifact, v.number): v.digest for name in STEPS for v in catalog.artifacts.versions(name)}
    assert after.items() >= before.versions.items(), "a committed version went or changed"
    attempts = [attempt for run in catalog.runs.last(50) for attempt in catalog.runs.attempts(run.id)]
    assert not [attempt.id for attempt in attempts if attempt.status == "running"]
    assert not catalog.runs.running()
    keys = {(step.run, step.name): step.cache_key for run in catalog.runs.last(50) for step in catalog.runs.steps(run.id)}
    made = Counter(keys[attempt.run, attempt.step] for attempt in attempts if attempt.status == "done")
    assert made, "nothing was made"
    assert max(made.values()) == 1, "a finished step ran again"
    assert before.staged <= {attempt.id for attempt in attempts if attempt.status == "done"}, "what a worker had finished was made again"
    findings = someone.reads("doctor", "--deep")
    assert not [f for f in findings if f["level"] != "ok" and f["area"] not in ("ports", "disk")]
    assert set(someone.ran().values()) == {"skipped"}


def hit(someone: Any, code: int) -> bool:
    """Whether anybody was killed: the command, or a worker, which the record then calls lost."""
    if code != 0:
        return True
    catalog = bedplate.open(someone.folder).catalog
    return any(attempt.cause == "lost" for attempt in catalog.runs.attempts(catalog.runs.last(1)[0].id))


def copied(place: Any, folder: Path) -> Any:
    """A person in a fresh copy of the place."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place.folder, folder)
    return type(place)(folder)


def killed_at(place: Any, folder: Path, digests: dict[str, str], call: str, number: int) -> bool:
    """Kill at one point, mend, compare; False where there was no such point."""
    someone = copied(place, folder)
    code = struck(someone, call, number)
    if not hit(someone, code):
        return False
    mended(someone, left(someone.folder), digests)
    return True


@needs_strace
@pytest.mark.parametrize(
    ("state", "call", "number"),
    [
        ("new", "link", 1),
        ("new", "fdatasync", 24),
        ("changed", "fdatasync", 7),
        ("changed", "pwrite64", 60),
        ("new", "linkat", 1),
        ("changed", "rename", 1),
        ("changed", "fsync", 5),
    ],
)
@pytest.mark.bad_input("a step that is killed")
def test_killed_at_a_commit_boundary_and_run_again(
    places: dict[str, tuple[Any, dict[str, str]]], tmp_path: Path, state: str, call: str, number: int
) -> None:
    """A few of the points of the full matrix."""
    place, digests = places[state]
    assert killed_at(place, tmp_path / "killed", digests, call, number)


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("state", ["new", "changed"])
@pytest.mark.parametrize("call", [*COMMAND_CALLS, *WORKER_CALLS])
def test_killed_at_every_commit_boundary_and_run_again(
    places: dict[str, tuple[Any, dict[str, str]]], tmp_path: Path, state: str, call: str
) -> None:
    """The first, second, third such call and so on, until there is no further one."""
    place, digests = places[state]
    stride = STRIDE.get(call, 1)
    number = 1
    while killed_at(place, tmp_path / "killed", digests, call, number):
        number += stride
    assert number > 1 or (state, call) == ("changed", "link"), f"nobody calls {call}"  # only a new database is linked into place


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("step", ["departures", "carrier_delay"])
def test_a_worker_killed_at_each_tables_commit(places: dict[str, tuple[Any, dict[str, str]]], tmp_path: Path, step: str) -> None:
    """Each table is committed in a thread of its own, so what comes before is made first."""
    place, digests = places["new"]
    someone = copied(place, tmp_path / "killed")
    someone.types("run", {"departures": "flown", "carrier_delay": "departures"}[step])
    assert hit(someone, struck(someone, "linkat", 1, step))
    mended(someone, left(someone.folder), digests)


def strike(someone: Any, after_s: float, whom: str) -> int:
    """Run the command and kill it, or one of its workers, after a while; the exit code."""
    command = [sys.executable, "-m", "bedplate", "run"]
    with subprocess.Popen(command, cwd=someone.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        time.sleep(after_s)
        victim = process.pid if whom == "command" else worker_of(process.pid)
        if process.poll() is None and victim is not None:
            os.kill(victim, signal.SIGKILL)
        said = process.communicate(timeout=TIMEOUT_S)[0]
        assert b"Traceback" not in said
        return process.returncode


def worker_of(pid: int) -> int | None:
    """A worker of the command, which leads a session of its own; else its fork server, else None."""
    try:
        children = psutil.Process(pid).children(recursive=True)
        return next((child.pid for child in reversed(children) if os.getsid(child.pid) == child.pid), children[0].pid if children else None)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None


def at_random(places: dict[str, tuple[Any, dict[str, str]]], folder: Path, rng: random.Random, whom: str) -> None:
    """One moment of either project: after a kill of a worker alone the command itself still succeeds."""
    place, digests = places[rng.choice(["new", "changed"])]
    someone = copied(place, folder)
    code = strike(someone, rng.uniform(0.2, 3.0), whom)
    assert whom == "command" or code == 0, "the command did not survive the loss of a worker"
    mended(someone, left(someone.folder), digests)


@pytest.mark.parametrize("whom", ["command", "worker"])
def test_killed_at_a_random_moment_and_run_again(places: dict[str, tuple[Any, dict[str, str]]], tmp_path: Path, whom: str) -> None:
    """One seeded moment for each; a lost worker's step is tried again within the run."""
    at_random(places, tmp_path / "killed", random.Random(SEED), whom)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_and_run_again(places: dict[str, tuple[Any, dict[str, str]]], tmp_path: Path) -> None:
    """Seeded moments, in turn of the command and of a worker."""
    rng = random.Random(SEED)
    for number in range(MOMENTS):
        at_random(places, tmp_path / "killed", rng, ("command", "worker")[number % 2])
