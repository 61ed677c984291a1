"""What an attacker sends to the port that serves: smuggled requests, floods of chunks and of slow sockets, foreign names, other formats.

Each is refused once, in the error shape of the protocol that was asked, nothing of the machine is told, and the server goes on.
"""

from __future__ import annotations

import gzip
import json
import pickle
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

import psutil
import pytest
from serve_site import Place, serving_at

from bedplate.interfaces.http.plane import wire

PATIENCE_S = 1.5
CALM = {"mood": "calm"}
INFER = "/v2/models/wide/infer"
TENSOR = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1.0, 2.0, 3.0]}]}
LEAKS = (b"Traceback", b"site-packages", b"0x7f", b".py", b"/home", b"/usr")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("attacked"))
    place.fill()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HEAD_S", "BODY_S"):
            patch.setattr(wire, name, PATIENCE_S)
        with serving_at(place):
            yield place


@pytest.fixture(autouse=True)
def alive(place: Place) -> Iterator[None]:
    """Whatever was sent, the next request is answered at once."""
    yield
    assert place.ask("/moody", CALM).status == 200


class Somewhere(Protocol):
    """A server, by its address."""

    @property
    def address(self) -> str: ...


def connected(place: Somewhere) -> socket.socket:
    host, port = place.address.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def sent(place: Somewhere, data: bytes) -> bytes:
    """All that comes back until the server ends the connection."""
    said = b""
    with connected(place) as client:
        client.sendall(data)
        try:
            while piece := client.recv(65536):
                said += piece
        except ConnectionError:
            pass
    return said


SECOND = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
JSON = b"Content-Type: application/json\r\n"
SMUGGLED = {
    "a length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks, said oddly": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks, said twice": b"Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n",
    "chunks after a space": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunks on a folded line": b"X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 45\r\n\r\n",
    "a bare line feed": b"X-A: b\nContent-Length: 45\r\n\r\n",
    "an extension of a chunk": b"Transfer-Encoding: chunked\r\n\r\n2;x=\"\r\n{}\r\n0\r\n\r\n",
    "a bare line feed after a chunk": b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    "a negative length": b"Content-Length: -5\r\n\r\n",
    "a null": b"X-A: \0\r\n\r\n",
    "two hosts": b"Host: evil.example\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("path", ["/moody", INFER])
@pytest.mark.parametrize("lines", SMUGGLED.values(), ids=SMUGGLED)
def test_a_request_that_hides_another_is_refused_once(place: Place, path: str, lines: bytes) -> None:
    said = sent(place, b"POST %b HTTP/1.1\r\nHost: localhost\r\n%b%b%b" % (path.encode(), JSON, lines, SECOND))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1
    assert not [leak for leak in LEAKS if leak in said]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example:1", "[::2]"])
@pytest.mark.parametrize("path", ["/moody", INFER, "/metrics", "/health/live", "/docs", "/v2", "/v1/completions"])
def test_a_foreign_name_is_refused_on_every_path(place: Place, path: str, host: str) -> None:
    headers = {"Content-Type": "application/json", "Host": host}
    assert place.ask(path, TENSOR if path == INFER else None, headers=headers).status == 421


@pytest.mark.parametrize("kind", ["application/vnd.bentoml+pickle", "application/x-pickle", "application/octet-stream", "text/plain"])
def test_another_format_is_not_read(place: Place, kind: str, tmp_path: Path) -> None:
    """A pickle is bytes like others: refused, and never unpacked."""
    dropped = tmp_path / "dropped"
    fixture = pickle.dumps((print, [str(dropped)])) + b"cos\nsystem\n(S'touch " + str(dropped).encode() + b"'\ntR."
    for path, status in (("/moody", 415), (INFER, 400)):
        answer = place.ask(path, fixture, headers={"Content-Type": kind})
        assert answer.status == status
    assert not dropped.exists()


def test_a_compressed_bomb_is_not_unpacked(place: Place) -> None:
    bomb = gzip.compress(b"0" * (1 << 26))
    for path in ("/moody", INFER):
        assert place.ask(path, bomb, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}).status == 415


