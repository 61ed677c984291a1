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

from bedplate.core.errors import InternalError
from bedplate.interfaces.http.binding import GRPC_OPTION, bind

from .process import FINAL, Kept
from .seat import Seat

PATIENCE_S: Final = 40.0

Heard = Callable[[bytes, bool], None]
"""Hears a line of a process, and whether it is the one that says that all answer."""


def serve_together(
    count: int, host: str, port: int, command: Callable[[Seat], Sequence[str]], heard: Heard, grpc: int | None = None
) -> int:  # fmt: skip
    """Serve with `count` processes until told to stop; the exit code of the first that failed, else 0.

    `command` starts a process for a seat; `grpc` is the port of gRPC (None: none). Raises what `bind` raises.
    """
    with contextlib.ExitStack() as stack:
        sockets = _shared(stack, count, host, port, "--port")
        beside = _shared(stack, count, host, grpc, GRPC_OPTION) if grpc is not None else []
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bedplate-serve-"))
        return asyncio.run(_Together(sockets, beside, folder, command, heard).run())


def _shared(stack: contextlib.ExitStack, count: int, host: str, port: int, option: str) -> list[socket.socket]:
    """So many sockets on one port; the first finds a port that nobody else has. Raises what `bind` raises."""
    with bind(host, port, option=option) as found:
        name, taken = found.getsockname()[:2]
    return [stack.enter_context(bind(name, taken, shared=True, option=option)) for _ in range(count)]


class _Together:
    """The processes, while they serve."""

    def __init__(
        self, sockets: Sequence[socket.socket], beside: Sequence[socket.socket], folder: str, command: Callable[[Seat], Sequence[str]],
        heard: Heard,
    ) -> None:  # fmt: skip
        self._sockets = [*sockets, *beside]
        grpc = [one.fileno() for one in beside] or [-1] * len(sockets)
        self._seats = [
            Seat(descriptor=one.fileno(), number=at, folder=folder, grpc=grpc[at]) for at, one in enumerate(sockets)
        ]  # fmt: skip
        self._command = command
        self._heard = heard
        self._ready: dict[int, bytes] = {}
        self._early: list[bytes] = []
        self._kept = [self._keeper(seat) for seat in self._seats]
        self._code = 0
        self._told = False
        self._over = asyncio.Event()

    async def run(self) -> int:
        """Start all, the first one first: what is wrong with the project is said once."""
        with self._signals():
            first = asyncio.create_task(self._kept[0].run())
            keeping = [first]
            while not self._ready and not first.done():
                await asyncio.sleep(0.02)
            if not first.done():
                keeping += [asyncio.create_task(one.run()) for one in self._kept[1:]]
            codes = await asyncio.gather(*keeping)
        return self._code or max(0, *codes)

    def stop(self) -> None:
        """Tell all to stop."""
        if self._over.is_set():
            return
        self._over.set()
        for listening in self._sockets:
            listening.close()  # each process closes its own when it has taken in who is connecting: that is then the end of the socket
        for one in self._kept:
            one.stop()
        asyncio.get_running_loop().call_later(PATIENCE_S, self._kill)

    def _kill(self) -> None:
        for one in self._kept:
            one.kill()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup
        for number in (signal.SIGINT, signal.SIGTERM, *hangup):
            loop.add_signal_handler(number, self.stop)
        yield

    def _keeper(self, seat: Seat) -> Kept:
        """What keeps a seat taken."""

        @contextlib.contextmanager
        def begin() -> Iterator[tuple[Sequence[str], Sequence[int]]]:
            yield self._command(seat), seat.descriptors

        return Kept(begin, lambda line, is_first: self._hear(seat, line, is_first), self._ended)

    def _ended(self, code: int) -> bool:
        """Whether another is to begin after one that ended by itself: else all end."""
        if code not in FINAL and self._told:
            return True
        self._code = code if code > 0 else InternalError.exit_code
        self.stop()
        return False

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
