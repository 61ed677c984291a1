"""What an attacker sends to a router: what could be read in two ways reaches no replica, and what a replica gets is one request each."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from replicas import Served, served, until
from test_serve_attacks import JSON, LEAKS, SECOND, SMUGGLED, connected, sent


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A router with one replica."""
    with served(tmp_path_factory.mktemp("one"), "--replicas", "1") as server:
        yield server


@pytest.mark.parametrize("lines", SMUGGLED.values(), ids=SMUGGLED)
def test_a_request_that_hides_another_is_refused_once_and_reaches_no_replica(one: Served, lines: bytes) -> None:
    came = one.metric("bedplate_router_requests_total")
    said = sent(one, b"POST /who HTTP/1.1\r\nHost: localhost\r\n%b%b%b" % (JSON, lines, SECOND))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1
    assert not [leak for leak in LEAKS if leak in said]
    assert one.metric("bedplate_router_requests_total") == came


@pytest.mark.parametrize("path", ["/who", "/metrics", "/health/live", "/docs", "/v2"])
def test_a_foreign_name_is_refused_on_every_path(one: Served, path: str) -> None:
    assert one.ask(path, host="evil.example")[0] == 421


def test_a_body_that_looks_like_a_request_stays_a_body(one: Served) -> None:
    """In chunks or not, what follows a head goes to the replica as the body that it is, with its length said anew."""
    chunk = b"POST /who HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /who HTTP/1.1\r\nHost: localhost\r\nConnection: close, content-length, host, content-type\r\n%b" % JSON
    for said in (
        sent(one, head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk)),
        sent(one, head + b"Content-Length: %d\r\n\r\n%b" % (len(chunk), chunk)),
    ):
        assert said.startswith(b"HTTP/1.1 400 ")
        assert said.count(b"HTTP/1.1 ") == 1
        assert b"the body is not JSON" in said


def test_a_body_over_the_limit_is_refused_by_the_router(one: Served) -> None:
    said = sent(one, b"POST /who HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: 99000000\r\n\r\n" % JSON)
    assert said.startswith(b"HTTP/1.1 413 ")


def test_clients_that_go_in_the_middle_leave_nothing_behind(one: Served) -> None:
    """Three hundred connections end after half a head, half a body, a request, or in a long answer: no request stays in hand, and it is
    not the replica that failed.
    """
    whole = b'POST /says HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: 18\r\n\r\n{"count": 9000000}' % JSON
    cuts = [30, len(whole) - 5, len(whole)]

    def go(number: int) -> None:
        with connected(one) as client:
            client.sendall(whole[: cuts[number % 3]])
            if number % 30 == 2:
                client.recv(1000)

    clients = [threading.Thread(target=lambda at=at: [go(number) for number in range(at, 300, 10)]) for at in range(10)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    until(lambda: one.metric("bedplate_replica_running") == 0)
    assert [(each["state"], each["failures"]) for each in one.replicas().values()] == [("ready", 0)]
    assert one.who() > 0


def test_a_client_that_sends_no_more_gets_all_of_a_long_answer(one: Served) -> None:
    """As `nc -N` does: it has asked, closes its side, and reads on."""
    body = b'{"count": 9000000}'
    with connected(one) as client:
        head = b"POST /says HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n" % (JSON, len(body))
        client.sendall(head + body)
        client.shutdown(socket.SHUT_WR)
        assert sum(len(piece) for piece in iter(lambda: client.recv(1 << 20), b"")) > 9_000_000


def test_a_client_that_sends_no_more_gets_all_of_a_stream_and_one_that_has_gone_leaves_nothing_behind(one: Served) -> None:
    """An answer without length, with pauses; the connection to the replica is used for no other request. Nobody is there to read the
    second one: its replica is free again long before its end.
    """
    events = b"POST /counts HTTP/1.1\r\nHost: localhost\r\n%bAccept: text/event-stream\r\nContent-Length: %d\r\n\r\n%b"
    few, many = b'{"count": 4, "nap": 0.6}', b'{"count": 2, "nap": 300}'
    with connected(one) as client:
        client.sendall(events % (JSON, len(few), few))
        client.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: client.recv(1 << 20), b""))
    assert said.count(b"\ndata: ") == 5
    assert b'"values":4}' in said
    assert said.endswith(b"\r\n0\r\n\r\n")
    assert one.who() > 0
    with connected(one) as client:
        client.sendall(events % (JSON, len(many), many))
        client.recv(1000)
    until(lambda: one.metric("bedplate_replica_running") == 0)
    assert [(each["state"], each["failures"]) for each in one.replicas().values()] == [("ready", 0)]
    assert one.who() > 0
