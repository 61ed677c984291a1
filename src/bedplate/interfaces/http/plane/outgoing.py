"""Outgoing: what is to be written, gathered while the loop takes a turn and written at its end.

A write wakes who waits for it, and to wake a process costs as much as to write. Who has several connections is woken by the first answer
and finds the others there. A request that comes alone waits no longer, as the turn is over when it is answered; one that comes with
others waits until these are, too.

What must not wait (an answer that comes in pieces, the end of a connection) flushes first, so that order is kept.
"""

from __future__ import annotations

from asyncio import WriteTransport
from collections.abc import Callable


class Outgoing:
    """What is to be written at the end of this turn; `soon` calls something in the next one."""

    __slots__ = ("_soon", "_waiting")

    def __init__(self, soon: Callable[[Callable[[], None]], None]) -> None:
        self._soon = soon
        self._waiting: list[tuple[WriteTransport, bytes]] = []

    def write(self, transport: WriteTransport, data: bytes) -> None:
        """Have it written."""
        if not self._waiting:
            self._soon(self.flush)
        self._waiting.append((transport, data))

    def flush(self) -> None:
        """Write it now; who has gone gets nothing."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)
