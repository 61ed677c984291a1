"""Relay: takes in who speaks HTTP/2, and hands what they say to a server behind it on a socket in the file system, byte by byte.

gRPC's own server ends calls that reach it while it is stopped, and is not told on which socket to listen. So the sockets are ours, as those
of HTTP are: several processes share a port, and nobody is refused while one is started again. Told to stop, the relay says GOAWAY to each
client between two frames: what was sent is answered, and what comes next goes elsewhere. The server behind is made when the first client
comes: who never asks for it does not pay for it.

Limits: 1,000 clients at once; what a frame says is not looked at, only where it ends.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, cast

from bedplate.interfaces.http.binding import place_of

MOST_CLIENTS: Final = 1000
LINGER_S: Final = 0.5
_TURN_S: Final = 0.02
_HEAD: Final = 9
_HEADERS, _PUSH, _CONTINUATION, _END_HEADERS = 1, 5, 9, 4
_GOAWAY: Final = bytes((0, 0, 8, 7, 0, 0, 0, 0, 0)) + (0x7FFFFFFF).to_bytes(4) + bytes(4)
"""A frame that says: open no more streams; all that are open will be answered."""


class Behind(Protocol):
    """The server behind; `busy` is how many calls it has in hand."""

    busy: int

    async def open(self, path: str) -> None:
        """Listen on a socket of that name."""
        ...

    async def close(self, patience_s: float) -> None:
        """Answer what is in hand, and end."""
        ...


class Frames:
    """Where the frames end that a server sends."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        self._open = False
        self._begun = False

    @property
    def between(self) -> bool:
        """Whether another frame may be sent now: the first has been, and none is in the middle, nor a block of headers."""
        return self._begun and not self._head and not self._left and not self._open

    def feed(self, data: bytes) -> int:
        """Take in what is sent; the first place in it where another frame may be put, -1 for none."""
        at, found = 0, 0 if self.between else -1
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
            else:
                piece = data[at : at + _HEAD - len(self._head)]
                self._head += piece
                at += len(piece)
                if len(self._head) == _HEAD:
                    self._take()
            if found < 0 and self.between:
                found = at
        return found

    def _take(self) -> None:
        self._left, kind, flags = int.from_bytes(self._head[:3]), self._head[3], self._head[4]
        if kind in (_HEADERS, _PUSH, _CONTINUATION):
            self._open = not flags & _END_HEADERS
        self._head.clear()
        self._begun = True


class _End(asyncio.Protocol):
    """One of the two connections of a client; what one reads the other writes, no faster than it can."""

    transport: asyncio.Transport
    other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.send(data)

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


class _Server(_End):
    """The way to who answers a client."""

    def __init__(self, client: _Client) -> None:
        self.other = self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server behind is there."""
        super().connection_made(transport)
        self._client.join(self)


class _Client(_End):
    """Who asks."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._frames = Frames()
        self._parting = False
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came; it is not read before there is somebody to hear it."""
        super().connection_made(transport)
        self.transport.pause_reading()
        self._relay.enter(self)

    def join(self, server: _End) -> None:
        """There is somebody to hear it."""
        self.other = server
        server.send(self._early)
        self._early = b""
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """What it said; a loop may read once more than it was told to."""
        if self.other is None:
            self._early += data
        else:
            self.other.send(data)

    def send(self, data: bytes) -> None:
        """Send what the server says, and between two of its frames that this is the end."""
        at = self._frames.feed(data)
        if self._parting and at >= 0:
            self._parting = False
            data = data[:at] + _GOAWAY + data[at:]
        self.transport.write(data)

    def part(self) -> None:
        """Say that this is the end, now or after the frame that is being sent."""
        if self._frames.between:
            self.transport.write(_GOAWAY)
        else:
            self._parting = True

    def connection_lost(self, error: Exception | None) -> None:
        """It left."""
        super().connection_lost(error)
        self._relay.leave(self)


class Relay:
    """Takes in clients on a socket, behind TLS where there is a context of it; `make` makes the server behind, in a thread, when the first
    one comes.
    """

    def __init__(self, listening: socket.socket, make: Callable[[], Behind], tls: ssl.SSLContext | None = None) -> None:
        self.listening = listening
        self.tls = tls
        self.address = place_of(listening)
        self._make = make
        self._behind: asyncio.Task[Behind] | None = None
        self._clients: set[_Client] = set()
        self._joining: set[asyncio.Task[None]] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="bedplate-grpc-")
        self._path = str(Path(self._folder.name) / "socket")
        self._over = False

    def connected(self) -> asyncio.Protocol:
        """What a connection is given to."""
        return _Client(self)

    def enter(self, client: _Client) -> None:
        """A client came."""
        self._clients.add(client)
        if len(self._clients) > MOST_CLIENTS:
            client.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._join(client))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    def leave(self, client: _Client) -> None:
        """It left."""
        self._clients.discard(client)

    async def drain(self, patience_s: float) -> None:
        """Let the clients go, once each has what it asked for; those that do not go are parted from when nobody waits for an answer."""
        loop = asyncio.get_running_loop()
        began, self._over = loop.time(), True
        for client in list(self._clients):
            client.part()
        behind = await self._behind if self._behind is not None else None
        while self._clients and (waited := loop.time() - began) < patience_s:
            if waited > LINGER_S and behind is not None and not behind.busy:
                break
            await asyncio.sleep(_TURN_S)
        if behind is not None:
            await behind.close(max(0.0, patience_s - (loop.time() - began)))
        for client in list(self._clients):
            client.transport.close()
        self._folder.cleanup()

    async def _join(self, client: _Client) -> None:
        """Find the client somebody to hear it."""
        loop = asyncio.get_running_loop()
        if self._behind is None:
            self._behind = loop.create_task(self._open())
        try:
            await asyncio.shield(self._behind)
            way, _ = await loop.create_unix_connection(lambda: _Server(client), self._path)
        except OSError:
            client.transport.abort()
            return
        if self._over:
            client.part()
        if client.transport.is_closing():
            way.close()

    async def _open(self) -> Behind:
        behind = await asyncio.get_running_loop().run_in_executor(None, self._make)
        await behind.open(self._path)
        return behind
