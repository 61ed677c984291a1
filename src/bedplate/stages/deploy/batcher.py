"""The batcher: requests for rows of one model, answered together, on a server's event loop.

It drives the planner's scheduler with the real clock: what came since the last turn of the loop is told to it, and what it decides is
done by an *engine*, here on the loop (`OnLoop`) or in processes (`crew.py`). A lone request waits for the end of the turn that brought
it, and for nothing else. A batch that the model refuses is asked again request by request, so that one bad row fails its own request.

Everything here runs on the loop's thread. Limit: a request in the batch of a process that dies is not asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, Protocol

import numpy as np

from bedplate.core.errors import BusyError, InternalError, WorldError
from bedplate.planner.batching.pace import Pace
from bedplate.planner.batching.records import Arrived, Batch, Decision, Ended, Gone, Part, Refusal, Rules
from bedplate.planner.batching.scheduler import Scheduler

Answered = Callable[[Any], None]
"""Hears the predictions of a request, or the exception that it ends with."""
Finished = Callable[[Any, float], None]
"""Hears the predictions of a batch, or an exception, and the seconds that it took."""

_WORDS: Final = {
    "late": ("the answer would come after its deadline", "it was not worked on"),
    "full": ("too many requests wait for this model", "its queue is full"),
    "down": ("what predicts for this model failed again and again", "nobody is sent there for a while"),
    "closing": ("the model is being put away", "another version serves, or the server stops"),
}


class Turned(BusyError):
    """A request that was turned away before it was worked on; `retry_s` is when another try may do (0: not known)."""

    def __init__(self, reason: Literal["late", "full", "down", "closing"], retry_s: float = 0.0) -> None:
        what, why = _WORDS[reason]
        super().__init__(what, why=why, next=f"ask again in {max(1, round(retry_s))} s" if reason in ("full", "down") else "")
        self.reason = reason
        self.retry_s = retry_s


class Died(BusyError):
    """A process died, or was ended, while it worked on a batch."""


class Engine(Protocol):
    """What predicts."""

    def start(self, matrix: Any, finished: Finished) -> None:
        """Predict for rows; `finished` hears of it, once, now or later, on this thread."""
        ...

    def wait_s(self) -> float:
        """How long nobody may be sent here; 0: now."""
        ...


class OnLoop:
    """Predicts where it is called."""

    def __init__(self, call: Callable[[Any], Any], timer: Callable[[], float]) -> None:
        self._call = call
        self._timer = timer

    def start(self, matrix: Any, finished: Finished) -> None:
        """Predict now."""
        begun = self._timer()
        try:
            made = self._call(matrix)
        except Exception as error:  # a framework may raise anything; whoever asked hears it
            made = error
        finished(made, self._timer() - begun)

    def wait_s(self) -> float:
        """It is always there."""
        return 0.0


class _Asked:
    """A request: its rows, who hears of them, and what there is of its answer."""

    __slots__ = ("answered", "left", "matrix", "pieces", "seconds")

    def __init__(self, matrix: Any, answered: Answered) -> None:
        self.matrix = matrix
        self.answered = answered
        self.left = len(matrix)
        self.pieces: list[Any] = []
        self.seconds = 0.0


class Batcher:
    """One model's. `submit` from the loop's thread only. `of` is kept as long as somebody waits for an answer."""

    def __init__(
        self, engine: Engine, rules: Rules, *, loop: asyncio.AbstractEventLoop, timer: Callable[[], float], pace: Pace | None = None
    ) -> None:  # fmt: skip
        self.scheduler = Scheduler(rules, pace)
        self.of: Any = None
        self.turned = 0
        self.batches = 0
        self.rows = 0
        self._engine = engine
        self._loop = loop
        self._timer = timer
        self._asked: dict[int, _Asked] = {}
        self._last = 0
        self._turning = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._closed = False

    def submit(self, matrix: Any, answered: Answered, *, priority: int = 0, deadline: float | None = None) -> int:
        """Ask for rows; `answered` hears of them later, never now. Returns the request's number. Raises Turned.

        `deadline` is in seconds of the batcher's clock.
        """
        if self._closed:
            raise self._turn_away("closing", 0.0)
        if (wait := self._engine.wait_s()) > 0.0:
            raise self._turn_away("down", wait)
        self._last += 1
        self._asked[self._last] = _Asked(matrix, answered)
        self.scheduler.update(Arrived(self._last, len(matrix), self._timer(), priority, deadline))
        self._soon()
        return self._last

    def cancel(self, number: int) -> None:
        """Whoever asked is not there any more."""
        if self._asked.pop(number, None) is not None:
            self.scheduler.update(Gone(number))

    async def ask(
        self, matrix: Any, *, priority: int = 0, deadline: float | None = None, took: Callable[[float], None] | None = None
    ) -> Any:  # fmt: skip
        """The predictions for rows. Raises Turned, Died, or what the model raised.

        `took` hears how many seconds the batches took that the rows were in; the rest of the time they waited.
        """
        future: asyncio.Future[Any] = self._loop.create_future()

        def answered(made: Any) -> None:
            if future.done():
                return
            if isinstance(made, BaseException):
                future.set_exception(made)
            else:
                future.set_result(made)

        number = self.submit(matrix, answered, priority=priority, deadline=deadline)
        asked = self._asked[number]
        try:
            made = await future
            if took is not None:
                took(asked.seconds)
            return made
        except asyncio.CancelledError:
            self.cancel(number)
            raise

    def close(self) -> None:
        """Turn away what waits; what runs is answered."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        for number in [number for number, one in self._asked.items() if one.left == len(one.matrix)]:
            if self.scheduler.waits(number):
                self._end(number, self._turn_away("closing", 0.0))
                self.scheduler.update(Gone(number))

    def _soon(self) -> None:
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Do what the scheduler decides now."""
        self._turning = False
        decision = self.scheduler.schedule(self._timer())
        for refusal in decision.refused:
            self._refuse(refusal)
        for batch in decision.start:
            self._start(batch)
        if decision.look_at is not None:
            self._wake(decision)

    def _wake(self, decision: Decision) -> None:
        """Look again at the next deadline; one alarm at a time, the earliest."""
        at = decision.look_at or 0.0
        if self._alarm is not None and not self._alarm.cancelled() and self._timer() < self._alarm_at <= at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_later(max(0.0, at - self._timer()), self._turn)

    def _start(self, batch: Batch) -> None:
        rows = [self._rows(part) for part in batch.parts]
        self.batches += 1
        self.rows += batch.rows
        self._engine.start(rows[0] if len(rows) == 1 else np.concatenate(rows), partial(self._ended, batch, rows))

    def _rows(self, part: Part) -> Any:
        matrix = self._asked[part.id].matrix
        return matrix if part.end - part.begin == len(matrix) else matrix[part.begin : part.end]

    def _ended(self, batch: Batch, rows: list[Any], made: Any, seconds: float) -> None:
        if not isinstance(made, Exception) and len(made) != batch.rows:
            made = InternalError(f"the model answered with {len(made)} rows for {batch.rows}")
        died = isinstance(made, WorldError)
        self.scheduler.update(Ended(batch.id, seconds, failed=died))
        if isinstance(made, Exception):
            self._failed(batch, rows, made, alone=not died and len(rows) > 1)
        else:
            at = 0
            for part in batch.parts:
                count = part.end - part.begin
                self._give(part, made if count == batch.rows else made[at : at + count], seconds)
                at += count
        if self.scheduler.waiting:
            self._soon()

    def _failed(self, batch: Batch, rows: list[Any], error: Exception, *, alone: bool) -> None:
        """Ask again for each request alone, where there were others; else tell whoever asked."""
        for part, given in zip(batch.parts, rows, strict=True):
            if alone and part.id in self._asked:
                self._engine.start(given, partial(self._was_alone, part))
            else:
                self._drop(part.id, error)

    def _was_alone(self, part: Part, made: Any, seconds: float) -> None:
        if isinstance(made, Exception):
            self._drop(part.id, made)
        else:
            self._give(part, made, seconds)

    def _give(self, part: Part, made: Any, seconds: float) -> None:
        asked = self._asked.get(part.id)
        if asked is None:
            return
        asked.seconds += seconds
        asked.left -= part.end - part.begin
        if asked.left or asked.pieces:
            asked.pieces.append((part.begin, made))
        if not asked.left:
            self._end(part.id, _joined(asked.pieces) if asked.pieces else made)

    def _drop(self, number: int, error: Exception) -> None:
        if number in self._asked:
            self.scheduler.update(Gone(number))
            self._end(number, error)

    def _refuse(self, refusal: Refusal) -> None:
        if refusal.id in self._asked:
            self._end(refusal.id, self._turn_away(refusal.why, refusal.retry_s))

    def _turn_away(self, reason: Literal["late", "full", "down", "closing"], retry_s: float) -> Turned:
        self.turned += 1
        return Turned(reason, retry_s)

    def _end(self, number: int, made: Any) -> None:
        self._asked.pop(number).answered(made)


def _joined(pieces: list[tuple[int, Any]]) -> Any:
    """The answers to the parts of a request, as one; an error where the model gave them in different forms."""
    try:
        return np.concatenate([piece for _, piece in sorted(pieces, key=lambda piece: piece[0])])
    except ValueError as error:
        return InternalError("the model answered with different forms", why=str(error))
