"""Processes: several that serve one port together, started, watched and ended by one that answers nothing itself.

Each has a socket of its own on the port (SO_REUSEPORT; the kernel gives each connection to one of them). The sockets are made and kept
here: while a process is started again, whoever connects to its socket waits, and nobody is refused. One that ends by itself is started
again, after a growing pause; one that ends with a mistake of the user's, or is refused by the budget, ends all. Told to stop, all are told
(SIGTERM: each answers what it has in hand), and killed where they have not ended in 40 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bedplate.core.errors import InternalError, ProjectError, Refused, UserError
from bedplate.interfaces.http.binding import bind

from .seat import Seat

PATIENCE_S: Final = 40.0
SETTLED_S: Final = 10.0
"""A process that lived so long is started again after the shortest pause."""
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_FINAL: Final = frozenset({UserError.exit_code, ProjectError.exit_code, Refused.exit_code})
_LINE: Final = 1 << 20

Heard = Callable[[bytes, bool], None]
"""Hears a line of a process, and whether it is the one that says that all answer."""


def serve_together(count: int, host: str, port: int, command: Callable[[Seat], Sequence[str]], heard: Heard) -> int:
    """Serve with `count` processes until told to stop; the exit code of the first that failed, else 0.

    `command` starts a process for a seat. Raises what `bind` raises.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(bind(host, port, shared=True))]
        name, taken = sockets[0].getsockname()[:2]
        sockets += [stack.enter_context(bind(name, taken, shared=True)) for _ in range(count - 1)]
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bedplate-serve-"))
        return asyncio.run(_Together(sockets, folder, command, heard).run())


class _Together:
    """The processes, while they serve."""

    def __init__(
        self, sockets: Sequence[socket.socket], folder: str, command: Callable[[Seat], Sequence[str]], heard: Heard
    ) -> None:  # fmt: skip
        self._sockets = sockets
        self._seats = [Seat(descriptor=one.fileno(), number=at, folder=folder) for at, one in enumerate(sockets)]
        self._command = command
        self._heard = heard
        self._ready: dict[int, bytes] = {}
        self._early: list[bytes] = []
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._code = 0
        self._told = False
        self._over = asyncio.Event()

    async def run(self) -> int:
        """Start all, the first one first: what is wrong with the project is said once."""
        with self._signals():
            first = asyncio.create_task(self._keep(self._seats[0]))
            keeping = [first]
            while not self._ready and not first.done():
                await asyncio.sleep(0.02)
            if not first.done():
                keeping += [asyncio.create_task(self._keep(seat)) for seat in self._seats[1:]]
            await asyncio.gather(*keeping)
        return self._code

    def stop(self) -> None:
        """Tell all to stop."""
        if self._over.is_set():
            return
        self._over.set()
        for one in self._sockets:
            one.close()  # each process closes its own when it has taken in who is connecting: that is then the end of the socket
        for process in self._running.values():
            _tell(process, signal.SIGTERM)
        asyncio.get_running_loop().call_later(PATIENCE_S, self._kill)

    def _kill(self) -> None:
        for process in self._running.values():
            _tell(process, signal.SIGKILL)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup
        for number in (signal.SIGINT, signal.SIGTERM, *hangup):
            loop.add_signal_handler(number, self.stop)
        yield

    async def _keep(self, seat: Seat) -> None:
        """Keep a seat taken until told to stop."""
        loop, pause_s = asyncio.get_running_loop(), 0.0
        while not self._over.is_set():
            began = loop.time()
            code = await self._live(seat)
            if self._over.is_set():
                self._code = self._code or max(code, 0)
                return
            if code in _FINAL or not self._told:
                self._code = code if code > 0 else InternalError.exit_code
                self.stop()
                return
            pause_s = _FIRST_PAUSE_S if loop.time() - began > SETTLED_S else min(max(pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), pause_s)

    async def _live(self, seat: Seat) -> int:
        """One process from its start to its end; its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self._command(seat), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, pass_fds=(seat.descriptor,),
            start_new_session=True, limit=_LINE,
        )  # fmt: skip
        self._running[seat.number] = process
        if self._over.is_set():
            _tell(process, signal.SIGTERM)
        assert process.stdout is not None
        is_first = True
        async for line in process.stdout:
            self._hear(seat, line, is_first)
            is_first = False
        code = await process.wait()
        del self._running[seat.number]
        return code

    def _hear(self, seat: Seat, line: bytes, is_first: bool) -> None:
        if is_first and not self._told:
            self._ready[seat.number] = line
            if len(self._ready) == len(self._seats):
                self._told = True
                self._heard(self._ready[0], True)
                for early in self._early:
                    self._heard(early, False)
        elif not is_first:
            if self._told:
                self._heard(line, False)
            else:
                self._early.append(line)


def _tell(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
