"""A LocalExecutor whose workers run `compute_handlers`, and short words for driving it."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
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
        self.said: list[Progress] = []
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
        ends: dict[str, Ended] = {}
        deadline = time.monotonic() + PATIENCE_S
        while set(names) - set(ends):
            assert time.monotonic() < deadline, f"no end of {set(names) - set(ends)}"
            for event in self.executor.wait(1.0):
                if isinstance(event, Ended):
                    assert event.id not in ends
                    ends[event.id] = event
                else:
                    self.said.append(event)
        return [ends[name] for name in names]

    def run(self, *action: Any, **options: Any) -> Ended:
        return self.ended(self.start(*action, **options))[0]

    def heard(self) -> bytes:
        """Wait for the next progress."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.said:
            assert time.monotonic() < deadline, "no progress"
            events = self.executor.wait(1.0)
            assert not any(isinstance(event, Ended) for event in events), events
            self.said += [event for event in events if isinstance(event, Progress)]
        return self.said.pop(0).payload

    def heard_from(self, name: str) -> bytes:
        """Wait for this job's next progress."""
        while not any(said.id == name for said in self.said):
            self.said += [event for event in self.executor.wait(1.0) if isinstance(event, Progress)]
        found = next(said for said in self.said if said.id == name)
        self.said.remove(found)
        return found.payload

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


def tree_of(pid: int) -> list[int]:
    """A process's descendants, by the parents that /proc names."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent and child not in found]
    return found[1:]
