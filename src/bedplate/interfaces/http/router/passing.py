"""Passing: one request on its way through the router: sent to a replica, answered, or sent to another where that is safe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from bedplate.interfaces.http.answered import Answered
from bedplate.interfaces.http.plane.head import Head
from bedplate.interfaces.http.replies import Problem

from .link import Link
from .member import Member

_KEY: Final = b"idempotency-key"


class Keeper(Protocol):
    """Who keeps a client."""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work in a task."""
        ...

    async def drained(self, wire: Any) -> None:
        """Wait until the client has taken what was written, or has gone."""
        ...

    async def parted(self, wire: Any) -> None:
        """Wait until the client sends no more: it has gone, or will."""
        ...


class Client(Protocol):
    """Who gets the answer: a connection, or a call of gRPC."""

    gone: bool

    @property
    def keeper(self) -> Keeper:
        """Who keeps it."""
        ...

    def answer(self, answered: Answered) -> None:
        """The answer."""
        ...

    def begin(self, status: int, lines: bytes) -> None:
        """An answer that comes in pieces."""
        ...

    def piece(self, data: bytes) -> bool:
        """A piece of it; whether there is room for more."""
        ...

    def finish(self, *, whole: bool) -> None:
        """That was all of it, or all that comes."""
        ...


class Route(Protocol):
    """What requests with one head have in common."""

    late_s: float

    def ahead(self, host: bytes | None, length: int) -> bytes:
        """The head as a replica gets it."""
        ...

    def refused(self, head: Head, problem: Problem) -> Answered:
        """The answer to a request that is refused."""
        ...


class Desk(Protocol):
    """The router, as a request knows it."""

    def answered(self, passing: Passing, status: int) -> None:
        """A replica has begun to answer."""
        ...

    def left(self, passing: Passing) -> None:
        """A request has left its replica."""
        ...

    def lost(self, passing: Passing, *, was_sent: bool, is_refused: bool) -> None:
        """A replica did not answer."""
        ...


class Passing:
    """A request, whole, and what became of it so far."""

    __slots__ = (
        "_is_chunked", "_is_endless", "_link", "body", "desk", "head", "is_begun", "key", "member", "offered", "route", "sent", "started",
        "tried", "watch", "wire",
    )  # fmt: skip

    def __init__(self, desk: Desk, route: Route, head: Head, body: bytes, wire: Client) -> None:
        self.desk, self.route, self.head, self.body, self.wire = desk, route, head, body, wire
        self.started = time.perf_counter()
        self.key = head.headers.get(_KEY, b"").decode("latin-1")
        self.offered = self.sent = 0
        self.tried: tuple[str, ...] = ()
        self.is_begun = False
        self.member: Member | None = None
        self.watch: asyncio.Task[None] | None = None

    def send(self, member: Member) -> None:
        """Have a replica answer."""
        self.member = member
        self.offered += 1
        body = self.body
        member.pool.ask(self, self.route.ahead(member.host, len(body)) + body)

    def whole(self, status: int, lines: bytes, body: bytes) -> None:
        """The replica's answer."""
        self.desk.answered(self, status)
        self.desk.left(self)
        self.wire.answer(Answered(status, lines, body))

    def begins(self, status: int, lines: bytes, length: int | None, link: Link) -> None:
        """An answer that comes in pieces."""
        self.desk.answered(self, status)
        self.is_begun, self._link, self._is_endless = True, link, length is None
        self._is_chunked = length is None and self.head.minor == 1
        if length is not None:
            lines += b"content-length: %d\r\n" % length
        elif self._is_chunked:
            lines += b"transfer-encoding: chunked\r\n"
        self.wire.begin(status, lines)
        self.watch = asyncio.get_running_loop().create_task(self._part())

    def piece(self, data: bytes) -> None:
        """A piece of it; while the client does not keep up, no more is read, and once it has gone, nothing."""
        if self.wire.gone:
            self._let_go()
            return
        if not data or self.head.method == b"HEAD":
            return
        if not self.wire.piece(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data):
            self._link.pause()
            self.wire.keeper.start(self._resume())

    def ends(self) -> None:
        """The answer is whole."""
        self._unwatch()
        self.desk.left(self)
        if self._is_chunked and self.head.method != b"HEAD":
            self.wire.piece(b"0\r\n\r\n")
        self.wire.finish(whole=True)

    def lost(self, *, was_sent: bool, is_refused: bool) -> None:
        """There is no answer, or no rest of it."""
        if self.is_begun:
            self._unwatch()
            self.desk.lost(self, was_sent=True, is_refused=False)
            self.wire.finish(whole=False)
            return
        self.sent += was_sent
        self.desk.lost(self, was_sent=was_sent, is_refused=is_refused)

    def refuse(self, problem: Problem) -> None:
        """Nobody answers it."""
        self.wire.answer(self.route.refused(self.head, problem))

    async def _part(self) -> None:
        """Once the client has gone, nobody needs the rest of an answer: its replica hears so by the end of the connection.

        One that sends no more may still read. Whether it does, the next piece finds out; of an answer without end a replica of ours sends
        one every second once it knows that. One elsewhere is not told: a proxy before it would take that for a client that has gone.
        """
        await self.wire.keeper.parted(self.wire)
        if self.wire.gone:
            self._let_go()
        elif self._is_endless and self.member is not None and self.member.standing.is_ours:
            self._link.part()

    def _let_go(self) -> None:
        """End the replica's work, which is the client's doing and no failure of the replica."""
        self.desk.left(self)
        self._link.abort()

    def _unwatch(self) -> None:
        if self.watch is not None:
            self.watch.cancel()

    async def _resume(self) -> None:
        await self.wire.keeper.drained(self.wire)
        self._link.resume()
