"""A LocalExecutor whose workers run `compute_handlers`, and short words for driving it."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bedplate.compute.executor import Ended, Job, Progress
from bedplate.compute.local import LocalExecutor
from bedplate.core.project import Needs

COMMAND = (sys.executable, "-m", "bedplate.interfaces.worker", "--handler", "compute_handlers:worker_handler")
HERE = str(Path(__file__).parent)
PATIENCE_S = 30.0


class Driver:
    def __init__(self, folder: Path, **options: Any) -> None:
        os.environ["PYTHONPATH"] = HERE
        self.folder = folder
        self.executor = LocalExecutor(COMMAND, **{"cpu": 2, **options})
        self._said: list[Progress] = []
        self._ends: dict[str, Ended] = {}
        self._numbers = itertools.count()

    def start(self, *action: Any, fingerprint: str = "", **needs: Any) -> str:
        name = f"job-{next(self._numbers)}"
        self.executor.start(
            Job(
                id=name, payload=json.dumps(action).encode(), needs=Needs(**needs), log=self.folder / name / "log.txt",
                fingerprint=fingerprint, name=action[0],
            )
        )  # fmt: skip
        return name

    def ended(self, *names: str) -> list[Ended]:
        """The ends of these jobs, in the order of their names."""
        self._until(lambda: set(names) <= set(self._ends), f"no end of {names}")
        return [self._ends.pop(name) for name in names]

    def run(self, *action: Any, **options: Any) -> Ended:
        return self.ended(self.start(*action, **options))[0]

    def heard(self, name: str = "") -> bytes:
        """Wait for the next progress, of this job or of any."""
        self._until(lambda: any(name in ("", said.id) for said in self._said), f"no progress of {name or 'any job'}")
        found = next(said for said in self._said if name in ("", said.id))
        self._said.remove(found)
        return found.payload

    def _until(self, done: Callable[[], bool], trouble: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, f"{trouble}; ended: {self._ends}"
            for event in self.executor.wait(1.0):
                if isinstance(event, Progress):
                    self._said.append(event)
                else:
                    assert event.id not in self._ends, "one end a job"
                    self._ends[event.id] = event

    def worker_pid(self, name: str) -> int:
        pid = self.executor._running[name].worker.pid
        assert pid is not None
        return pid

    def server_pid(self) -> int:
        (server,) = self.executor._servers.values()
        return server.pid

    def log(self, name: str) -> str:
        return (self.folder / name / "log.txt").read_text()


def drivers(folder: Path, **options: Any) -> Iterator[Driver]:
    before = os.environ.get("PYTHONPATH")
    driver = Driver(folder, **options)
    yield driver
    driver.executor.close()
    if before is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = before


def alive(pid: int) -> bool:
    """Whether a process still runs: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def gone_within(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(map(alive, pids)):
            return True
        time.sleep(0.01)
    return False


def children(pid: int) -> list[int]:
    """A process's own children."""
    return [child for child, parent in _parents().items() if parent == pid]


def tree_of(pid: int) -> list[int]:
    """A process's descendants, by the parents that /proc names."""
    parents = _parents()
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent and child not in found]
    return found[1:]


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    return parents
