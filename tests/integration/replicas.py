"""A router with its replicas as the command runs it, and clients that keep asking: for the tests of what comes and goes under traffic."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

PROJECT = '''
import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

from bedplate import Project

served = Project("served")


@served.service(p95="5 s")
def who(nap: float = 0.0, mark: str = "") -> int:
    """The process that answers."""
    time.sleep(nap)
    return os.getpid()


@served.service
def ends() -> int:
    """Ends its process, as a fault in a native library does."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


@served.service
def says(count: int) -> str:
    """A long answer."""
    return "x" * count


@served.service
async def counts(count: int = 3, nap: float = 0.0) -> AsyncIterator[int]:
    """The process that answers, again and again."""
    for _ in range(count):
        yield os.getpid()
        await asyncio.sleep(nap)
'''
PATIENCE_S = 30.0


class Served:
    """A server, by what it said when it began to answer."""

    def __init__(self, running: subprocess.Popen[str], folder: Path) -> None:
        assert running.stdout is not None
        self.running = running
        self.folder = folder
        self.ready: dict[str, Any] = json.loads(running.stdout.readline())
        self.address = str(self.ready["url"]).removeprefix("http://")

    def ask(self, path: str = "/who", body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        """One request on a connection of its own; without a body, with GET."""
        with closing(http.client.HTTPConnection(self.address, timeout=PATIENCE_S)) as connection:
            raw = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, raw, {"content-type": "application/json", **headers})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, text

    def who(self, **body: Any) -> int:
        """The process that answers."""
        status, _, text = self.ask("/who", body)
        assert status == 200, text
        return int(json.loads(text)["result"])

    def replicas(self) -> dict[str, dict[str, Any]]:
        """How each replica stands."""
        found: dict[str, dict[str, Any]] = json.loads(self.ask("/health/ready")[2])["replicas"]
        return found

    def states(self) -> list[str]:
        return sorted(one["state"] for one in self.replicas().values())

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self.ask("/metrics")[2].decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


@contextmanager
def served(folder: Path, *words: str, project: str = PROJECT, **environ: str) -> Iterator[Served]:
    """`bedplate serve` with these words."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "served.py").write_text(project)
    command = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json", *words]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as people have it
    environment = {**own, **{f"BEDPLATE_{name.upper()}": value for name, value in environ.items()}}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as running:
        try:
            yield Served(running, folder)
        finally:
            running.terminate()
            running.wait(60)


class Traffic:
    """Clients that ask one after the other until told to stop, and what came of it."""

    def __init__(self, address: str, count: int = 8, nap: float = 0.002) -> None:
        self.by: dict[int, int] = {}
        self.failed: list[str] = []
        self.marks: list[str] = []
        self.name = uuid.uuid4().hex
        self._address, self._nap = address, nap
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go, args=(at,)) for at in range(count)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def answered(self) -> int:
        return sum(self.by.values())

    def more(self, count: int) -> None:
        """Wait until so many more were answered."""
        goal = self.answered + count
        until(lambda: self.answered >= goal or bool(self.failed))

    def known(self, count: int) -> None:
        """Wait until so many processes have answered."""
        until(lambda: len(self.by) >= count or bool(self.failed))

    def _go(self, at: int) -> None:
        number = 0
        with closing(http.client.HTTPConnection(self._address, timeout=PATIENCE_S)) as connection:
            while not self._over.is_set():
                number += 1
                mark = f"{self.name}-{at}-{number}"
                body = json.dumps({"nap": self._nap, "mark": mark})
                try:
                    connection.request("POST", "/who", body, {"content-type": "application/json"})
                    answer = connection.getresponse()
                    text = answer.read()
                except (OSError, http.client.HTTPException) as error:
                    self.failed.append(repr(error))
                    return
                if answer.status != 200:
                    self.failed.append(f"{answer.status} {text!r}")
                    return
                pid = int(json.loads(text)["result"])
                with self._lock:
                    self.by[pid] = self.by.get(pid, 0) + 1
                    self.marks.append(mark)


def until(true: Callable[[], bool]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)
