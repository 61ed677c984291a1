"""How many replicas there are, and where: from none and back, up and down under traffic, full, hung, and elsewhere, within the regions."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from replicas import PROJECT, Served, Traffic, served, until


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with none to two replicas, which come and go quickly."""
    folder = tmp_path_factory.mktemp("scaled")
    with served(folder, "--replicas", "0..2", scale_to_zero="1 s", scale_in="1 s", replica_load="1") as server:
        yield server


def test_from_none_and_back_the_first_requests_are_held_and_none_is_lost(scaled: Served) -> None:
    """Twenty clients ask at once while there is no replica; one is started for them, and it goes again when nobody asks."""
    answers: list[int] = []

    def ask() -> None:
        answers.append(scaled.ask("/who", {})[0])

    for _ in range(2):
        until(lambda: scaled.replicas() == {})
        status, _, text = scaled.ask("/health/ready")
        assert (status, json.loads(text)["ready"]) == (200, True)
        clients = [threading.Thread(target=ask) for _ in range(20)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(30)
    assert answers == [200] * 40


def test_load_brings_another_and_its_end_drains_it_without_a_failed_request(scaled: Served) -> None:
    with Traffic(scaled.address, 6, nap=0.02) as much:
        much.known(2)
        much.more(50)
    with Traffic(scaled.address, 1, nap=0.0) as little:
        until(lambda: len(scaled.replicas()) == 1)
        little.more(20)
    assert (much.failed, little.failed) == ([], [])
    until(lambda: scaled.replicas() == {})
    assert scaled.metric("bedplate_router_scalings_total") >= 4
    assert scaled.metric("bedplate_requests_total") >= much.answered


def test_where_all_have_as_much_as_they_take_others_are_told_at_once_when_to_come_again(tmp_path: Path) -> None:
    """Ninety-eight clients beyond two slow requests: each gets 503 with Retry-After in its protocol's form, and the two are answered."""
    with served(tmp_path, "--replicas", "1", replica_queue="2") as server:
        answers: list[int] = []
        slow = [threading.Thread(target=lambda: answers.append(server.ask("/who", {"nap": 2.0})[0])) for _ in range(2)]
        for client in slow:
            client.start()
        until(lambda: server.metric("bedplate_replica_running") == 2)
        refused = [server.ask("/who", {}) for _ in range(98)]
        assert {(status, headers["retry-after"]) for status, headers, _ in refused} == {(503, "1")}
        assert json.loads(refused[0][2])["error"]["what"] == "the server is full"
        assert json.loads(server.ask("/v2/models/none/infer", {})[2])["error"].startswith("the server is full")
        for client in slow:
            client.join(30)
        assert answers == [200, 200]
        assert server.who() > 0


@pytest.mark.slow
def test_a_replica_that_hangs_is_killed_and_what_it_had_is_answered(tmp_path: Path) -> None:
    with served(tmp_path, "--replicas", "2") as server, Traffic(server.address, 4) as traffic:
        traffic.known(2)
        stopped = server.who()
        os.kill(stopped, signal.SIGSTOP)
        traffic.known(3)
        traffic.more(50)
    assert traffic.failed == []
    assert not Path(f"/proc/{stopped}").exists()


def test_fail_over_goes_to_the_next_zone_and_never_out_of_the_region(tmp_path: Path) -> None:
    """Three servers elsewhere: the near one is killed under traffic, then one in the next zone; the one in another region stays unasked.

    Then the near one comes back, and answers again.
    """
    with contextlib.ExitStack() as stack:
        near, beside, abroad = (stack.enter_context(served(tmp_path / name)) for name in ("near", "beside", "abroad"))
        labels = ["zone=a,region=eu", "zone=b,region=eu", "zone=a,region=us"]
        words = [
            word for one, label in zip((near, beside, abroad), labels, strict=True) for word in ("--replica", f"{one.ready['url']},{label}")
        ]
        router = stack.enter_context(served(tmp_path / "router", *words, place="zone=a,region=eu"))
        assert router.ready["services"] == ["counts", "ends", "says", "who"]
        with Traffic(router.address, 4) as traffic:
            traffic.more(50)
            assert set(traffic.by) == {near.running.pid}
            near.running.kill()
            traffic.known(2)
            traffic.more(50)
        assert traffic.failed == []
        assert set(traffic.by) == {near.running.pid, beside.running.pid}
        beside.running.kill()
        until(lambda: router.ask("/who", {})[0] == 503)
        status, headers, text = router.ask("/who", {})
        assert (status, headers["retry-after"], json.loads(text)["error"]["what"]) == (503, "1", "no replica answers")
        assert router.ask("/health/ready")[0] == 503
        near.running.wait()
        again = stack.enter_context(served(tmp_path / "near", "--port", near.address.rpartition(":")[2]))
        until(lambda: router.ask("/who", {})[0] == 200)
        assert router.who() == again.running.pid
        assert abroad.metric("bedplate_requests_total") == 0


class Hanging(socketserver.StreamRequestHandler):
    """A server that is well, and ends the connection of every prediction."""

    asked = 0

    def handle(self) -> None:
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self.rfile.read(length)
            if line.startswith(b"POST"):
                Hanging.asked += 1
                return
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")


def test_a_prediction_that_may_have_been_made_elsewhere_is_not_asked_for_twice(tmp_path: Path) -> None:
    """Its connection ends, and the machine is still there: the client is told that nobody knows. Reading goes to another."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Hanging) as far, served(tmp_path / "near") as near:
        threading.Thread(target=far.serve_forever, daemon=True).start()
        words = ["--replica", f"http://127.0.0.1:{far.server_address[1]},zone=a,region=eu", "--replica", f"{near.ready['url']},region=eu"]
        with served(tmp_path / "router", *words, place="zone=a,region=eu") as router:
            until(lambda: router.states() == ["ready", "ready"])
            status, headers, text = router.ask("/who", {})
            assert (status, headers["retry-after"]) == (502, "1")
            assert "nobody knows" in json.loads(text)["error"]["why"]
            assert Hanging.asked == 1
            assert near.metric("bedplate_requests_total") == 0
        far.shutdown()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--replicas", "4..1"), "no number of replicas"),
        (("--replicas", "0"), "no replica would ever answer"),
        (("--replicas", "2", "--processes", "2"), "two ways"),
        (("--replica", "ftp://there"), "no address of a replica"),
        (("--replica", "http://10.0.0.7:80,rack=4"), "no label of a place"),
        (("--replica", "http://10.0.0.7:80", "--replica", "http://10.0.0.7:80"), "named twice"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_starts(tmp_path: Path, words: tuple[str, ...], what: str) -> None:
    (tmp_path / "served.py").write_text(PROJECT)
    command = [sys.executable, "-m", "bedplate", "serve", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr


def test_a_mistake_in_the_project_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text("from bedplate import Project\n\nserved = Project('served')\n")
    command = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--replicas", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("there is nothing to serve") == 1
