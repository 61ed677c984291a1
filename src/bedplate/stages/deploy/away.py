"""Away: the engine of a model that another server has. Threads wait for it, so that the event loop does not.

How many questions are under way at once is the batcher's rule; there are as many threads, of this model alone, so that a server that hangs
holds up nobody else. What the model's caller says of how long nobody should ask (`storage/backends/remote_caller.py`) is what the
batcher turns requests away by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from .batcher import Finished


class Away:
    """Predicts in threads; `start` is called on the loop, and `finished` heard there."""

    def __init__(
        self, call: Callable[[Any], Any], wait_s: Callable[[], float], together: int, loop: asyncio.AbstractEventLoop,
        timer: Callable[[], float],
    ) -> None:  # fmt: skip
        self._call = call
        self._wait_s = wait_s
        self._loop = loop
        self._timer = timer
        self._threads = ThreadPoolExecutor(together, thread_name_prefix="bedplate-away")

    def start(self, matrix: Any, finished: Finished) -> None:
        """Predict in a thread."""
        self._threads.submit(self._ask, matrix, finished)

    def wait_s(self) -> float:
        """How long nobody should ask."""
        return self._wait_s()

    def _ask(self, matrix: Any, finished: Finished) -> None:
        begun = self._timer()
        try:
            made = self._call(matrix)
        except Exception as error:  # whoever asked hears it, whatever it is
            made = error
        seconds = self._timer() - begun
        with suppress(RuntimeError):  # the loop is closed meanwhile, and its server with it
            self._loop.call_soon_threadsafe(finished, made, seconds)