def test_errors_are_in_the_protocols_form_and_tell_nothing_of_the_machine(place: Place) -> None:
    cases = [("/moody", b"{"), (INFER, b'{"inputs": "x"}'), ("/v2/models/%00/infer", b"{}"), (INFER, b"[" * 50_000)]
    for path, body in cases:
        answer = place.ask(path, body)
        assert 400 <= answer.status < 500
        assert isinstance(answer.json["error"], str if path.startswith("/v2") else dict)
        assert not [leak for leak in LEAKS if leak in answer.body]
    assert place.ask("/v2/models/%00").status == 404
    assert place.ask("/v2/repository/models/x/load", {"parameters": {"source": "http://127.0.0.1:1/m"}}).status == 404


TENSORS = {
    "a product beyond 64 bits": {"shape": [1 << 40, 1 << 40], "data": []},
    "a negative size": {"shape": [-1, 3], "data": [1.0]},
    "fewer values": {"shape": [2, 3], "data": [1.0]},
    "more bytes than there are": {"shape": [1, 3], "parameters": {"binary_data_size": 1 << 40}},
    "a negative number of bytes": {"shape": [1, 3], "parameters": {"binary_data_size": -8}},
    "no shape": {"shape": [], "data": [1.0]},
    "a thousand dimensions": {"shape": [1] * 1000, "data": [1.0]},
    "shared memory": {"shape": [1, 3], "parameters": {"shared_memory_region": "/dev/shm/x"}},
}


@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS)
def test_a_bad_tensor_is_refused_before_anything_is_allocated(place: Place, tensor: dict[str, object]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = place.ask(INFER, {"inputs": [{"name": "x", "datatype": "FP64", **tensor}]})
    assert (answer.status, sorted(answer.json)) == (400, ["error"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_flood_of_tiny_chunks_is_refused_and_others_are_answered_meanwhile(place: Place) -> None:
    head = b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: localhost\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
    with connected(place) as client:
        client.sendall(head)
        flooding = threading.Thread(target=lambda: _until_refused(client, b"1\r\n \r\n" * 1000, 500))
        flooding.start()
        assert [place.ask("/moody", CALM).status for _ in range(10)] == [200] * 10
        flooding.join(20)
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")


def _until_refused(client: socket.socket, data: bytes, times: int) -> None:
    with suppress(OSError):
        for _ in range(times):
            client.sendall(data)


def test_hundreds_of_slow_sockets_are_closed_and_hurt_nobody(place: Place) -> None:
    """F59: Heads and bodies that come a byte at a time: all are let go, and every other request is answered."""
    head = b"POST /moody HTTP/1.1\r\nHost: localhost\r\n" + JSON
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(place)) for _ in range(200)]
        for at, client in enumerate(slow):
            client.sendall(head if at % 2 else head + b"Content-Length: 1000\r\n\r\n")
        until = time.monotonic() + PATIENCE_S + 3
        while time.monotonic() < until:
            for client in slow:
                _dribble(client)
            assert place.ask("/moody", CALM).status == 200
            time.sleep(0.2)
        assert all(b" 408 " in _rest(client) for client in slow)


def _dribble(client: socket.socket) -> None:
    with suppress(OSError):
        client.send(b"a")


def _rest(client: socket.socket) -> bytes:
    try:
        return client.recv(4096)
    except ConnectionError:
        return b" 408 (reset)"


def test_clients_that_vanish_leave_nothing_behind(place: Place) -> None:
    """F60: In the head, in the body, and before the answer: no descriptor stays."""
    before = psutil.Process().num_fds()
    body = json.dumps(CALM).encode()
    whole = b"POST /moody HTTP/1.1\r\nHost: localhost\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for at in range(300):
        with connected(place) as client:
            client.sendall(whole[: (20, len(whole) - 3, len(whole))[at % 3]])
            if at % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until = time.monotonic() + 10
    while psutil.Process().num_fds() > before and time.monotonic() < until:
        time.sleep(0.1)
    assert psutil.Process().num_fds() <= before


def test_pipelined_requests_beyond_a_turn_are_all_answered_in_order(place: Place) -> None:
    bodies = [json.dumps({"mood": "calm", "note": str(number)}).encode() for number in range(300)]
    head = b"POST /moody HTTP/1.1\r\nHost: localhost\r\n" + JSON
    last = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    said = sent(place, b"".join(head + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies) + last)
    notes = [int(piece.partition(b'"')[0]) for piece in said.split(b'"note":"')[1:]]
    assert notes == list(range(300))
    assert said.endswith(b'{"live":true}')
