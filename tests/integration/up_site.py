"""A real `bedplate up` on loopback for tests: in a thread of this process, or as the process that a user starts."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from bedplate.assembly import open_store
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.first_start import first_start
from bedplate.catalog.keys import Keys
from bedplate.catalog.places import database_at
from bedplate.core.clock import SystemClock
from bedplate.core.config import resolve
from bedplate.interfaces.http.door.endpoint import Endpoint
from bedplate.interfaces.http.up.place import Place
from bedplate.interfaces.http.up.server import Platform, up

API = "/api/2.0/mlflow"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """One connection of a client with a token (or with none)."""

    def __init__(self, url: str, token: str = "") -> None:
        self.host, _, port = url.partition("://")[2].partition(":")
        self.port = int(port)
        self.token = token
        self._connection = http.client.HTTPConnection(self.host, self.port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request; a body that is no bytes goes as JSON."""
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if raw is not None and not isinstance(body, bytes):
            given["Content-Type"] = "application/json"
        self._connection.request(method, path, raw, {**given, **(headers or {})})
        response = self._connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def drop(self) -> None:
        """Close the connection; the next request opens another one."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def new_run(self, **more: Any) -> str:
        """A run in experiment 0."""
        answer = self.ask("POST", f"{API}/runs/create", {"experiment_id": "0", **more})
        assert answer.status == 200, answer
        return str(answer.json["run"]["info"]["run_id"])


class Up(NamedTuple):
    """A server that answers."""

    url: str
    token: str
    catalog: Catalog

    def line(self) -> Line:
        return Line(self.url, self.token)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request with the token, on a connection of its own."""
        return _once(self.line(), method, path, body, headers)

    def nobody(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """The same without a token."""
        return _once(Line(self.url), method, path, body, headers)

    def raw(self, sent: bytes, patience_s: float = 5.0) -> bytes:
        """Send bytes as they are; what comes back until the server closes, or says nothing for a while."""
        host, _, port = self.url.partition("://")[2].partition(":")
        with socket.create_connection((host, int(port)), timeout=patience_s) as client:
            client.sendall(sent)
            found = b""
            try:
                while piece := client.recv(65536):
                    found += piece
            except TimeoutError:
                pass
            return found


def _once(line: Line, method: str, path: str, body: Any, headers: Mapping[str, str] | None) -> Answer:
    with line:
        return line.ask(method, path, body, headers)


@contextmanager
def in_thread(
    folder: Path, *, extra: tuple[Endpoint, ...] = (), body_limit: int = 16_000_000, settings: Mapping[str, str] | None = None
) -> Iterator[Up]:
    """A server in a thread of this process."""
    config, clock = resolve(folder / "project.py", settings or {}, {}), SystemClock()
    catalog = Catalog.open(database_at(config["catalog"]), clock)
    random_bits = random.SystemRandom().getrandbits
    token = first_start(catalog, config.state, clock.now(), random_bits).token
    ready: dict[str, Any] = {}
    begun = threading.Event()

    def announce(url: str, stop: Any, _grpc: str | None) -> None:
        ready.update(url=url, stop=stop)
        begun.set()

    platform = Platform(
        opens=lambda: Catalog(database_at(config["catalog"])), store=open_store(config, pickles=False), clock=clock,
        random_bits=random_bits, keys=Keys(config.state), config=config, body_limit=body_limit, process_started=0.0, extra=extra,
    )  # fmt: skip
    server = threading.Thread(target=up, args=(platform, Place(port=0), announce))
    server.start()
    assert begun.wait(20)
    try:
        yield Up(ready["url"], token, catalog)
    finally:
        ready["stop"]()
        server.join(40)
        catalog.close()
    assert not server.is_alive()


class Process(NamedTuple):
    """A server as a process of its own, and what it said when it was ready."""

    process: subprocess.Popen[str]
    url: str
    token: str
    said: Mapping[str, Any]

    def line(self) -> Line:
        return Line(self.url, self.token)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request with the token, on a connection of its own."""
        return _once(self.line(), method, path, body, headers)


@contextmanager
def as_process(folder: Path, *words: str, **environ: str) -> Iterator[Process]:
    """`bedplate up --port 0 --json` in a folder; ended with SIGTERM where the test did not."""
    command = [sys.executable, "-m", "bedplate", "up", "--port", "0", "--json", *words]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ}, start_new_session=True
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Process(process, said["url"], said["token"], said)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(60)
