"""Lanes: where requests are answered, and how the event loop waits for an answer that a thread makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from bedplate.catalog.catalog import Catalog

from .desk import AtDesk, PlainWrite
from .threads import Read, Threads
from .writer import Ended, Write, Writer

_PATIENCE_S: Final = 120.0


class Lanes:
    """The writer, readers, threads for bytes, threads that check passwords, and one that watches the record move."""

    def __init__(self, writes: Catalog, opens: Callable[[], Catalog]) -> None:
        self.writer = Writer(writes)
        self.readers = Threads(opens, "read", threads=4)
        self.bytes = Threads(opens, "bytes", threads=8)
        self.checks = Threads(opens, "check", threads=2, most=64)
        self.watch = Threads(opens, "watch", threads=1)

    def open(self) -> None:
        """Begin."""
        for lane in (self.writer, self.readers, self.bytes, self.checks, self.watch):
            lane.open()

    def close(self) -> None:
        """Finish what is under way; the writer last, for others wait for it."""
        for lane in (self.watch, self.checks, self.readers, self.bytes, self.writer):
            lane.close()

    async def write(self, write: Write) -> Any:
        """What the writer answers. Raises what it raised, Fault where too many wait."""
        answered, ended = _waited()
        self.writer.submit(write, ended)
        return await answered

    def write_for(self, desk: AtDesk, work: Callable[[Catalog], Any]) -> Any:
        """The same for a thread that is no reader of the loop's: it waits."""
        answered: Future[Any] = Future()
        self.writer.submit(PlainWrite(desk, work), lambda answer, problem: _settle(answered, answer, problem))
        return answered.result(_PATIENCE_S)

    @staticmethod
    async def read(threads: Threads, read: Read) -> Any:
        """What one of the threads answers. Raises what it raised, Fault where too many wait."""
        answered, ended = _waited()
        threads.submit(read, ended)
        return await answered

    async def made(self, call: Callable[[], Any]) -> Any:
        """A call that is made in a thread for bytes."""
        return await self.read(self.bytes, _Call(call))


class _Call:
    """A call that needs no catalog."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call

    def run(self, _catalog: Catalog) -> Any:
        return self._call()


def _waited() -> tuple[asyncio.Future[Any], Ended]:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Any] = loop.create_future()

    def ended(answer: Any, problem: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(_settle, answered, answer, problem)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    return answered, ended


def _settle(answered: asyncio.Future[Any] | Future[Any], answer: Any, problem: BaseException | None) -> None:
    if answered.done():
        return
    if problem is None:
        answered.set_result(answer)
    else:
        answered.set_exception(problem)
