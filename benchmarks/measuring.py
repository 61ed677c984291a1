"""CPU time of a whole process tree: what a command and everything that it started took, user and system together.

Wall time on a shared machine says little; CPU time as a ratio between systems that take turns in one run says much. This process is the
sub-reaper of what it starts, so that servers and workers that outlive their command are waited for and counted too.
Limits: Linux; what a command has done by a service that was there before (a database server, the kernel's writing) is not counted.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

LIMIT_S = 900.0
_SUBREAPER = 36
_TOLD = re.compile(r"^told:(\w+)=([0-9.e+-]+)$", re.MULTILINE)
_INSIDE = re.compile(r"^inside=([0-9.e+-]+)$", re.MULTILINE)
_QUIET = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUNBUFFERED"}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One system doing one piece of work. `before` makes the folder ready and is not counted; `reps` 0 means as many as asked for."""

    system: str
    work: str
    command: tuple[str, ...]
    folder: Path
    environ: Mapping[str, str] = {}
    before: Callable[[Path], None] = lambda _: None
    reps: int = 0
    pieces: int = 1
    """How many steps (or rows) the work has, for the marginal cost."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a case, in seconds; `inside` is what the program said it took without start and imports (None: it did not say).

    `told` is what else it said, as `told:NAME=VALUE`.
    """

    cpu: float
    wall: float
    inside: float | None = None
    told: Mapping[str, float] = {}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A case's samples, and their medians."""

    system: str
    work: str
    pieces: int
    samples: tuple[Sample, ...]

    @property
    def cpu(self) -> float:
        """Median CPU seconds."""
        return statistics.median(sample.cpu for sample in self.samples)

    @property
    def wall(self) -> float:
        """Median wall seconds."""
        return statistics.median(sample.wall for sample in self.samples)

    @property
    def inside(self) -> float | None:
        """Median of what the program itself measured."""
        said = [sample.inside for sample in self.samples if sample.inside is not None]
        return statistics.median(said) if said else None

    def told(self, name: str) -> float:
        """Median of one of the things that the program told. Raises KeyError for one that it did not."""
        return statistics.median(sample.told[name] for sample in self.samples)


class Failed(Exception):
    """A command did not do its work."""


def become_subreaper() -> None:
    """Have orphans of what is started here come to this process."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def sample(case: Case) -> Sample:
    """Run a case once. Raises Failed with the end of what it printed."""
    case.folder.mkdir(parents=True, exist_ok=True)
    case.before(case.folder)
    environ = {name: value for name, value in os.environ.items() if name not in _QUIET and not name.startswith("BEDPLATE_")}
    before, began = _children_cpu(), time.perf_counter()
    process = subprocess.Popen(
        case.command, cwd=case.folder, env={**environ, **case.environ}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failed(f"{case.system}, {case.work}: not done after {LIMIT_S:.0f} s") from None
    wall = time.perf_counter() - began
    _wait_for_orphans()
    if process.returncode != 0:
        raise Failed(f"{case.system}, {case.work}: exit code {process.returncode}: {said[-2000:]}")
    found = _INSIDE.search(said)
    told = {name: float(value) for name, value in _TOLD.findall(said)}
    return Sample(cpu=_children_cpu() - before, wall=wall, inside=float(found[1]) if found else None, told=told)


def take_turns(cases: Sequence[Case], reps: int, told: Callable[[Case], None]) -> list[Measured]:
    """Every case `reps` times, one after the other in turns, after one run that does not count (it fills byte-code and file caches).

    A case that asks for fewer repetitions (it is slow) is not run for the caches either.
    """
    samples: dict[int, list[Sample]] = {at: [] for at in range(len(cases))}
    for turn in range(-1, reps):
        for at, case in enumerate(cases):
            wanted = min(case.reps or reps, reps)
            if turn >= wanted or (turn < 0 and case.reps):
                continue
            told(case)
            taken = sample(case)
            if turn >= 0:
                samples[at].append(taken)
    return [Measured(system=c.system, work=c.work, pieces=c.pieces, samples=tuple(samples[at])) for at, c in enumerate(cases)]


def emptied(*names: str) -> Callable[[Path], None]:
    """A `before` that removes folders and files of the case's folder."""

    def remove(folder: Path) -> None:
        for name in names:
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    return remove


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait_for_orphans() -> None:
    """Wait for what the command left running; end it after ten seconds."""
    deadline = time.monotonic() + 10.0
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            if time.monotonic() > deadline:
                _kill_children()
            time.sleep(0.01)


def _kill_children() -> None:
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
