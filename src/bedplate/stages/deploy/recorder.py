"""Recorder: every prediction is a record, written behind the reply's back.

`offer` puts a prediction in a bounded queue and never waits. Who answers many rows at once asks for room with `reserve` before it
predicts, so that they are kept whole or not answered. One prediction is answered also where the queue is full (the log cannot be
written), and counted as dropped; `lost` hears how many there were once the log is written again, and at the end. A writer thread appends
what waits to each service's log every second, or sooner when 10,000 wait. An append that fails is tried again, after growing pauses, with
its rows still in the queue; one that the log refuses for good (a column of another type) is counted as dropped, so that it takes no
other log's room. `close` writes what is left.

Limits: a process that is killed loses what waited (and what `lost` was not told), at most a second's worth while the store keeps up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.errors import UserError

from .trace import Trace

EVERY_S: Final = 1.0
BATCH: Final = 10_000
MOST: Final = 100_000
"""Predictions of one append. What it costs is mostly the same for any number: a busy server's log keeps up by taking all that waits."""
_PAUSES_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """One answer: what was asked, which versions answered, what they looked up and said, and how long it took.

    `request` is the service's own request record (a mapping, or `Cells`), `features` maps a parameter to the row it gave, `models` is JSON
    text of model -> version number. `status` is the HTTP status; `error` is empty where the function returned. `answer_of` is the
    prediction whose answer this one got (empty: it was worked out for itself), `trace` where its time went, where that is known.
    """

    prediction_id: str
    request_id: str
    at: datetime
    latency_ms: float
    status: int
    error: str
    models: str
    request: Any
    features: Mapping[str, Mapping[str, Any]] | None
    result: Any
    answer_of: str = ""
    trace: Trace | None = None


class Cells(msgspec.Struct, frozen=True, gc=False):
    """One row of a request that came as an array: the array of all its rows, and which of them it is."""

    rows: Any
    at: int


class Block(msgspec.Struct, frozen=True, gc=False):
    """All rows of one request that came as an array, recorded as one: each is a prediction, named when it is written.

    `request` is the array, `result` what was answered (None: nothing), with an item for each row; the rest is as in a Prediction.
    `names` gives the ids.
    """

    names: Callable[[], Sequence[str]]
    request_id: str
    at: datetime
    latency_ms: float
    status: int
    error: str
    models: str
    request: Any
    result: Any

    @property
    def rows(self) -> int:
        """How many predictions it is."""
        return len(self.request)


Kept = Prediction | Block
Append = Callable[[Sequence[Kept]], None]
"""Writes a batch of one log: all of it, or it raises and nothing was written."""


Lost = Callable[[str, int, str], None]
"""Hears of a log that so many predictions were not kept, and why."""


class _Queue:
    """What waits of one log (`rows` predictions), when to try again after a failure, how many were lost since `lost` heard of it."""

    def __init__(self, append: Append) -> None:
        self.append = append
        self.waiting: deque[Kept] = deque()
        self.rows = 0
        self.failures = 0
        self.again_at = 0.0
        self.lost = 0
        self.why = ""


