"""Lanes: where a function of the project is called, on the event loop or in a thread.

A call that takes 50 microseconds costs more to hand to a thread than to make, and a call of 50 milliseconds on the loop would hold
up every other request. So a call goes inline while its expected time (rows times the mean of earlier calls; before the first, the
declared p95) is at most 5 ms, and to a pool of threads otherwise. One slow call among quick ones still holds up the loop once, and is
passed over: on a busy machine a quick call is now and then interrupted for longer than that. A second one in a row is believed.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

INLINE_S: Final = 0.005
_WEIGHT: Final = 0.1
_SAMPLE: Final = 16

Result = TypeVar("Result")


class Pool:
    """The threads that slow calls share."""

    def __init__(self, threads: int = 0) -> None:
        self._executor = ThreadPoolExecutor(threads or max(4, os.cpu_count() or 1), thread_name_prefix="bedplate-call")

    def close(self) -> None:
        """Wait for the calls that run."""
        self._executor.shutdown()

    async def run(self, call: Callable[[], Result]) -> Result:
        """Make the call in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


class Lane:
    """How long one row of a service or model takes, and hence where its calls are made.

    Inline calls are averaged. Calls in threads get in each other's way, so the quickest of every sixteen says what one takes.
    """

    __slots__ = ("_calls", "_least_s", "_pool", "_quick", "mean_s")

    def __init__(self, pool: Pool, expected_s: float = 0.0) -> None:
        self._pool = pool
        self._calls = 0
        self._quick = 0
        self._least_s = math.inf
        self.mean_s = expected_s

    def is_quick(self, rows: int) -> bool:
        """Whether a call that works through `rows` rows is made on the loop."""
        return rows * self.mean_s <= INLINE_S

    def now(self, rows: int, call: Callable[[], Result]) -> Result:
        """Make a quick call, here; raises what it raises."""
        started = time.perf_counter()
        result = call()
        seconds = time.perf_counter() - started
        if seconds <= INLINE_S:
            self._quick += 1
        elif self._quick >= _SAMPLE:
            self._quick = 0
            return result
        self.mean_s += _WEIGHT * (seconds / (rows or 1) - self.mean_s)
        return result

    async def run(self, rows: int, call: Callable[[], Result]) -> Result:
        """Make a call that works through `rows` rows; raises what it raises."""
        if self.is_quick(rows):
            return self.now(rows, call)
        result, seconds = await self._pool.run(lambda: _timed(call))
        self._calls += 1
        self._least_s = min(self._least_s, seconds / max(rows, 1))
        if self._calls == _SAMPLE:
            self.mean_s, self._calls, self._least_s = self._least_s, 0, math.inf
        return result


def _timed(call: Callable[[], Result]) -> tuple[Result, float]:
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started
