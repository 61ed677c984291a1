"""Several processes behind one port: they answer as one, one that dies is replaced, and a stop loses no request."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

PROJECT = '''
import os
import time

from bedplate import Project

served = Project("served")


@served.service
def who(nap: float = 0.0) -> int:
    """The process that answers."""
    time.sleep(nap)
    return os.getpid()
'''


class Serving:
    """A server of several processes: what it said, and how it is asked."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        assert running.stdout is not None
        self.running = running
        self.ready: dict[str, Any] = json.loads(running.stdout.readline())
        self.made = 0
        self.address = str(self.ready["url"]).removeprefix("http://")

    def connected(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=20)

    def who(self, nap: float = 0.0) -> int:
        """Which process answers on a connection of its own."""
        with closing(self.connected()) as connection:
            status, _, said = asked(connection, nap)
        self.made += 1
        assert status == 200
        return int(said["result"])

    def all(self, count: int) -> set[int]:
        """The processes that answer, once there are so many."""
        found: set[int] = set()
        until = time.monotonic() + 30
        while len(found) < count and time.monotonic() < until:
            found.add(self.who())
        return found

    def counted(self) -> float:
        with closing(self.connected()) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith('bedplate_requests_total{service="who"'))


def asked(connection: http.client.HTTPConnection, nap: float = 0.0) -> tuple[int, str, dict[str, Any]]:
    connection.request("POST", "/who", json.dumps({"nap": nap}), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.headers.get("connection", ""), json.loads(answer.read())


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Serving]:
    (folder / "served.py").write_text(PROJECT)
    command = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield Serving(running)
        finally:
            running.terminate()
            running.wait(30)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.1)


def test_they_answer_as_one_and_their_counts_are_added_up(tmp_path: Path) -> None:
    with serving(tmp_path, "--processes", "2", "--grpc-port", "none") as server:
        assert server.ready == {**server.ready, "grpc": None, "services": ["who"], "models": []}
        assert len(server.all(2)) == 2
        loaded = Path(f"/proc/{server.running.pid}/maps").read_text()
        assert "libc.so" in loaded
        assert not [name for name in ("polars", "numpy", "uvloop", "deltalake") if name in loaded], (
            "it starts processes, and serves nothing"
        )
        for _ in range(10):
            server.who()
        until(lambda: server.counted() == server.made)


def test_a_request_with_a_key_is_worked_out_by_one_of_them_only(tmp_path: Path) -> None:
    """Whichever process gets it again, and while the first still works on it: then it is asked to come again, and gets that answer."""
    with serving(tmp_path, "--processes", "2") as server:
        server.all(2)

        def ask(key: str, nap: float = 0.0) -> tuple[int, int | None]:
            with closing(server.connected()) as connection:
                body = json.dumps({"nap": nap})
                connection.request("POST", "/who", body, {"Content-Type": "application/json", "Idempotency-Key": key})
                answer = connection.getresponse()
                said = json.loads(answer.read())
                return answer.status, said["result"] if answer.status == 200 else None

        assert len({ask("one") for _ in range(20)}) == 1
        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(lambda _: ask("slow", 0.5), range(8)))
        assert {status for status, _ in said} <= {200, 409}
        assert len({result for status, result in said if status == 200} | {ask("slow", 0.5)[1]}) == 1
        with closing(server.connected()) as connection:
            connection.request("POST", "/who", b'{"nap": 1e-9}', {"Content-Type": "application/json", "Idempotency-Key": "one"})
            assert connection.getresponse().status == 422


def test_one_that_is_killed_is_replaced_its_counts_stay_and_nobody_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, "--processes", "2") as server:
        before = server.all(2)
        until(lambda: server.counted() == server.made)
        counted = server.made
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        answered = {server.who() for _ in range(60)}
        assert killed not in answered
        assert len(server.all(2) - {killed}) == 2
        until(lambda: server.counted() >= counted + 60)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_stop_loses_no_request(tmp_path: Path, processes: str) -> None:
    """F63: Clients that keep their connections are answered until the server says that this was the last; then nobody listens."""
    answered: list[int] = []
    failed: list[str] = []

    def go_on(server: Serving) -> None:
        connection = server.connected()
        while True:
            try:
                connection.connect()
            except OSError:
                return
            last = ""
            while last != "close":
                try:
                    status, last, _ = asked(connection, 0.002)
                except (OSError, http.client.HTTPException) as error:
                    failed.append(repr(error))
                    return
                answered.append(status)
            connection.close()

    with serving(tmp_path, "--processes", processes) as server:
        clients = [threading.Thread(target=go_on, args=(server,)) for _ in range(8)]
        for client in clients:
            client.start()
        time.sleep(1.0)
        server.running.terminate()
        for client in clients:
            client.join(30)
        assert server.running.wait(30) == 0
        assert server.running.stderr is not None
        assert server.running.stderr.read() == ""
    assert (failed, set(answered)) == ([], {200})


def test_a_mistake_in_the_project_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text("from bedplate import Project\n\nserved = Project('served')\n")
    command = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--processes", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("there is nothing to serve") == 1


def test_none_outlives_the_one_that_started_them(tmp_path: Path) -> None:
    with serving(tmp_path, "--processes", "2") as server:
        pids = server.all(2)
        server.running.kill()
        until(lambda: not any(Path(f"/proc/{pid}").exists() and _lives(pid) for pid in pids))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
