"""Servers on PostgreSQL and S3 that go away under load, and two servers on one state: nothing is lost, nothing is there twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from insisting import Insisting
from real_servers import PostgresServer, S3Server, new_postgres
from tcp_proxy import TcpProxy
from trackers import Tracker

START_MS = 1_760_000_000_000
POINTS = 120
BYTES = {"Content-Type": "application/octet-stream"}


class Writer(threading.Thread):
    """Makes a run and logs into it, one point and one batch in turn; ends it."""

    def __init__(self, urls: Sequence[str], token: str, number: int) -> None:
        super().__init__()
        self.number, self.run_id, self.failed = number, "", ""
        turned = [*urls[number % len(urls) :], *urls[: number % len(urls)]]
        self.client = Insisting(turned[0], token, others=turned[1:])

    def run(self) -> None:
        try:
            self._log()
        except Exception as error:  # told by the test's own thread
            self.failed = repr(error)
        finally:
            self.client.close()

    def _log(self) -> None:
        self.run_id = self.client.new_run(START_MS + self.number, f"writer {self.number}")
        for step in range(0, POINTS, 6):
            self.client.post("runs/log-metric", run_id=self.run_id, key="loss", value=step, timestamp=step, step=step)
            points = [{"key": "loss", "value": one, "timestamp": one, "step": one} for one in range(step + 1, step + 6)]
            self.client.post("runs/log-batch", run_id=self.run_id, metrics=points, params=[{"key": f"p{step}", "value": "x"}])
            time.sleep(0.01)
        self.client.post("runs/update", run_id=self.run_id, status="FINISHED", end_time=START_MS)


def all_there(url: str, token: str, writers: Sequence[Writer]) -> None:
    """Every point of every writer once and in order, and no run but theirs."""
    assert [writer.failed for writer in writers] == [""] * len(writers)
    reader = Insisting(url, token)
    for writer in writers:
        assert reader.history(writer.run_id, "loss") == [(step, float(step)) for step in range(POINTS)]
        run = reader.get(f"runs/get?run_id={writer.run_id}")["run"]
        assert (run["info"]["status"], len(run["data"]["params"])) == ("FINISHED", POINTS // 6)
    found = reader.post("runs/search", experiment_ids=["0"], max_results=100)["runs"]
    assert {one["info"]["run_id"] for one in found} == {writer.run_id for writer in writers}
    assert len(found) == len(writers)
    reader.close()


def written(urls: Sequence[str], token: str, count: int, meanwhile: Callable[[], None]) -> list[Writer]:
    """So many writers, and what happens while they write."""
    writers = [Writer(urls, token, number) for number in range(count)]
    for writer in writers:
        writer.start()
    meanwhile()
    for writer in writers:
        writer.join()
    return writers


@contextlib.contextmanager
def losing(trackers: Sequence[Tracker]) -> Iterator[list[str]]:
    """Ways to these servers on which every twentieth answer is lost."""
    with contextlib.ExitStack() as stack:
        proxies = [TcpProxy(int(one.url.rpartition(":")[2])) for one in trackers]
        for proxy in proxies:
            stack.callback(proxy.close)
            proxy.tell(loses=0.05)
        yield [proxy.endpoint for proxy in proxies]
        assert sum(proxy.broken for proxy in proxies) > 0


def verified(folder: Path, url: str) -> None:
    """The audit log is whole, whichever server wrote it."""
    environment = {**os.environ, "BEDPLATE_CATALOG": url} if url else None
    words = [sys.executable, "-m", "bedplate", "audit", "verify", "--json"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    server = new_postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_two_servers_on_one_state_of_files(tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """Clients go on at the other where one loses their answer or is killed; a run is made once, whichever server is asked again."""
    state = str(tmp_path / "shared")
    one = tracker("--state", state)
    other = tracker("--state", state)

    def meanwhile() -> None:
        for victim in (one, other):
            time.sleep(0.5)
            victim.kill()
            victim.start()

    with losing((one, other)) as urls:
        writers = written(urls, one.token, 4, meanwhile)
    all_there(other.url, one.token, writers)


def test_two_servers_on_one_state_of_postgres(tracker: Callable[..., Tracker], tmp_path: Path, postgres_url: str) -> None:
    """The same on two machines: folders of their own, one database."""
    url = f"{postgres_url}?schema=two_{os.urandom(4).hex()}"
    words = ("--state", url, "--store", str(tmp_path / "bytes"))
    one, other = tracker(*words), tracker(*words)

    def meanwhile() -> None:
        time.sleep(0.7)
        one.kill()
        one.start()

    with losing((one, other)) as urls:
        writers = written(urls, one.token, 4, meanwhile)
    all_there(other.url, one.token, writers)
    reader = Insisting(other.url, one.token)
    reader.ask("POST", "/api/bedplate/me/tokens", json.dumps({"name": "more"}).encode())
    reader.close()
    verified(one.folder, url)
    verified(other.folder, url)


def test_f51_postgres_is_killed_under_load(postgres: PostgresServer, tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """Twice, for half a second: clients are told 503 or wait, then go on at once; all is there once."""
    up = tracker("--state", postgres.url, "--store", str(tmp_path / "bytes"))
    back_s = []

    def meanwhile() -> None:
        for _ in range(2):
            time.sleep(0.6)
            postgres.kill()
            time.sleep(0.5)
            postgres.start()
            began = time.monotonic()
            client = Insisting(up.url, up.token)
            client.post("runs/search", experiment_ids=["0"], max_results=1)
            client.close()
            back_s.append(time.monotonic() - began)

    with losing((up,)) as urls:
        writers = written(urls, up.token, 4, meanwhile)
    all_there(up.url, up.token, writers)
    assert {status for writer in writers for status in writer.client.busy} <= {503}
    assert max(back_s) < 5


def test_it_ends_soon_though_its_record_is_away(postgres: PostgresServer, tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """Told to stop while PostgreSQL is down: what would be written last is given up after a few seconds."""
    up = tracker("--state", postgres.url, "--store", str(tmp_path / "bytes"))
    client = Insisting(up.url, up.token)
    client.new_run(1)
    client.close()
    postgres.kill()
    began = time.monotonic()
    up.kill(signal.SIGTERM)
    assert time.monotonic() - began < 15


def test_s3_is_away_under_load(tracker: Callable[..., Tracker], s3_server: S3Server) -> None:
    """Uploads wait or are told 503, then arrive whole; who logs points meanwhile does not notice."""
    way = TcpProxy(s3_server.port)
    try:
        up = tracker("--store", f"s3://{s3_server.bucket()}/team?endpoint={way.endpoint}")
        client = Insisting(up.url, up.token)
        run = client.new_run(1)
        place = f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts"
        sent: dict[str, bytes] = {}
        away = threading.Event()

        def upload(number: int) -> None:
            sender = Insisting(up.url, up.token)
            for turn in range(8):
                content = os.urandom(200_000)
                sender.ask("PUT", f"{place}/{number}/{turn}.bin", content, BYTES)
                sent[f"{number}/{turn}.bin"] = content
            sender.close()

        senders = [threading.Thread(target=upload, args=(number,)) for number in range(3)]
        for sender in senders:
            sender.start()
        time.sleep(0.2)
        way.tell(loses=1.0)
        threading.Timer(2.5, lambda: (away.set(), way.tell())).start()
        spent = []
        for step in range(10_000):
            began = time.perf_counter()
            client.post("runs/log-metric", run_id=run, key="m", value=step, timestamp=1, step=step)
            spent.append(time.perf_counter() - began)
            time.sleep(0.005)
            if away.is_set():
                break
        for sender in senders:
            sender.join()
        assert len(sent) == 24
        for path, content in sent.items():
            assert client.ask("GET", f"{place}/{path}", None) == content
        assert (client.lost, client.busy) == (0, {})
        assert max(spent) < 1
        client.close()
    finally:
        way.close()
