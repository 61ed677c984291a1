"""`bedplate up` in a process of its own, as tests talk to it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Tracker:
    """A server over the state in a folder; it may be killed and started again on the same port."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.token = ""
        self._words = words
        self._port = "0"
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "bedplate", "up", "--json", "--no-due", "--port", self._port, *self._words]
        with (self.folder / "up.log").open("a") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            pytest.fail(f"bedplate up ended: {(self.folder / 'up.log').read_text()}")
        said = json.loads(line)
        self.url = said["url"]
        self.token = said["token"] or self.token
        self._port = self.url.rpartition(":")[2]

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, without a word unless another signal is given."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Callable[..., Tracker]]:
    """Starts servers, each with further words of its command line; ended with the test."""
    started: list[Tracker] = []

    def start(*words: str) -> Tracker:
        folder = tmp_path / f"tracker-{len(started)}"
        folder.mkdir()
        started.append(Tracker(folder, *words))
        return started[-1]

    yield start
    for one in started:
        one.kill(signal.SIGTERM)
