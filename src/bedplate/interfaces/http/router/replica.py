"""Replica: a process of ours behind the router, at a socket of its own in the file system, kept running until it is drained.

Each life has a new socket, which only the process holds: where it ends, who connects is refused at once and goes elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bedplate.interfaces.http.binding import BACKLOG
from bedplate.interfaces.http.plane.process import Kept
from bedplate.interfaces.http.plane.seat import Seat

from .member import local
from .router import Router

DRAIN_S: Final = 30.0
KILL_S: Final = 40.0
_TURN_S: Final = 0.02

Command = Callable[[Seat], Sequence[str]]
"""What starts a process for a seat."""
Told = Callable[["Replica", bytes], None]
"""Hears a line that a replica says."""


class Replica:
    """One replica, by number; of its `seat` it has what all have alike. `told` hears its first line, `line` the others; `ended`, how it
    ended, says whether it begins again.
    """

    def __init__(
        self, number: int, router: Router, seat: Seat, command: Command, told: Told, line: Told, ended: Callable[[Replica, int], bool]
    ) -> None:  # fmt: skip
        self.number = number
        self.is_up = False
        self._router = router
        self._path = Path(seat.folder) / f"{number}.sock"
        self._seat = msgspec.structs.replace(seat, number=number)
        self._command, self._told, self._line, self._ended = command, told, line, ended
        self.member = local(f"replica-{number}", str(self._path), router.settings.home.place, router.timer)
        self._kept = Kept(self._begin, self._hears, self._over)
        self._run = asyncio.get_running_loop().create_task(self._kept.run())
        router.members.append(self.member)

    @property
    def is_draining(self) -> bool:
        """Whether it gets nothing more."""
        return self.member.standing.state == "draining"

    @property
    def pid(self) -> int | None:
        """Its process."""
        return self._kept.pid

    def kill(self) -> None:
        """End its process, which hangs; another is started."""
        self._kept.kill()

    async def drain(self) -> int:
        """Send it nothing more, wait until it has answered what it has in hand, end it, and forget it; how it ended."""
        loop = asyncio.get_running_loop()
        self.member.standing = self.member.standing.seen("draining")
        until = loop.time() + DRAIN_S
        while self.member.standing.running and loop.time() < until:
            await asyncio.sleep(_TURN_S)
        self._kept.stop()
        killing = loop.call_later(KILL_S, self._kept.kill)
        code = await asyncio.shield(self._run)  # who is told to stop waits for it a second time
        killing.cancel()
        if self.member in self._router.members:
            self._router.members.remove(self.member)
        return code

    @contextlib.contextmanager
    def _begin(self) -> Iterator[tuple[Sequence[str], Sequence[int]]]:
        self._path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(str(self._path))
            listening.listen(BACKLOG)
            seat = msgspec.structs.replace(self._seat, descriptor=listening.fileno())
            yield self._command(seat), seat.descriptors

    def _hears(self, line: bytes, is_first: bool) -> None:
        if not is_first:
            self._line(self, line)
            return
        self.is_up = True
        self._told(self, line)
        if not self.is_draining:
            self.member.standing = self.member.standing.seen("ready")
            self._router.changed()

    def _over(self, code: int) -> bool:
        """Its process ended by itself: who waits for it hears so now, and goes elsewhere."""
        self.is_up = False
        standing = self.member.standing
        if standing.state not in ("starting", "draining"):
            self.member.standing = standing.failed(self._router.settings.rules.trust, self._router.timer(), "starting")
        self.member.misses = 0
        self.member.pool.abort()
        return self._ended(self, code)
