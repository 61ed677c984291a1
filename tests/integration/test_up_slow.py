"""Slow clients: heads, bodies and readers that dawdle lose their connection, and others do not notice them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from up_site import API, Up, in_thread

from bedplate.core.errors import StoreError
from bedplate.interfaces.http import protocol
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, on_server

PATIENCE_S = 1.5
LARGE = 64 << 20


def large(_desk: Desk, _asked: Asks) -> Reply:
    """More than any buffer between here and the client holds."""
    return Reply(body=(b"x" * (1 << 20) for _ in range(LARGE >> 20)))


def broken(_desk: Desk, _asked: Asks) -> Reply:
    """Its second piece cannot be read."""

    def pieces() -> Iterator[bytes]:
        yield b"x" * 1000
        raise StoreError("the disk is gone", why="/secret/place")

    return Reply(body=pieces())


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name in ("HEAD_S", "BODY_S", "WRITE_S"):
            patch.setattr(protocol, name, PATIENCE_S)
        extra = tuple(Endpoint("GET", path, Asks, "metrics.read", on_server, answer) for path, answer in PAGES.items())
        yield stack.enter_context(in_thread(tmp_path_factory.mktemp("slow"), extra=extra))


PAGES = {"/large": large, "/broken": broken}


def dawdle(client: socket.socket, piece: bytes, most_s: float) -> tuple[bytes, float]:
    """Send a byte every quarter of a second until the server ends it; what it said, and how long it took."""
    started, found = time.monotonic(), b""
    client.settimeout(0.25)
    while time.monotonic() - started < most_s:
        try:
            client.sendall(piece)
        except OSError:
            break
        try:
            got = client.recv(65536)
            if not got:
                break
            found += got
        except TimeoutError:
            continue
        except OSError:
            break
    return found, time.monotonic() - started


def connected(up: Up) -> socket.socket:
    host, _, port = up.url.partition("://")[2].partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_headers_that_come_a_byte_at_a_time_end_the_connection(up: Up) -> None:
    with connected(up) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: ")
        said, took_s = dawdle(client, b"a", 15)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert took_s < PATIENCE_S + 4


def test_a_client_that_connects_and_says_nothing_is_let_go(up: Up) -> None:
    with connected(up) as client:
        client.settimeout(PATIENCE_S + 8)
        assert client.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_comes_a_byte_at_a_time_ends_the_connection(up: Up) -> None:
    head = f"POST {API}/experiments/search HTTP/1.1\r\nHost: {up.url[7:]}\r\nAuthorization: Bearer {up.token}\r\n"
    with connected(up) as client:
        client.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n".encode())
        said, took_s = dawdle(client, b" ", 15)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert took_s < 2 * PATIENCE_S + 5


def test_an_answer_that_nobody_takes_ends_the_connection(up: Up) -> None:
    with connected(up) as client:
        client.sendall(f"GET /large HTTP/1.1\r\nHost: {up.url[7:]}\r\nAuthorization: Bearer {up.token}\r\n\r\n".encode())
        time.sleep(2 * PATIENCE_S + 5)
        taken = 0
        client.settimeout(10)
        try:
            while piece := client.recv(1 << 20):
                taken += len(piece)
        except ConnectionError:
            pass
    assert taken < LARGE, "what was in the buffers, and no more"


def test_an_answer_in_pieces_arrives_whole(up: Up) -> None:
    answer = up.ask("GET", "/large")
    assert (answer.status, len(answer.body)) == (200, LARGE)


def test_an_answer_that_cannot_be_finished_is_cut_off_and_told_in_the_log(up: Up, caplog: pytest.LogCaptureFixture) -> None:
    """A client must not take half a file for the whole; the log has why, the client nothing of it."""
    said = up.raw(f"GET /broken HTTP/1.1\r\nHost: {up.url[7:]}\r\nAuthorization: Bearer {up.token}\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 200 ")
    assert not said.endswith(b"0\r\n\r\n"), "the chunk that ends a whole answer"
    assert b"/secret/place" not in said
    assert "/secret/place" in caplog.text
    assert up.nobody("GET", "/health").status == 200


def test_a_connection_at_rest_is_kept(up: Up) -> None:
    """Between requests a client may rest: a training step takes minutes."""
    line = up.line()
    assert line.ask("POST", f"{API}/experiments/search", {"max_results": 1}).status == 200
    time.sleep(2 * PATIENCE_S + 2)
    assert line.ask("POST", f"{API}/experiments/search", {"max_results": 1}).status == 200
    line.drop()


def test_hundreds_of_slow_clients_hold_up_nobody(up: Up) -> None:
    """Of 300 half-sent requests none is still open after their time, and requests in between are answered quickly."""
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(up)) for _ in range(300)]
        for number, client in enumerate(slow):
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x" if number % 2 else b"P")
        slowest = 0.0
        for _ in range(50):
            started = time.monotonic()
            assert up.nobody("GET", "/health").status == 200
            slowest = max(slowest, time.monotonic() - started)
        assert slowest < 1
        for client in slow:
            client.settimeout(PATIENCE_S + 8)
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 408 ")


def test_an_upload_that_goes_on_is_not_slow(up: Up, tmp_path: Path) -> None:
    """A body that takes longer than the patience, but brings enough in each of it, arrives."""
    line = up.line()
    run = line.new_run()
    line.drop()
    head = f"PUT /api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/a.bin HTTP/1.1\r\nHost: {up.url[7:]}\r\n"
    with connected(up) as client:
        client.sendall(f"{head}Authorization: Bearer {up.token}\r\nContent-Length: 60000\r\n\r\n".encode())
        for _ in range(12):
            client.sendall(b"x" * 5000)
            time.sleep(0.4)
        client.settimeout(20)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
