"""Wire: one connection. It frames requests, has them answered one after the other, and holds the client to its limits.

A request is whole before anything of ours sees it. Requests that come before the answer to an earlier one (pipelining) wait their turn: a
connection has one in hand, what else was sent is kept, and past 64 KiB of that nothing more is read. While the client does not take what
was written, nothing more is answered. A head that takes longer than 15 s, a body that brings less than 1 KiB in 15 s, an answer of which
nothing is taken for 60 s, and a connection without a request for 65 s, end it (408 where a request had begun).

What is refused is answered once, and what the client still sends is thrown away for a second, so that one that writes before it reads
sees why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, Protocol, cast

from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.body import too_large
from bedplate.interfaces.http.replies import CLOSE, Problem

from .chunks import Chunks, TooLarge
from .head import BARE, CHUNKED, END, MOST_BYTES, Head, Heads, too_long, too_slow, unreadable
from .outgoing import Outgoing

HEAD_S: Final = 15.0
BODY_S: Final = 15.0
IDLE_S: Final = 65.0
WRITE_S: Final = 60.0
LEAST_BYTES: Final = 1 << 10
_DRAIN_S: Final = 1.0
_LOOK_S: Final = 0.005
"""How often a traced answer is looked at that the client has not taken."""
_HELD: Final = 1 << 16
_SPLIT: Final = 1 << 16
_TURN: Final = 32
_LAST: Final = b"connection: close\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_STARTS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\r")


class Keeper(Protocol):
    """The server, as its connections know it. `now` is the time on its loop, right to a second."""

    now: float
    heads: Heads
    outgoing: Outgoing

    def enter(self, wire: Wire) -> bool:
        """A client came; whether there is room for it."""
        ...

    def leave(self, wire: Wire) -> None:
        """It left."""
        ...

    def handle(self, head: Head, body: bytes, wire: Wire) -> Answered | None:
        """The answer to a request that is whole; None where the wire gets it later."""
        ...

    def line(self, status: int) -> bytes:
        """The status line of an answer, and the headers that every answer has."""
        ...

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work in a task, which the end of the server waits for."""
        ...

    def wake(self, wire: Wire) -> None:
        """A client has taken what was written, or has gone."""
        ...

    def soon(self, call: Callable[[], None]) -> None:
        """Call that in the next turn of the loop."""
        ...

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call that after a while."""
        ...

    async def drained(self, wire: Wire) -> None:
        """Wait until a client has taken what was written, or has gone."""
        ...

    async def parted(self, wire: Wire) -> None:
        """Wait until a client sends no more: it has gone, or will."""
        ...


class Wire(asyncio.Protocol):
    """A connection, from its first byte to its last."""

    __slots__ = (
        "_asked", "_body", "_brought", "_busy", "_chunks", "_due", "_head", "_leaving", "_missing", "_over", "_paused", "_since",
        "_tail", "_transport", "begun", "ended", "gone", "keeper", "stuck",
    )  # fmt: skip

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._tail = b""
        self._head: Head | None = None
        self._body: list[bytes] = []
        self._missing = 0
        self._chunks: Chunks | None = None
        self._busy = self._due = self._over = self._paused = self.stuck = self._leaving = self._asked = self.gone = self.ended = False
        self._since = 0.0
        self._brought = 0
        self.begun = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no request is in hand, nor begun."""
        return not self._busy and self._head is None and not self._tail

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = cast("asyncio.Transport", transport)
        self._since = self.keeper.now
        if not self.keeper.enter(self):
            self._refuse(Problem(503, "too many clients are connected", next="try again in a second", headers=((b"retry-after", b"1"),)))

    def connection_lost(self, _error: Exception | None) -> None:
        """The client left, or was let go."""
        self.gone = self._over = True
        self.keeper.leave(self)

    def data_received(self, data: bytes) -> None:
        """What the client sent."""
        if self._over:
            return
        self._brought += len(data)
        if self._busy or self._due or self.stuck:
            self._hold(data)
        elif self._head is None:
            self._take(self._tail + data if self._tail else data)
        else:
            self._more(data)

    def eof_received(self) -> bool:
        """The client sends no more; what it asked is answered all the same."""
        self.ended = True
        self.keeper.outgoing.flush()
        self.keeper.wake(self)
        return self._busy or self._due or self.stuck

    def pause_writing(self) -> None:
        """The client does not take what was written."""
        self.stuck, self._since = True, self.keeper.now

    def resume_writing(self) -> None:
        """It took it."""
        self.stuck, self._since = False, self.keeper.now
        self.keeper.wake(self)
        self._go_on()

    def answer(self, answered: Answered) -> None:
        """Send the answer to the request in hand, which was not answered at once."""
        head, self._head = self._head, None
        if self.gone or head is None:
            if answered.after is not None:
                answered.after()
            return
        self._busy = False
        self._send(head, answered)
        if self._leaving or not head.keep_alive or _LAST in answered.lines:
            self._end()
        else:
            self._since = self.keeper.now
            self._go_on()

    def begin(self, status: int, lines: bytes) -> None:
        """Begin an answer that comes in pieces; `lines` are its headers, how it ends among them."""
        head = self._head
        if self.gone or head is None:
            return
        last = b"" if head.keep_alive and not self._leaving else _LAST
        self.keeper.outgoing.flush()
        self._transport.write(b"%b%b%b\r\n" % (self.keeper.line(status), lines, last))

    def piece(self, data: bytes) -> bool:
        """Send a piece of it; False where the client does not keep up (`drained` waits) or has gone."""
        if not self.gone:
            self._transport.write(data)
        return not (self.stuck or self.gone)

    def finish(self, *, whole: bool) -> None:
        """End an answer that came in pieces; one that is not whole takes the connection with it."""
        head, self._head, self._busy = self._head, None, False
        if self.gone:
            return
        if not whole:
            self._transport.abort()
        elif self._leaving or head is None or not head.keep_alive:
            self._end()
        else:
            self._since = self.keeper.now
            self._go_on()

    def look(self, now: float) -> None:
        """End the connection of a client that is too slow; called about every second."""
        waited = now - self._since
        if self.stuck or self._over:
            if waited > WRITE_S:
                self._transport.abort()
        elif self._busy:
            self._since = now
        elif self._head is not None:
            if waited > BODY_S:
                if self._brought < LEAST_BYTES:
                    self._refuse(too_slow("the body", BODY_S), self._head)
                self._since, self._brought = now, 0
        elif self._tail or not self._asked:
            if waited > HEAD_S:
                self._refuse(too_slow("the headers", HEAD_S))
        elif waited > IDLE_S:
            self._end()

    def part(self, *, now: bool) -> None:
        """The server stops: answer what is in hand, take no further request, and end it `now` where there is none."""
        self._leaving = True
        if now and (self.is_idle or self._over) and not self.stuck:
            self.keeper.outgoing.flush()
            self._transport.close()

    def _hold(self, data: bytes) -> None:
        self._tail += data
        if len(self._tail) > _HELD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        """Take up what was held, in a turn of its own; what comes before that waits behind it. Who sends no more has been answered."""
        if self._busy or self._due or self.stuck or self._over:
            return
        if self._tail:
            self._due = True
            self.keeper.soon(self._next)
        elif self.ended:
            self._end()

    def _next(self) -> None:
        """Answer what was held."""
        self._due = False
        if self._busy or self.stuck or self._over:
            return
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._brought = len(self._tail)
        self._take(self._tail)
        if self.ended and not (self._busy or self._due or self.stuck):
            self._end()

    def _take(self, data: bytes) -> None:
        """Answer the requests that `data` begins with; keep what is left of it."""
        self._tail, at = b"", 0
        if not self._brought or self._brought == len(data):
            self._since = self.keeper.now
        for _ in range(_TURN):
            if data[at : at + 2] == b"\r\n":  # an empty line before a request is passed over
                at += 2
            end = data.find(END, at, at + MOST_BYTES)
            if end < 0:
                self._wait(data, at)
                return
            try:
                head = self.keeper.heads.read(data[at : end + 4])
            except Problem as problem:
                self._refuse(problem)
                return
            at, ends = end + 4, end + 4 + head.length
            if head.length < 0 or ends > len(data) or head.length > head.handler.limit:
                self._expect(head, data[at:] if at else data)
                return
            at = ends
            if not self._handle(head, data[ends - head.length : ends]):
                self._tail = data[at:]
                return
            if at == len(data):
                return
            self.keeper.outgoing.flush()
            if self.stuck:
                break
        self._tail = data[at:]
        self._go_on()

    def _wait(self, data: bytes, at: int) -> None:
        """Keep the beginning of a head, unless no head begins so."""
        self._tail = data[at:] if at else data
        if not self._tail:
            return
        self.begun = self.begun or time.perf_counter()
        if self._tail[0] not in _STARTS or BARE.search(self._tail):
            self._refuse(unreadable("its first line is not METHOD TARGET HTTP/1.1"))
        elif len(self._tail) >= MOST_BYTES:
            self._refuse(too_long())

    def _handle(self, head: Head, body: bytes) -> bool:
        """Have a request answered; whether it is, and the next may be taken up."""
        self._brought, self._asked = 0, True
        answered = self.keeper.handle(head, body, self)
        if answered is None:
            self._busy, self._head = True, head
            return False
        self._send(head, answered)
        if head.keep_alive and not self._leaving:
            self._since = self.keeper.now
            return not self.stuck
        self._end()
        return False

    def _expect(self, head: Head, data: bytes) -> None:
        """Take in a body that has not come whole."""
        self.begun = self.begun or time.perf_counter()
        limit = head.handler.limit
        if head.length > limit:
            self._refuse(too_large(limit), head)
            return
        if head.expects and not data:
            self.keeper.outgoing.write(self._transport, _CONTINUE)
        self._head, self._since, self._brought = head, self.keeper.now, len(data)
        self._chunks = Chunks(limit) if head.length == CHUNKED else None
        self._missing, self._body = head.length, []
        self._more(data)

    def _more(self, data: bytes) -> None:
        """More of a body."""
        head = cast("Head", self._head)
        if self._chunks is None:
            rest, ended = data[self._missing :], len(data) >= self._missing
            self._body.append(data[: self._missing] if rest else data)
            self._missing -= len(data)
            if not ended:
                return
            body, self._body = b"".join(self._body), []
        else:
            try:
                found = self._chunks.feed(data)
            except Problem as problem:
                self._refuse(problem, head)
                return
            except TooLarge:
                self._refuse(too_large(head.handler.limit), head)
                return
            if found is None:
                return
            rest, body, self._chunks = found, self._chunks.body(), None
        self._head = None
        self._tail = rest
        if self._handle(head, body):
            self._go_on()

    def _send(self, head: Head, answered: Answered) -> None:
        last, length = b"" if head.keep_alive and not self._leaving else _LAST, len(answered.body)
        lines = b"%b%b%bcontent-length: %d\r\n\r\n" % (self.keeper.line(answered.status), answered.lines, last, length)
        body = answered.body if head.method != b"HEAD" else b""
        if len(body) > _SPLIT:
            self.keeper.outgoing.flush()
            self._transport.writelines((lines, body))
        else:
            self.keeper.outgoing.write(self._transport, lines + body)
        self.begun = 0.0
        if answered.after is not None:
            self.keeper.outgoing.flush()
            self._sent(answered.after)

    def _sent(self, after: Callable[[], None]) -> None:
        """Say so once the client has taken what was written, or has gone."""
        if self.gone or not self._transport.get_write_buffer_size():
            after()
        else:
            self.keeper.later(_LOOK_S, partial(self._sent, after))

    def _refuse(self, problem: Problem, head: Head | None = None) -> None:
        """Answer what cannot be read on, and let the connection go."""
        self._over, self._tail, self._body, self._chunks, self._head = True, b"", [], None, None
        answered = refusal(problem) if head is None else head.handler.refused(head, problem)
        lines = answered.lines if CLOSE in answered.headers else answered.lines + _LAST
        packed = b"%b%bcontent-length: %d\r\n\r\n" % (self.keeper.line(answered.status), lines, len(answered.body))
        self.keeper.outgoing.write(self._transport, packed + answered.body)
        self._linger()

    def _end(self) -> None:
        """Send no more; what still comes is not read as a request."""
        if not self._over:
            self._over = True
            self._linger()

    def _linger(self) -> None:
        """Say that no more comes, and wait a moment until the client, too, ends: an end at once could take the answer with it."""
        self.keeper.outgoing.flush()
        if self._transport.is_closing():
            return
        self._since = self.keeper.now
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self.keeper.later(_DRAIN_S, self._transport.close)
