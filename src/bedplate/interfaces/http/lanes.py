"""Lanes: where a function of the project is called, on the event loop or in a thread, and when it is not.

A call that takes 50 microseconds costs more to hand to a thread than to make, and a call of 50 milliseconds on the loop would hold
up every other request. So a call goes inline while its expected time (rows times the mean of earlier calls; before the first, the
declared p95, and without one a thread until it has shown what it takes) is at most 5 ms, and to a pool of threads otherwise. One slow call
among quick ones still holds up the loop once, and is passed over: on a busy machine a quick call is now and then interrupted for longer
than that. A second one in a row is believed.

In threads, who comes while more wait than are answered in two seconds is turned away at once (503, `Retry-After`); how many that is shows
in how calls end one after the other while others wait, as threads may share a processor. While no call has ended 64 may wait for each
thread: those that were held until a server was there come all at once. A call that never returns is given up (504). After three in a row,
or three that ran out of memory, the lane is closed for a second, then longer: its breaker lets one call at a time try.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, TypeVar

from bedplate.planner.batching.breaker import Breaker

from .pool import GivenUp, Pool
from .replies import Problem

INLINE_S: Final = 0.005
WAIT_S: Final = 2.0
"""Requests that would wait longer for a thread are turned away."""
_WEIGHT: Final = 0.1
_SAMPLE: Final = 16
_EACH: Final = 4
"""Calls that may wait for each thread, whatever they take."""
_UNKNOWN: Final = 64
"""As many of which nobody knows yet what one takes: a server that has just started gets all at once what waited for it."""

Result = TypeVar("Result")


class Lane:
    """How long one row of a service or model takes, and hence where its calls are made.

    Inline calls are averaged. Calls in threads get in each other's way, so the quickest of every sixteen says what one takes.
    """

    __slots__ = ("_calls", "_ended", "_least_s", "_paces_s", "_pool", "_quick", "_tries", "breaker", "mean_s", "patience_s")

    def __init__(self, pool: Pool, expected_s: float = 0.0, *, patience_s: float | None = None) -> None:
        self.breaker = Breaker()
        self.patience_s = pool.patience_s if patience_s is None else patience_s
        self._pool = pool
        self._calls = 0
        self._quick = 0
        self._least_s = math.inf
        self._ended: list[float] = []
        self._paces_s: tuple[float, ...] = ()
        self._tries = False
        self.mean_s = expected_s

    @property
    def usual_s(self) -> float:
        """What a row takes, as far as that is known; infinite before the first call."""
        return self.mean_s if math.isfinite(self.mean_s) else self._least_s

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
        """Make a call that works through `rows` rows; raises what it raises, Problem 503 where it is not made, 504 where it is given up."""
        if self.is_quick(rows):
            return self.now(rows, call)
        self._admit()
        self._tries = self.breaker.is_open
        try:
            result, seconds = await self._pool.run(lambda: _timed(call), self.patience_s)
        except GivenUp as given_up:
            if not given_up.begun:
                raise busy(WAIT_S) from None
            self._failed()
            raise Problem(504, "the function did not return", why=f"it was given up after {self.patience_s:g} s") from None
        except BaseException as error:
            if isinstance(error.__cause__ or error, MemoryError | SystemError):
                self._failed()
            raise
        finally:
            self._tries = False
        if self.breaker.failures:
            self.breaker.worked()
        self._paced()
        self._calls += 1
        self._least_s = min(self._least_s, seconds / max(rows, 1))
        if self._calls == _SAMPLE:
            self.mean_s, self._calls, self._least_s = self._least_s, 0, math.inf
        return result

    def _admit(self) -> None:
        """Raises Problem 503 where nobody is let in, or too many wait."""
        wait = 1.0 if self._tries else self.breaker.wait_s(time.perf_counter())
        if wait > 0.0:
            raise Problem(
                503,
                "it did not return, or ran out of memory, again and again",
                why="nobody is let in for a while; then one request at a time may try",
                next=f"try again in {math.ceil(wait)} s",
                headers=((b"retry-after", b"%d" % math.ceil(wait)),),
            )
        pool, waiting = self._pool, self._pool.waiting
        wait = waiting * min(self._paces_s, default=min(self.mean_s, self._least_s) / pool.size)
        may_wait = _EACH if self.breaker.failures or math.isfinite(wait) else _UNKNOWN
        if waiting >= pool.size * may_wait and wait > WAIT_S:
            raise busy(wait if math.isfinite(wait) else WAIT_S)

    def _paced(self) -> None:
        """A call has ended. What one of sixteen takes that end while others wait all the while is known; a single stall is passed over."""
        if not self._pool.waiting:
            self._ended.clear()
            return
        self._ended.append(time.perf_counter())
        if len(self._ended) > _SAMPLE:
            self._paces_s = (*self._paces_s[-1:], (self._ended[-1] - self._ended[0]) / _SAMPLE)
            del self._ended[:-1]

    def _failed(self) -> None:
        self.breaker.failed(time.perf_counter())
        self.mean_s = math.inf


class OffLoop(Lane):
    """A lane of which nobody knows what its calls take: never the loop's, and who comes waits."""

    __slots__ = ()

    def is_quick(self, rows: int) -> bool:
        """Nothing is."""
        return False


def busy(seconds: float) -> Problem:
    """What somebody hears who would wait for so many seconds."""
    after = b"%d" % min(60, max(1, math.ceil(seconds)))
    next = f"try again in {after.decode()} s"
    return Problem(503, "too many requests wait", why="they would wait for long", next=next, headers=((b"retry-after", after),))


def _timed(call: Callable[[], Result]) -> tuple[Result, float]:
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started
