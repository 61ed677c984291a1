"""Link: a connection to a replica, one request at a time; and the pool of them that a replica has.

What goes out is whole. What comes back is read by httptools, as a replica is ours or one that the operator names; it is passed on as it is,
but for the headers that are about the connection. An answer of at most 1 MiB whose length is known, or that came in one piece, is passed on
whole: until then its request may still go to another replica. Others go out as they come, and no faster than the client takes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

CONNECT_S: Final = 3.0
IDLE_S: Final = 30.0
"""A connection that was not used for so long is not used again: the other side lets go of it after 65 s."""
_WHOLE: Final = 1 << 20
_OWN: Final = frozenset(
    {b"connection", b"keep-alive", b"content-length", b"transfer-encoding", b"date", b"te", b"trailer", b"upgrade", b"proxy-connection"}
)
"""Headers of an answer that are the connection's, or that our own answer has anyway."""

Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[Any]]
"""Opens a connection to a replica."""


class Asker(Protocol):
    """Who gets the answer."""

    def whole(self, status: int, lines: bytes, body: bytes) -> None:
        """The answer."""
        ...

    def begins(self, status: int, lines: bytes, length: int | None, link: Link) -> None:
        """An answer that comes in pieces; `length` is None where nobody knows."""
        ...

    def piece(self, data: bytes) -> None:
        """A piece of it."""
        ...

    def ends(self) -> None:
        """That was all of it."""
        ...

    def lost(self, *, was_sent: bool, is_refused: bool) -> None:
        """There is no answer, or no rest of it; `is_refused`: nobody listens there."""
        ...


class Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, pool: Pool) -> None:
        self.idle_since = 0.0
        self._pool = pool
        self._parser = HttpResponseParser(self)
        self._asker: Asker | None = None
        self._transport: asyncio.Transport | None = None
        self._reset()

    def _reset(self) -> None:
        self._lines: list[bytes] = []
        self._body: list[bytes] = []
        self._size = 0
        self._length: int | None = None
        self._is_chunked = self._has_head = self._is_begun = self._is_done = self._keeps = False

    def ask(self, asker: Asker, data: bytes) -> None:
        """Send a request whose answer `asker` gets."""
        self._asker = asker
        assert self._transport is not None
        self._transport.write(data)

    def abort(self) -> None:
        """Let go of it at once."""
        if self._transport is not None:
            self._transport.abort()

    def part(self) -> None:
        """Say that nothing more is asked here; what is answered is read to its end."""
        self._keeps = False
        if self._transport is not None and self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        if self._asker is None:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.abort()
            return
        self._tell()

    def connection_lost(self, _error: Exception | None) -> None:
        """It is over. An answer without a length ends so."""
        self._pool.forget(self)
        asker, self._asker = self._asker, None
        if asker is None:
            return
        if self._has_head and self._length is None and not self._is_chunked and _error is None:
            self._asker, self._is_done = asker, True
            self._tell(is_over=True)
        else:
            asker.lost(was_sent=True, is_refused=False)

    def on_message_begin(self) -> None:
        """The parser: an answer begins. Nobody asked for a second one."""
        if self._is_done:
            raise HttpParserError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser: a header."""
        lower = name.lower()
        if lower not in _OWN:
            self._lines.append(b"%b: %b\r\n" % (name, value))
        elif lower == b"content-length":
            self._length = int(value)
        elif lower == b"transfer-encoding":
            self._is_chunked = True

    def on_headers_complete(self) -> None:
        """The parser: that was the last header."""
        self._has_head = True
        self._keeps = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """The parser: a piece of the body."""
        self._body.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        """The parser: the answer is whole, or it was an early word (1xx), after which the answer comes."""
        if self._parser.get_status_code() < 200:
            self._reset()
        else:
            self._is_done = True

    def _tell(self, *, is_over: bool = False) -> None:
        """Pass on what is there."""
        asker = self._asker
        if asker is None or not self._has_head:
            return
        if not self._is_begun:
            status = self._parser.get_status_code()
            if self._is_done:
                keeps = self._keeps and not is_over
                lines, body = b"".join(self._lines), b"".join(self._body)
                self._free(keeps=keeps)
                asker.whole(status, lines, body)
                return
            if self._length is not None and self._length <= _WHOLE:
                return
            self._is_begun = True
            asker.begins(status, b"".join(self._lines), self._length, self)
        pieces, self._body = self._body, []
        for piece in pieces:
            asker.piece(piece)
        if self._is_done:
            self._free(keeps=self._keeps and not is_over)
            asker.ends()

    def _free(self, *, keeps: bool) -> None:
        """The answer is whole: the connection is free for another request, or over."""
        self._asker = None
        self._reset()
        if keeps and self._transport is not None and not self._transport.is_closing():
            self._pool.back(self)
        else:
            self._pool.forget(self)
            self.abort()


class Pool:
    """The connections to one replica. `timer` gives seconds."""

    def __init__(self, connect: Connect, timer: Callable[[], float]) -> None:
        self._connect = connect
        self._timer = timer
        self._idle: list[Link] = []
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, asker: Asker, data: bytes) -> None:
        """Send a request on a connection that is free, or on a new one."""
        while self._idle:
            link = self._idle.pop()
            if self._timer() - link.idle_since < IDLE_S:
                link.ask(asker, data)
                return
            link.abort()
        task = asyncio.get_running_loop().create_task(self._open(asker, data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def back(self, link: Link) -> None:
        """A connection is free again."""
        link.idle_since = self._timer()
        self._idle.append(link)

    def forget(self, link: Link) -> None:
        """A connection is over."""
        self._links.discard(link)
        if link in self._idle:
            self._idle.remove(link)

    def abort(self) -> None:
        """Let go of all: what was asked on them has no answer."""
        for link in list(self._links):
            link.abort()

    async def _open(self, asker: Asker, data: bytes) -> None:
        link = Link(self)
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._connect(lambda: link)
        except OSError as error:
            asker.lost(was_sent=False, is_refused=isinstance(error, ConnectionRefusedError | FileNotFoundError))
            return
        self._links.add(link)
        link.ask(asker, data)
