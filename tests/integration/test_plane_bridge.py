"""ASGI applications over the plane's own protocol: whole answers, answers in pieces, failures, and clients that go."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest

from bedplate.interfaces.http.binding import bind
from bedplate.interfaces.http.plane.doors import Doors
from bedplate.interfaces.http.plane.plane import Plane
from bedplate.interfaces.http.replies import Receive, Scope, Send

PIECES = [b"x" * 70_000, b"", b"y" * 10]
LARGE = 64
"""Mebibytes: more than any buffer between here and the client holds."""
PARTED = threading.Event()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers as its path says."""
    message = await receive()
    path, body = scope["path"], message["body"]
    if path == "/fails":
        raise ValueError("a secret")
    headers = [(b"x-host", dict(scope["headers"])[b"host"]), (b"x-query", scope["query_string"])]
    if path == "/length":
        headers.append((b"content-length", b"%d" % sum(map(len, PIECES))))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/waits":
        await receive()
        PARTED.set()
    elif path == "/large":
        for _ in range(LARGE):
            await send({"type": "http.response.body", "body": b"z" * (1 << 20), "more_body": True})
    elif path in ("/pieces", "/length", "/breaks"):
        for piece in PIECES:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if path == "/breaks":
            raise ValueError("a secret")
    await send({"type": "http.response.body", "body": body})


def none(*_: object) -> NoReturn:
    raise AssertionError("no service is asked")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listening = threading.Event()
    with bind("127.0.0.1", 0) as bound:
        plane = Plane(Doors(none, none, {}, app, 1000), listening.set)
        thread = threading.Thread(target=plane.run, args=([bound],))
        thread.start()
        assert listening.wait(10)
        yield int(bound.getsockname()[1])
        plane.stop()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def client(port: int) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    yield client
    client.close()


def test_a_whole_answer_has_its_length_and_the_application_sees_the_request(client: http.client.HTTPConnection) -> None:
    for _ in range(3):
        client.request("PUT", "/a%20b?c=d", b"body")
        answer = client.getresponse()
        assert (answer.read(), answer.headers["content-length"], answer.headers["x-query"]) == (b"body", "4", "c=d")
        assert answer.headers["x-host"].startswith("127.0.0.1:")


@pytest.mark.parametrize(("path", "header"), [("/pieces", "transfer-encoding"), ("/length", "content-length")])
def test_an_answer_in_pieces_arrives_whole_and_the_connection_goes_on(client: http.client.HTTPConnection, path: str, header: str) -> None:
    for _ in range(2):
        client.request("GET", path)
        answer = client.getresponse()
        assert header in answer.headers
        assert answer.read() == b"".join(PIECES)


def test_an_application_that_fails_is_500_and_tells_nothing(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/fails")
    answer = client.getresponse()
    assert (answer.status, b"secret" in answer.read()) == (500, False)
    client.request("PUT", "/again", b"yes")
    assert client.getresponse().read() == b"yes"


def test_an_answer_that_breaks_off_is_not_taken_for_whole(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/breaks")
    with pytest.raises((http.client.HTTPException, OSError)):
        client.getresponse().read()


def test_a_client_that_goes_is_told_to_the_application(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /waits HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)
    assert PARTED.wait(10)


def test_an_answer_goes_no_faster_than_it_is_taken_and_arrives_whole(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        time.sleep(0.5)
        taken = 0
        while piece := client.recv(1 << 20):
            taken += piece.count(b"z")
    assert taken == LARGE << 20


def test_requests_that_wait_for_an_application_are_answered_in_order(port: int) -> None:
    """Pipelined: the application answers each in a task, and none before the one that came first."""
    requests = b"".join(b"PUT /%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n%d" % (number, number) for number in range(10))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(requests + b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        said = b""
        while piece := client.recv(65536):
            said += piece
    assert [part.partition(b"\r\n\r\n")[2] for part in said.split(b"HTTP/1.1 200 OK")[1:]] == [b"%d" % number for number in range(10)] + [
        b""
    ]


def test_stopping_before_it_listens_stops_it() -> None:
    """As when the budget is spent at the start."""
    with bind("127.0.0.1", 0) as bound:
        address, plane = bound.getsockname(), Plane(Doors(none, none, {}, app, 1000), lambda: None)
        plane.stop()
        plane.run([bound])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=1)
