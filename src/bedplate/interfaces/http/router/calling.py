"""Calling: calls of gRPC on their way through the router. Each is a request as any other, and goes where the router says.

To a replica a call is a request of HTTP (`grpc_calls.py`): on the connections that there are, to replicas elsewhere too, tried again by the
rules of requests. Whether the server is live and ready is answered here, as it is over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.grpc_calls import Called, headers_of, heard, target
from bedplate.interfaces.http.plane.head import Head
from bedplate.interfaces.http.replies import Header, Problem

from .passing import Passing
from .router import Router

_YES: Final = b"\x08\x01"
"""A message whose first field is true; an empty one says false."""
_CUT: Final = Problem(502, "the replica did not answer", why="it ended in the middle of its answer", next="send it again")


class Calling:
    """Answers calls with what replicas answer; `is_ready` says whether one would be answered."""

    def __init__(self, router: Router, is_ready: Callable[[], bool]) -> None:
        self._router = router
        self._is_ready = is_ready

    def ask(self, called: Called) -> Answered | Awaitable[Answered]:
        """The answer of a replica."""
        if called.method == "ServerLive":
            return Answered(200, b"", _YES)
        if called.method == "ServerReady":
            return Answered(200, b"", _YES if self._is_ready() else b"")
        return self._asked(called)

    async def _asked(self, called: Called) -> Answered:
        method, path, query, body = target(called)
        head = Head(
            method=method, path=path, query=query, headers=dict(called.headers), length=len(body), keep_alive=True, expects=False,
            raw=b"", minor=0,
        )  # fmt: skip
        client = Client()
        answered = self._router.take(Passing(self._router, CallRoute(head, headers_of(called)), head, body, client))
        if answered is None:
            answered = await client.wait()
        return heard(answered.status, answered.headers, answered.body)


class CallRoute:
    """A call, as a replica gets it."""

    late_s = 0.0

    def __init__(self, head: Head, headers: list[Header]) -> None:
        query = b"?" + head.query if head.query else b""
        self._line = b"%b %b%b HTTP/1.1\r\n" % (head.method, head.path, query)
        self._lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)

    def ahead(self, host: bytes | None, length: int) -> bytes:
        """The head as a replica gets it."""
        return b"%bhost: %b\r\n%bcontent-length: %d\r\n\r\n" % (self._line, host or b"localhost", self._lines, length)

    def refused(self, _head: Head, problem: Problem) -> Answered:
        """The refusal, which becomes gRPC's own."""
        return refusal(problem)


class Client:
    """Who made a call, as a request on its way knows its client: the answer is kept until it is whole."""

    def __init__(self) -> None:
        self.gone = False
        self._said: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._parted = asyncio.Event()
        self._begun = (0, b"")
        self._pieces: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def keeper(self) -> Client:
        """Who keeps the client: nobody else."""
        return self

    async def wait(self) -> Answered:
        """The answer. Whoever waits no more has gone."""
        try:
            return await self._said
        finally:
            self.gone = True
            self._parted.set()

    def answer(self, answered: Answered) -> None:
        """The answer."""
        if not self._said.done():
            self._said.set_result(answered)

    def begin(self, status: int, lines: bytes) -> None:
        """An answer that comes in pieces."""
        self._begun = (status, lines)

    def piece(self, data: bytes) -> bool:
        """A piece of it."""
        self._pieces.append(data)
        return True

    def finish(self, *, whole: bool) -> None:
        """That was all of it, or all that comes."""
        self.answer(Answered(*self._begun, b"".join(self._pieces)) if whole else refusal(_CUT))

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work in a task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drained(self, _client: Any) -> None:
        """It takes everything."""

    async def parted(self, _client: Any) -> None:
        """Wait until it has gone, or has its answer."""
        await self._parted.wait()
