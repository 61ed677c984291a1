"""Plane: the server. One event loop, its connections, and a quiet end on a signal.

Once told to stop it accepts nothing more (who had connected already is let in first), answers what is in hand and what comes within a
moment on the connections that are open, each with `connection: close`, and then lets the idle ones go: a client that keeps its connection
sees the answer to whatever it sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from email.utils import formatdate
from typing import Any, Final, Protocol

import uvloop

from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.binding import BACKLOG
from bedplate.interfaces.http.front import mistake

from .head import Head, Heads
from .outgoing import Outgoing
from .wire import Wire

MOST_CONNECTIONS: Final = 4000
PATIENCE_S: Final = 30.0
LINGER_S: Final = 0.5
_LOOK_S: Final = 1.0
_TURN_S: Final = 0.02
_SWITCH_S: Final = 0.0005
"""How long another thread (the log's, a lane's) may go on while the loop has something to do; Python's own is ten times that."""


class Chooses(Protocol):
    """Knows what answers a request."""

    def choose(self, head: Head) -> Any:
        """What answers requests with this head: a `Door`."""
        ...


Connected = Callable[[], asyncio.Protocol]
"""Makes what a connection is given to."""


class Guest(Protocol):
    """What takes in the clients of another protocol, on a socket of its own."""

    listening: socket.socket

    def connected(self) -> asyncio.Protocol:
        """What a connection is given to."""
        ...

    async def drain(self, patience_s: float) -> None:
        """Answer what is in hand, and let the clients go; nobody new comes."""
        ...


class Plane:
    """Answers on sockets until told to stop, and has its `guests` answer on theirs.

    `listening` is called once it does; `beside` is entered before, and left when all is said.
    """

    def __init__(
        self,
        doors: Chooses,
        listening: Callable[[], None],
        beside: AbstractAsyncContextManager[Any] | None = None,
        guests: Sequence[Guest] = (),
    ) -> None:
        self.now = 0.0
        self.outgoing = Outgoing(self.soon)
        self.heads = Heads(doors.choose)
        self._listening = listening
        self._beside = beside or contextlib.nullcontext()
        self._guests = guests
        self._wires: set[Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: dict[int, bytes] = {}
        self._wakes: dict[Wire, asyncio.Event] = {}
        self._told = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()

    @property
    def is_told(self) -> bool:
        """Whether it was told to stop."""
        return self._told.is_set()

    def stop(self) -> None:
        """Stop as SIGTERM does; from any thread."""
        self._told.set()
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop closes at this moment: it has stopped
                loop.call_soon_threadsafe(self._over.set)

    def run(self, sockets: Sequence[socket.socket]) -> None:
        """Answer until told to stop."""
        sys.setswitchinterval(_SWITCH_S)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(sockets))

    async def _serve(self, sockets: Sequence[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        self._look()
        with self._signals():
            async with self._beside:
                if not self._told.is_set():
                    await self._answer(sockets, self._loop)

    async def _answer(self, sockets: Sequence[socket.socket], loop: asyncio.AbstractEventLoop) -> None:
        makers: list[tuple[socket.socket, Connected]] = [(one, lambda: Wire(self)) for one in sockets]
        makers += [(one.listening, one.connected) for one in self._guests]
        spare = [(one.dup(), connected) for one, connected in makers]
        for one, _ in spare:
            one.setblocking(False)
        servers = [await _listen(loop, connected, one) for one, connected in makers]
        self._listening()
        if not self._told.is_set():
            await self._over.wait()
        await self._close(servers, spare)
        await asyncio.gather(self._drain(), *(one.drain(PATIENCE_S) for one in self._guests))

    async def _close(self, servers: Sequence[asyncio.Server], spare: Sequence[tuple[socket.socket, Connected]]) -> None:
        """Listen no more. Who has connected by then is let in: the end of a socket ends those that nobody has accepted.

        The loop takes a turn to let go of a socket; it is closed by its last copy, after a look at who came meanwhile.
        """
        for server in servers:
            server.close()
        await asyncio.sleep(_TURN_S)
        for listening, connected in spare:
            came = []
            with contextlib.suppress(OSError):  # nobody waits any more
                while True:
                    came.append(listening.accept()[0])
            listening.close()
            for one in came:
                await asyncio.get_running_loop().connect_accepted_socket(connected, one)

    async def _drain(self) -> None:
        now = asyncio.get_running_loop().time()
        for wire in list(self._wires):
            wire.part(now=False)
        while self._wires and asyncio.get_running_loop().time() < now + LINGER_S:
            await asyncio.sleep(_TURN_S)
        while self._wires and asyncio.get_running_loop().time() < now + PATIENCE_S:
            for wire in list(self._wires):
                wire.part(now=True)
            await asyncio.sleep(_TURN_S)
        for task in self._tasks:
            task.cancel()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop on SIGINT, SIGTERM and a closed terminal."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, *hangup)}
        for number in before:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _look(self) -> None:
        """What is done every second: the date, and clients that are too slow."""
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        self._lines.clear()
        for wire in list(self._wires):
            wire.look(self.now)
        loop.call_later(_LOOK_S, self._look)

    def enter(self, wire: Wire) -> bool:
        """A client came; whether there is room for it."""
        self._wires.add(wire)
        return len(self._wires) <= MOST_CONNECTIONS

    def leave(self, wire: Wire) -> None:
        """It left."""
        self._wires.discard(wire)
        self.wake(wire)

    def handle(self, head: Head, body: bytes, wire: Wire) -> Answered | None:
        """The answer to a request that is whole; None where the wire gets it later."""
        try:
            answered: Answered | None = head.handler.answer(head, body, wire)
        except Exception as error:  # our own mistake: the caller gets the house's error, the log the traceback
            return refusal(mistake(error))
        return answered

    def line(self, status: int) -> bytes:
        """The status line of an answer, and the headers that every answer has."""
        line = self._lines.get(status)
        if line is None:
            date, phrase = formatdate(usegmt=True).encode(), _PHRASES.get(status, b"")
            line = self._lines[status] = b"HTTP/1.1 %d %b\r\ndate: %b\r\n" % (status, phrase, date)
        return line

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work in a task, which the end of the server waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def soon(self, call: Callable[[], None]) -> None:
        """Call that in the next turn of the loop."""
        asyncio.get_running_loop().call_soon(call)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call that after a while."""
        asyncio.get_running_loop().call_later(seconds, call)

    def wake(self, wire: Wire) -> None:
        """A client has taken what was written, or has gone."""
        event = self._wakes.pop(wire, None)
        if event is not None:
            event.set()

    async def drained(self, wire: Wire) -> None:
        """Wait until a client has taken what was written, or has gone."""
        while wire.stuck and not wire.gone:
            await self._wakes.setdefault(wire, asyncio.Event()).wait()

    async def parted(self, wire: Wire) -> None:
        """Wait until a client sends no more: it has gone, or will."""
        while not (wire.gone or wire.ended):
            await self._wakes.setdefault(wire, asyncio.Event()).wait()


_PHRASES: Final = {one.value: one.phrase.encode() for one in http.HTTPStatus}


async def _listen(loop: asyncio.AbstractEventLoop, made: Connected, one: socket.socket) -> asyncio.Server:
    if one.family == socket.AF_UNIX:
        return await loop.create_unix_server(made, sock=one, backlog=BACKLOG)
    return await loop.create_server(made, sock=one, backlog=BACKLOG)
