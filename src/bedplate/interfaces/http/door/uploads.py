"""Bodies of bytes on their way in: read by the thread that keeps them, as fast as it keeps them.

The first 256 KiB are taken before a thread is: clients that send little, slowly, hold none. Limits: a thread waits at most a minute for
the next piece; the protocol ends the connection of a client that sends nothing long before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from typing import Final

from bedplate.core.units import show_bytes
from bedplate.interfaces.http.body import Gone
from bedplate.interfaces.http.replies import CLOSE, Message, Receive

from .endpoint import Fault

_FIRST: Final = 1 << 18
_PATIENCE_S: Final = 60.0


class Incoming:
    """One body. `length` is what the client says that it sends, None where it does not."""

    def __init__(self, receive: Receive, length: int | None, most: int) -> None:
        self.length = length
        self._receive = receive
        self._most = most
        self._first: list[bytes] = []
        self._taken = 0
        self._more = True
        self._loop = asyncio.get_running_loop()

    async def begin(self) -> None:
        """Take the first pieces. Raises Fault 413 for a body that says it is too large, Gone where the client left."""
        if self.length is not None and self.length > self._most:
            raise self._too_large()
        while self._more and self._taken < _FIRST:
            self._first.append(self._piece(await self._receive()))

    def pieces(self) -> Iterator[bytes]:
        """The pieces as they come; in a thread. Raises Fault."""
        yield from self._first
        self._first = []
        while self._more:
            coming: Future[Message] = asyncio.run_coroutine_threadsafe(_received(self._receive), self._loop)
            try:
                yield self._piece(coming.result(_PATIENCE_S))
            except (TimeoutError, CancelledError) as error:
                coming.cancel()
                raise Fault("BAD_REQUEST", "the body came too slowly", status=408) from error
            except Gone:
                raise Fault("BAD_REQUEST", "the body was cut off") from None

    def _piece(self, message: Message) -> bytes:
        if message["type"] == "http.disconnect":
            raise Gone
        piece: bytes = message.get("body", b"")
        self._more = message.get("more_body", False)
        self._taken += len(piece)
        if self._taken > self._most:
            raise self._too_large()
        return piece

    def _too_large(self) -> Fault:
        return Fault("BAD_REQUEST", f"the body is larger than {show_bytes(self._most)}, the most that is taken at once", 413, (CLOSE,))


async def _received(receive: Receive) -> Message:
    return await receive()
