"""Kept: a process that is kept running: started again after a growing pause where it ends by itself, told to stop and, at last, killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from bedplate.core.errors import ProjectError, Refused, UserError

SETTLED_S: Final = 10.0
"""A process that lived so long is started again after the shortest pause."""
FINAL: Final = frozenset({UserError.exit_code, ProjectError.exit_code, Refused.exit_code})
"""A process that ends so would end so again: it is the user's mistake, or the budget's word."""
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_LINE: Final = 1 << 20

Begin = Callable[[], AbstractContextManager[tuple[Sequence[str], Sequence[int]]]]
"""Gives the command of the next life and the descriptors that it inherits; it ends once the process has begun."""
Hears = Callable[[bytes, bool], None]
"""Hears a line that the process said, and whether it is the first of its life."""
Ended = Callable[[int], bool]
"""Hears the exit code of a process that ended by itself, and says whether another is to begin."""


class Kept:
    """One process at a time, from `run` until it is told to stop."""

    def __init__(self, begin: Begin, hears: Hears, ended: Ended) -> None:
        self._begin = begin
        self._hears = hears
        self._ended = ended
        self._process: asyncio.subprocess.Process | None = None
        self._over = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process that runs."""
        return self._process.pid if self._process is not None else None

    def stop(self) -> None:
        """Have it end (SIGTERM: it answers what it has in hand), and start no other."""
        self._over.set()
        self._tell(signal.SIGTERM)

    def kill(self) -> None:
        """End it now; unless it was told to stop, another is started."""
        self._tell(signal.SIGKILL)

    async def run(self) -> int:
        """Keep it running until told to stop, or until it is not to begin again; how the last one ended."""
        loop, pause_s, code = asyncio.get_running_loop(), 0.0, 0
        while not self._over.is_set():
            began = loop.time()
            code = await self._live()
            if self._over.is_set() or not self._ended(code):
                break
            pause_s = _FIRST_PAUSE_S if loop.time() - began > SETTLED_S else min(max(pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), pause_s)
        return code

    async def _live(self) -> int:
        """One process from its start to its end; its exit code."""
        with self._begin() as (command, descriptors):
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, pass_fds=descriptors,
                start_new_session=True, limit=_LINE,
            )  # fmt: skip
        self._process = process
        if self._over.is_set():
            self._tell(signal.SIGTERM)
        assert process.stdout is not None
        is_first = True
        async for line in process.stdout:
            self._hears(line, is_first)
            is_first = False
        code = await process.wait()
        self._process = None
        return code

    def _tell(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