class Recorder:
    """Keeps predictions until they are written. `offer` may be called from any thread."""

    def __init__(self, open_log: Callable[[str], Append], *, limit: int, clock: Clock, lost: Lost = lambda log, count, why: None) -> None:
        self.limit = limit
        self.dropped = 0
        self.written = 0
        self.problem = ""
        self._open_log = open_log
        self._lost = lost
        self._clock = clock
        self._queues: dict[str, _Queue] = {}
        self._count = 0
        self._reserved = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="bedplate-recorder", daemon=True)

    @property
    def waiting(self) -> int:
        """How many predictions wait to be written."""
        return self._count

    def open(self) -> None:
        """Start writing."""
        self._thread.start()

    def reserve(self, rows: int) -> bool:
        """Keep room for so many predictions until they are offered; False where there is none."""
        with self._lock:
            fits = self._count + self._reserved + rows <= self.limit
            self._reserved += rows if fits else 0
        return fits

    def release(self, rows: int) -> None:
        """Give back room that was reserved."""
        with self._lock:
            self._reserved -= rows

    def offer(self, log: str, predictions: Sequence[Prediction], reserved: int = 0) -> int:
        """Queue predictions of one log, in room that was `reserved` for them and what else is free; returns how many there was room for."""
        count = len(predictions)
        with self._lock:
            self._reserved -= reserved
            queue = self._queues.get(log) or self._queue(log)
            room = min(count, max(0, self.limit - self._count - self._reserved))
            queue.waiting.extend(predictions if room == count else predictions[:room])
            queue.rows += room
            self._count += room
            if room < count:
                self._drop(queue, count - room, self.problem or f"more than {self.limit:,} waited to be written")
        if self._count >= BATCH and not self._wake.is_set():
            self._wake.set()
        return room

    def offer_block(self, log: str, block: Block) -> None:
        """Queue the predictions of one request in the room that was reserved for them."""
        rows = block.rows
        with self._lock:
            self._reserved -= rows
            queue = self._queue(log)
            queue.waiting.append(block)
            queue.rows += rows
            self._count += rows
        if self._count >= BATCH and not self._wake.is_set():
            self._wake.set()

    def flush(self) -> float:
        """Write what waits now and is due; returns the seconds until a failed log is due again (0: nothing failed).

        What arrives meanwhile is left for the next turn: an append costs much the same for one row and for thousands.
        """
        pause = 0.0
        for name, queue in list(self._queues.items()):
            wait = queue.again_at - self._clock.monotonic()
            for _ in range(0, queue.rows, MOST):
                wait = self._write(name, queue) if wait <= 0 else wait
            pause = max(pause, wait)
            if wait <= 0:
                self._tell(name, queue)
        return pause

    def close(self, patience_s: float = 10.0) -> int:
        """Stop taking turns, write what is left, give up after `patience_s`; returns how many predictions were lost."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        until = self._clock.monotonic() + patience_s
        for queue in self._queues.values():
            queue.again_at = 0.0
        while (pause := self.flush()) and self._clock.monotonic() + pause < until:
            self._clock.sleep(pause)
        for name, queue in self._queues.items():
            if queue.waiting:
                self._drop(queue, queue.rows, self.problem)
            self._tell(name, queue)
        return self._count

    def _run(self) -> None:
        while not self._closing:
            if self._count < BATCH:
                self._wake.wait(EVERY_S)
            pause = self.flush()
            self._wake.clear()
            if pause and not self._closing:
                self._clock.sleep(min(pause, EVERY_S))

    def _write(self, name: str, queue: _Queue) -> float:
        """Write one batch of a log; returns the seconds to wait before the next try (0: it was written)."""
        with self._lock:
            batch = _first(queue.waiting)
        rows = _rows(batch)
        try:
            queue.append(batch)
        except UserError as error:
            self.problem = f"{name} cannot be written: {error.what}"
            self._take(queue, len(batch), rows)
            with self._lock:
                self._drop(queue, rows, self.problem)
            return 0.0
        except Exception as error:  # a full disk or a busy table must not end the thread that writes all logs
            pause = _PAUSES_S[min(queue.failures, len(_PAUSES_S) - 1)]
            queue.failures += 1
            queue.again_at = self._clock.monotonic() + pause
            self.problem = f"{name} cannot be written: {type(error).__name__}: {error}"
            return pause
        self._take(queue, len(batch), rows)
        self.written += rows
        queue.failures = 0
        if self.problem.startswith(f"{name} "):
            self.problem = ""
        return 0.0

    def _drop(self, queue: _Queue, count: int, why: str) -> None:
        self.dropped += count
        queue.lost += count
        queue.why = why

    def _tell(self, name: str, queue: _Queue) -> None:
        """Say what was lost, if anything; what cannot be said now is said the next time."""
        count, why = queue.lost, queue.why
        if not count:
            return
        try:
            self._lost(name, count, why)
        except Exception:  # the record may be on the same full disk as the log
            return
        with self._lock:
            queue.lost -= count

    def _take(self, queue: _Queue, count: int, rows: int) -> None:
        with self._lock:
            for _ in range(count):
                queue.waiting.popleft()
            queue.rows -= rows
            self._count -= rows

    def _queue(self, log: str) -> _Queue:
        queue = self._queues.get(log)
        if queue is None:
            queue = self._queues[log] = _Queue(self._open_log(log))
        return queue


def _rows(kept: Iterable[Kept]) -> int:
    return sum(one.rows if type(one) is Block else 1 for one in kept)


def _first(waiting: Iterable[Kept]) -> list[Kept]:
    """What is written together: at most so many predictions, unless one request alone has more."""
    batch: list[Kept] = []
    rows = 0
    for one in waiting:
        rows += one.rows if type(one) is Block else 1
        if batch and rows > MOST:
            break
        batch.append(one)
    return batch
