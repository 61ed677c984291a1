"""The way to a replica: answers are passed on however they are cut, connections used again, heads lose what is the connection's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UserError
from bedplate.interfaces.http.plane.head import read
from bedplate.interfaces.http.router.link import Link, Pool
from bedplate.interfaces.http.router.member import read_place, read_remote
from bedplate.interfaces.http.router.router import Router, Settings
from bedplate.interfaces.http.router.routes import Route
from bedplate.planner.routing.records import Place

PLAIN = b"HTTP/1.1 200 OK\r\ndate: now\r\nX-Request-Id: q-1\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
LAST = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self.written: list[bytes] = []
        self.is_over = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_over

    def abort(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.link.connection_lost(ConnectionResetError())


class Asker:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def whole(self, status: int, lines: bytes, body: bytes) -> None:
        self.told.append((status, lines, body))

    def begins(self, status: int, lines: bytes, length: int | None, _link: Link) -> None:
        self.told.append(("begins", status, lines, length))

    def piece(self, data: bytes) -> None:
        self.told.append(data)

    def ends(self) -> None:
        self.told.append("ends")

    def lost(self, *, was_sent: bool, is_refused: bool) -> None:
        self.told.append(("lost", was_sent, is_refused))

    @property
    def body(self) -> bytes:
        return b"".join(one for one in self.told if isinstance(one, bytes))


def linked(do: Callable[[Pool, list[Transport]], Any], *, refuses: bool = False) -> None:
    """A pool over transports that are kept, inside a loop; `do` may give something to wait for."""

    async def run() -> None:
        made: list[Transport] = []

        async def connect(factory: Callable[[], Any]) -> None:
            if refuses:
                raise ConnectionRefusedError
            made.append(Transport(factory()))
            made[-1].link.connection_made(made[-1])

        waits = do(Pool(connect, lambda: 0.0), made)
        if waits is not None:
            await waits

    asyncio.run(run())


async def asked(pool: Pool, data: bytes = b"ask") -> Asker:
    """Ask, and let the loop turn until it is sent."""
    asker = Asker()
    pool.ask(asker, data)
    for _ in range(5):
        await asyncio.sleep(0)
    return asker


@given(st.sampled_from([PLAIN, LAST, EMPTY]), st.lists(st.integers(1, 200), max_size=4))
def test_an_answer_of_known_length_is_whole_however_it_is_cut(answer: bytes, cuts: list[int]) -> None:
    """Without the headers of the connection; and the connection is used for the next request unless the replica ends it."""

    async def do(pool: Pool, made: list[Transport]) -> None:
        first = await asked(pool)
        for piece in cut(answer, cuts):
            made[0].link.data_received(piece)
        status, lines, body = first.told[0]
        assert len(first.told) == 1
        assert (status, body) == (int(answer[9:12]), answer.partition(b"\r\n\r\n")[2])
        assert b"connection" not in lines.lower()
        assert b"content-length" not in lines.lower()
        assert lines.startswith((b"X-Request-Id: q-1\r\n", b"retry-after: 1\r\n", b"x-a: 1\r\n"))
        await asked(pool)
        assert len(made) == (2 if answer == LAST else 1)

    linked(do)


@given(st.lists(st.integers(1, 100), max_size=6))
def test_an_answer_in_chunks_is_the_same_whole_or_in_pieces(cuts: list[int]) -> None:
    async def do(pool: Pool, made: list[Transport]) -> None:
        asker = await asked(pool)
        for piece in cut(CHUNKED, cuts):
            made[0].link.data_received(piece)
        if isinstance(asker.told[0][0], int):
            assert asker.told == [(200, b"x-a: 1\r\n", b"hello")]
        else:
            assert asker.told[0] == ("begins", 200, b"x-a: 1\r\n", None)
            assert (asker.body, asker.told[-1]) == (b"hello", "ends")
        await asked(pool)
        assert len(made) == 1

    linked(do)


def test_a_large_answer_goes_out_as_it_comes_and_one_that_breaks_off_is_lost_once() -> None:
    async def do(pool: Pool, made: list[Transport]) -> None:
        asker = await asked(pool)
        made[0].link.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 10)
        assert asker.told == [("begins", 200, b"", 3_000_000), b"x" * 10]
        made[0].abort()
        assert asker.told[2:] == [("lost", True, False)]

    linked(do)


def test_an_answer_that_ends_with_its_connection_is_whole() -> None:
    async def do(pool: Pool, made: list[Transport]) -> None:
        asker = await asked(pool)
        made[0].link.data_received(b"HTTP/1.1 200 OK\r\nx-a: 1\r\n\r\nhel")
        made[0].link.data_received(b"lo")
        made[0].link.connection_lost(None)
        assert (asker.body, asker.told[-1]) == (b"hello", "ends")

    linked(do)


@pytest.mark.parametrize("rubbish", [b"no HTTP\r\n\r\n", PLAIN + b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"])
def test_what_is_no_answer_ends_the_connection(rubbish: bytes) -> None:
    async def do(pool: Pool, made: list[Transport]) -> None:
        asker = await asked(pool)
        made[0].link.data_received(rubbish)
        assert made[0].is_over
        assert asker.told == [("lost", True, False)]

    linked(do)


def test_a_replica_that_refuses_was_not_sent_anything() -> None:
    async def do(pool: Pool, _made: list[Transport]) -> None:
        assert (await asked(pool)).told == [("lost", False, True)]

    linked(do, refuses=True)


def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    async def do(pool: Pool, made: list[Transport]) -> None:
        await asked(pool)
        made[0].link.data_received(PLAIN)
        made[0].link.data_received(PLAIN)
        assert made[0].is_over
        await asked(pool)
        assert len(made) == 2

    linked(do)


def ahead(raw: bytes, host: bytes | None = None) -> bytes:
    """A head as a replica gets it, for a body of 7 bytes."""
    head = read(raw)
    return Route(Router(Settings()), head, 1 << 20).ahead(host, 7)


def test_a_head_goes_on_without_what_is_the_connection_s() -> None:
    raw = (
        b"POST /who?a=1 HTTP/1.1\r\nHost: localhost\r\nTraceparent: 00-1\r\nX-Request-Id: mine\r\n"
        b"Connection: keep-alive, X-Hop, authorization\r\nX-Hop: 1\r\nTE: trailers\r\nAuthorization: Bearer x\r\n"
        b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    )
    assert ahead(raw) == (
        b"POST /who?a=1 HTTP/1.1\r\ntraceparent: 00-1\r\nx-request-id: mine\r\nauthorization: Bearer x\r\nhost: localhost\r\n"
        b"content-length: 7\r\n\r\n"
    )


def test_a_replica_elsewhere_is_called_by_its_own_name_and_head_is_asked_with_get() -> None:
    assert ahead(b"HEAD /docs HTTP/1.1\r\nHost: localhost\r\n\r\n", b"far:8000") == (
        b"GET /docs HTTP/1.1\r\nhost: far:8000\r\ncontent-length: 7\r\n\r\n"
    )


def test_replicas_and_places_are_read_as_they_are_written() -> None:
    found = read_remote("https://Far.example:8443,zone=a-1,region=eu")
    assert (found.host, found.port, found.tls, found.authority) == ("far.example", 8443, True, "far.example:8443")
    assert found.place == read_place("region=eu,zone=a-1") == Place(zone="a-1", region="eu")
    for wrong in ("far:80", "http://", "http://a:b@c", "http://far:99999", "http://far/path", "http://far,zone=", "http://far,zone=a\r\nb"):
        with pytest.raises(UserError):
            read_remote(wrong)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [piece for piece in [*pieces, data[at:]] if piece]


@given(st.lists(st.integers(1, 100), max_size=6))
def test_what_a_proxy_says_early_is_not_the_answer(cuts: list[int]) -> None:
    """A replica elsewhere may be behind a server that says 100 or 103 first."""
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <a>\r\ncontent-length: 7\r\n\r\n"

    async def do(pool: Pool, made: list[Transport]) -> None:
        asker = await asked(pool)
        for piece in cut(early + PLAIN, cuts):
            made[0].link.data_received(piece)
        assert asker.told == [(200, b"X-Request-Id: q-1\r\n", b"hello")]

    linked(do)
