"""Uvicorn's HTTP protocol with limits on what comes before the body, and on how slowly anything comes.

A head (request line and headers) of more than 64 KiB, or of more than 200 headers, is answered with 431 as soon as it is seen; one that
is not HTTP, or that could be read in two ways (a length and chunks, two lengths, two hosts), with 400. A head that takes longer than
15 s, a body that brings less than 1 KiB in 15 s, and an answer of which nothing is taken for 60 s, end the connection (408 where nothing
was answered yet). More connections than `MOST_CONNECTIONS` are answered with 503. Each answer has the shape that every error has, and
what the client still sends is thrown away for a second, so that one that writes before it reads sees the answer.

The head of an answer goes out with its body, in one piece: clients send a request again that got no answer, and give up on half of one.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .replies import Problem, Scope

MOST_BYTES: Final = 1 << 16
MOST_HEADERS: Final = 200
MOST_CONNECTIONS: Final = 4000
HEAD_S: Final = 15.0
BODY_S: Final = 15.0
LEAST_BYTES: Final = 1 << 10
WRITE_S: Final = 60.0
_DRAIN_S: Final = 1.0
_SHORT: Final = 1 << 12
_REASONS: Final = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
_ONCE: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization", b"origin"})


class TooLong(Exception):
    """More headers than are read."""


class Ambiguous(Exception):
    """A head that two readers would read in two ways."""


class Joined:
    """What answers are written to: what is short waits, until the loop turns, for what follows it at once."""

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send some bytes, after those that wait."""
        if self._held:
            data, self._held = self._held + data, b""
        elif 0 < len(data) < _SHORT:
            self._held = data
            self._loop.call_soon(self.flush)
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send what waits."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def is_closing(self) -> bool:
        """Whether the connection ends."""
        return self._transport.is_closing()

    def close(self) -> None:
        """End the connection once everything is sent."""
        self.flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """One connection."""

    noted: Any = None
    """What the application notes of this connection."""
    _idle = True
    _in_head = False
    _begun = 0
    _seen = 0
    _taken = 0
    _refused = False
    _since = 0.0
    _brought = 0

    @property
    def is_open(self) -> bool:
        """Whether the client is still there."""
        return self.parser is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        taken = cast("asyncio.Transport", transport)
        super().connection_made(taken)
        self._joined = Joined(taken, self.loop)
        self._since = self.loop.time()
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(Problem(503, "too many clients are connected", next="try again in a second", headers=((b"retry-after", b"1"),)))

    def data_received(self, data: bytes) -> None:
        """What the client sent."""
        if self._refused:
            return
        was_idle, self._begun = self._idle, 0
        self._brought += len(data)
        super().data_received(data)
        only_head = not self._begun or (was_idle and self._begun == 1)
        if self._in_head and only_head and not self._refused:
            self._seen += len(data)
            if self._seen > MOST_BYTES:
                self._unset_keepalive_if_required()
                self._refuse(_too_long())

    def look(self, now: float) -> None:
        """End the connection of a client that is too slow; called about every second."""
        if self._refused or self.parser is None:
            return
        if self.flow.write_paused:
            if now - self._since > WRITE_S:
                self.transport.abort()
            return
        waits = self._in_head or (self._idle and self.cycle is None)
        if waits and now - self._since > HEAD_S:
            self._refuse(_too_slow("the headers", HEAD_S))
        elif not waits and not self._idle and not self.flow.read_paused and self.cycle is not None and self.cycle.more_body:
            if now - self._since > BODY_S:
                self._end_slow_body()
        elif not waits:
            self._since = now

    def _end_slow_body(self) -> None:
        if self._brought >= LEAST_BYTES:
            self._since, self._brought = self.loop.time(), 0
        elif self.cycle.response_started:
            self.transport.abort()
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._refuse(_too_slow("the body", BODY_S))

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        cast("Scope", self.scope)["connection"] = self  # for who must know whether an answer was taken
        self._idle, self._in_head, self._seen, self._taken = False, True, 0, 0
        self._begun += 1
        self._since, self._brought = self.loop.time(), 0

    def cut(self) -> None:
        """End the connection in the middle of an answer that cannot be finished."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; all that uvicorn does with it, in one call. Raises TooLong, which ends the parsing. Trailers are passed over."""
        self._taken += len(name) + len(value)
        if self._taken > MOST_BYTES or len(self.headers) >= MOST_HEADERS:
            raise TooLong
        if not self._in_head:  # after the body: what was judged by its head must not be another request at its end
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def answer(self, scope: Scope, head: bytes, body: bytes) -> bool:
        """Send a whole answer to the request at hand in one piece; False where it must go the long way, through ASGI.

        `head` is the status line and the headers but the length, each with its line end. It is what two ASGI messages do, at a third of
        their cost.
        """
        cycle = self.cycle
        if cycle is None or cycle.scope is not scope or cycle.response_started or cycle.disconnected or not self.is_open:
            return False
        if not cycle.keep_alive or cycle.waiting_for_100_continue or self.flow.write_paused or scope["method"] == "HEAD":
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        own = b"".join([b"%b: %b\r\n" % pair for pair in self.server_state.default_headers])
        self.transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (head, own, len(body), body))
        cycle.on_response()
        return True

    def on_headers_complete(self) -> None:
        """The head is whole. Raises Ambiguous for one that could be read in two ways, which ends the parsing."""
        given = dict(self.headers)
        if b"transfer-encoding" in given and (b"content-length" in given or given[b"transfer-encoding"].lower() != b"chunked"):
            raise Ambiguous
        if len(given) != len(self.headers):
            names = [name for name, _ in self.headers]
            if any(names.count(name) > 1 for name in _ONCE & given.keys()):
                raise Ambiguous
        if b"host" not in given and self.parser.get_http_version() == "1.1":
            raise Ambiguous
        if not self.url.startswith(b"/") and _authority(self.url) not in (b"", given.get(b"host", b"")):
            raise Ambiguous
        self._in_head = False
        super().on_headers_complete()
        self.cycle.transport = cast("asyncio.Transport", self._joined)  # all of a transport that an answer uses

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._idle = True
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade that is not taken is no news: the request is answered as it is."""

    def send_400_response(self, msg: str) -> None:
        """The answer to what could not be parsed, or was too long to be."""
        too_long = self._in_head and (self._taken > MOST_BYTES or len(self.headers or ()) >= MOST_HEADERS)
        self._refuse(_too_long() if too_long else Problem(400, "this is not an HTTP request", next="GET /docs"))

    def _refuse(self, problem: Problem) -> None:
        self._refused = True
        body = problem.body()
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (problem.status, _REASONS[problem.status], len(body)) + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_DRAIN_S, self.transport.close)


def _authority(url: bytes) -> bytes:
    """Whom a request target names that is a whole URL; empty where it names nobody (`*`)."""
    return url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]


def _too_long() -> Problem:
    return Problem(
        431,
        "the headers are too long",
        why=f"at most {MOST_BYTES // 1024} KiB and {MOST_HEADERS} headers are read",
        next="send what is long in the body",
    )


def _too_slow(what: str, limit_s: float) -> Problem:
    return Problem(408, f"{what} came too slowly", why=f"they are waited for {limit_s:.0f} s", next="send the request again")
