"""Gathering: requests to one service that are in hand at the same time, answered in one call of its function, which takes many rows.

The planner's scheduler says which: a lone request is called for at the end of the turn of the loop that brought it, and what comes while
the function is busy is called for together. Where the function raises, each request is called for alone, so that one bad row fails its own
request; so it is where the answers are not as many as the rows.

A call is made on the loop while so many rows are known to take at most 5 ms: twice as many as were once done in half of that, until two
calls in a row took longer. Other calls are made in threads, several at once.

Limits: a call that never returns is given up for all who were called for in it; the rows of a large request may be in several calls.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any, Final

import numpy as np

from bedplate.core.errors import BusyError
from bedplate.core.together import ROWS
from bedplate.planner.batching.pace import Pace
from bedplate.planner.batching.records import Rules
from bedplate.planner.batching.scheduler import Scheduler
from bedplate.stages.deploy.batcher import Batcher, Finished, Turned
from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.together import Made, called

from .asking import Failed
from .infer_call import turned_away
from .lanes import INLINE_S, WAIT_S, OffLoop, busy
from .pool import Pool
from .replies import Problem

_AWAY: Final = 8
"""Calls at once of a function that waits for another server."""
_WEIGHT: Final = 0.2
_EACH: Final = 4
"""Requests that may wait for each thread, whatever they take."""


class Quick:
    """How many rows are known to be quick enough for the loop, and what a call in a thread takes."""

    def __init__(self, expected_s: float | None) -> None:
        self.rows = 1 if expected_s is not None and expected_s <= INLINE_S else 0
        self.call_s = expected_s or 0.0
        self._slow = 0

    def noted(self, rows: int, seconds: float, *, on_loop: bool) -> None:
        """So many rows took so long. In threads, calls get in each other's way: there only a quick one says what is quick."""
        if not on_loop:
            self.call_s += _WEIGHT * (seconds - self.call_s)
        if seconds <= INLINE_S:
            self._slow = 0
            self.rows = max(self.rows, rows if seconds > INLINE_S / 2 else rows * 2)
        elif on_loop:
            self._slow += 1
            if self._slow > 1:
                self._slow, self.rows = 0, rows // 2


class Unmade(BusyError):
    """A call that was not made, or given up, for the reason that the `problem` says."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what, why=problem.why)
        self.problem = problem


class Left(Exception):
    """The function ended in what is no error (its cause), such as SystemExit."""


class Function:
    """The engine of one deployed version: calls its function, on the loop or in a lane."""

    def __init__(self, active: Active, lane: OffLoop, together: int, quick: Quick, loop: asyncio.AbstractEventLoop) -> None:
        self._active = active
        self._lane = lane
        self._room = asyncio.Semaphore(together)
        self._quick = quick
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, matrix: Any, finished: Finished) -> None:
        """Call it for requests; `finished` hears of their answers, or of what it raised."""
        rows = len(matrix)
        if self._active.is_remote or rows > self._quick.rows:
            task = self._loop.create_task(self._later(matrix, finished))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        begun = time.perf_counter()
        try:
            made: Any = _made(self._active, matrix)
        except BaseException as error:  # user code may end in SystemExit or KeyboardInterrupt; Ctrl-C is a signal
            made = _raised(error)
        seconds = time.perf_counter() - begun
        self._quick.noted(rows, seconds, on_loop=True)
        finished(made, seconds)

    def wait_s(self) -> float:
        """Anybody may come: the lane's own breaker says whether the call is made."""
        return 0.0

    async def _later(self, matrix: Any, finished: Finished) -> None:
        begun = time.perf_counter()
        seconds = 0.0
        try:
            async with self._room:  # calls for one request each, of many that were called for together, do not crowd the lane
                made, seconds = await self._lane.run(len(matrix), partial(_timed, self._active, matrix))
            self._quick.noted(len(matrix), seconds, on_loop=False)
        except asyncio.CancelledError:
            raise
        except Problem as problem:
            made = Unmade(problem)
        except BaseException as error:  # as above
            made = _raised(error)
        finished(made, seconds or time.perf_counter() - begun)


class Gathering:
    """One service's: a batcher for each version that is deployed, and what is known of how long its function takes."""

    def __init__(self, name: str, pool: Pool, expected_s: float | None) -> None:
        self.name = name
        self._threads = pool.branch()
        self._away = OffLoop(pool.away)
        self._lane = OffLoop(self._threads)
        self._quick = Quick(expected_s)
        self._pace = Pace(expected_s or 0.0)
        self._kept: tuple[Active, Batcher] | None = None

    async def ask(self, active: Active, rows: Any, took: Callable[[float], None] | None) -> Sequence[Made]:
        """What the function returns for each of `rows_of` a request, with others in hand. Raises Problem 503 or 504, Failed."""
        batcher = self._batcher(active)
        if batcher.scheduler.waiting >= self._threads.size * _EACH and (wait := self._wait_s(batcher.scheduler)) > WAIT_S:
            raise busy(wait)
        try:
            made: Sequence[Made] = await batcher.ask(rows, took=took)
        except Turned as turned:
            raise turned_away(turned) from None
        except Unmade as unmade:
            raise unmade.problem from None
        except Exception as error:
            raise Failed(Failed.ALL) from (error.__cause__ if isinstance(error, Left) else error)
        return made

    def _wait_s(self, scheduler: Scheduler) -> float:
        """How long what waits is expected to take: calls grow with it, and what they take is known of those that there were."""
        return math.ceil(scheduler.waiting_rows / ROWS) * self._quick.call_s / scheduler.rules.together

    def _batcher(self, active: Active) -> Batcher:
        if self._kept is None or self._kept[0] is not active:
            loop = asyncio.get_running_loop()
            together = _AWAY if active.is_remote else self._threads.size
            engine = Function(active, self._away if active.is_remote else self._lane, together, self._quick, loop)
            self._kept = active, Batcher(engine, _rules(together), loop=loop, timer=time.perf_counter, pace=self._pace)
        batcher = self._kept[1]
        if not active.is_remote:
            most = self._threads.size
            # a quick function is called once for all that wait, as calls on the loop are made one after the other
            batcher.scheduler.rules = _rules(min(batcher.scheduler.running + 1, most) if self._quick.rows else most)
        return batcher


@cache
def _rules(together: int) -> Rules:
    return Rules(rows=ROWS, together=together)


def told(read: Callable[[Any], Any], made: Iterable[Made]) -> list[Made]:
    """The answers in their declared type, with the feature rows. Raises Failed."""
    answers: list[Made] = []
    try:
        for result, features in made:
            answers.append((read(result), features))
    except Exception as error:  # what a function returns may raise anything when it is looked at
        raise Failed(len(answers)) from error
    return answers


def _made(active: Active, requests: Any) -> Any:
    """What the function returns for requests, as an array of objects, which parts of several calls are put together of."""
    return np.fromiter(called(active, requests), object, len(requests))


def _timed(active: Active, requests: Any) -> tuple[Any, float]:
    begun = time.perf_counter()
    return _made(active, requests), time.perf_counter() - begun


def _raised(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    left = Left(type(error).__name__)
    left.__cause__ = error
    return left
