"""Tells open pages that something was committed, so that they ask anew: `GET /changes`, server-sent events.

One look a few times a second, for all pages together and only while there are any, at a number of the record that moves with every commit.
What happened is not said: each page asks for what it shows, with the rights of who looks. A stream ends after ten minutes, and the browser
opens another: a session that has ended hears no more. One account has so many streams at most, so that none takes the connections of all.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import BedplateError
from bedplate.interfaces.http.beside.beside import Beside
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, Reply, on_server
from bedplate.interfaces.http.door.lanes import Lanes

_LOOK_S: Final = 0.5
_BEAT_TICKS: Final = 30
_LONGEST_TICKS: Final = 1200
MOST: Final = 200
"""Streams of one account; all tabs of a browser share one."""
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))


class Changes:
    """The one who looks. `boot` tells pages that they talk to another process than before; `stopping` ends the streams; what is new
    `beside` the record is told too.
    """

    def __init__(self, lanes: Lanes, boot: str, stopping: Callable[[], bool], beside: Beside | None = None) -> None:
        self._lanes = lanes
        self._boot = boot
        self._stopping = stopping
        self._beside = beside
        self._listeners = 0
        self._of: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._count = 0

    def endpoint(self) -> Endpoint:
        """`GET /changes`, for whoever is known."""

        def answer(desk: Desk, _asked: Asks) -> Reply:
            if self._of[desk.actor.name] >= MOST:
                raise Fault("RESOURCE_EXHAUSTED", f"this account listens {MOST} times already: close some of its pages")
            return Reply(body=self._stream(desk.actor.name), media_type="text/event-stream", headers=_HEADERS)

        return Endpoint("GET", "/changes", Asks, "me.read", on_server, answer)

    async def _stream(self, account: str) -> AsyncIterator[bytes]:
        self._listeners += 1
        self._of[account] += 1
        try:
            seen = self._count
            yield b"retry: 1000\nevent: hello\ndata: %b\n\n" % self._boot.encode()
            for tick in range(1, _LONGEST_TICKS):
                if self._looking is None:
                    self._looking = asyncio.get_running_loop().create_task(self._look())
                await asyncio.sleep(_LOOK_S)
                if self._stopping():
                    return
                if seen != self._count:
                    seen = self._count
                    yield b"event: changed\ndata: %d\n\n" % seen
                elif tick % _BEAT_TICKS == 0:
                    yield b": here\n\n"
        finally:
            self._listeners -= 1
            self._of[account] -= 1
            if not self._of[account]:
                del self._of[account]

    async def _look(self) -> None:
        """Count what moves, until nobody listens."""
        before: tuple[int, int] | None = None
        now: tuple[int, int] | None = None
        try:
            while self._listeners and not self._stopping():
                with suppress(BedplateError, Fault):  # a record that is away for a while moves nothing
                    now = (await self._lanes.read(self._lanes.watch, _Moved()), self._beside.news if self._beside is not None else 0)
                if now != before:
                    self._count += before is not None
                    before = now
                await asyncio.sleep(_LOOK_S)
        finally:
            self._looking = None


class _Moved:
    """A look at the record."""

    def run(self, catalog: Catalog) -> int:
        return catalog.database.moved()
