"""The scheduler of batches: told what came and what ended, it says what to start and whom to refuse. No clock, no timer, no thread.

A lone request starts at once. While the model is busy requests gather, and the next batch takes what waits: so batches are as large as the
load makes them, and nobody waits for company. Requests stand in order of their class and coming (`Rules.step_s`): first come first served
within a class, and no class waits for ever, because whoever comes later than its handicap stands behind it. One with more rows than a turn
gets a turn, then stands behind those that wait: small requests pass big ones, and big ones go on in each round.

A request is refused, before work is spent on it, once its deadline has passed or what it needs takes longer than is left; and where the
queue is full, the last of those that wait or the one that came. Limits: rows of a request may be answered in several batches; a driver
gives times that do not go back.
"""

from __future__ import annotations

import heapq
import math
from collections import deque

from .pace import Pace
from .records import Arrived, Batch, Decision, Ended, Outcome, Part, Refusal, Rules, Why

_NOTHING = Decision()
_TIDY = 64
"""So many more that do not wait any more than do: the queues are swept."""


class _Waiting:
    """A request with rows to do: those before `done` are done or running."""

    __slots__ = ("asked", "done", "key", "live")

    def __init__(self, asked: Arrived, key: float) -> None:
        self.asked = asked
        self.key = key
        self.done = 0
        self.live = True

    @property
    def left(self) -> int:
        """Rows that no batch has yet."""
        return self.asked.rows - self.done


class Scheduler:
    """One model's queue. Call `update` with whatever happened, then `schedule`; both take far less than a row does."""

    def __init__(self, rules: Rules, pace: Pace | None = None) -> None:
        self.rules = rules
        self.pace = pace or Pace()
        self._queues: dict[int, deque[_Waiting]] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._rows = 0
        self._dead = 0
        self._due: list[tuple[float, int]] = []
        self._running: dict[int, Batch] = {}
        self._batches = 0
        self._refused: list[Refusal] = []

    @property
    def waiting(self) -> int:
        """Requests that wait, whole or in part."""
        return len(self._waiting)

    @property
    def waiting_rows(self) -> int:
        """Their rows."""
        return self._rows

    @property
    def running(self) -> int:
        """Batches that run."""
        return len(self._running)

    def waits(self, id: int) -> bool:
        """Whether rows of a request wait."""
        return id in self._waiting

    def wait_s(self) -> float:
        """How long what waits is expected to take."""
        batches = math.ceil(self._rows / self.rules.rows)
        return (batches * self.pace.call_s + self._rows * self.pace.row_s) / self.rules.together

    def update(self, outcome: Outcome) -> None:
        """What happened. A batch that is not running, or a request that does not wait, changes nothing."""
        if isinstance(outcome, Arrived):
            self._enter(outcome)
        elif isinstance(outcome, Ended):
            self._end(outcome)
        elif (one := self._waiting.get(outcome.id)) is not None:
            self._drop(one)

    def schedule(self, now: float) -> Decision:
        """What to do now. Whatever is started counts as running until it is said to have ended."""
        if self._due:
            self._expire(now)
        started = self._start(now) if self._waiting and len(self._running) < self.rules.together else ()
        if not started and not self._refused and not self._due:
            return _NOTHING
        refused, self._refused = tuple(self._refused), []
        return Decision(started, refused, self._look_at())

    def _enter(self, asked: Arrived) -> None:
        one = _Waiting(asked, asked.at + asked.priority * self.rules.step_s)
        if len(self._waiting) >= self.rules.queue and not self._make_room(one):
            self._refuse(asked.id, "full")
            return
        self._waiting[asked.id] = one
        self._rows += asked.rows
        self._queue(asked.priority).append(one)
        if asked.deadline is not None:
            heapq.heappush(self._due, (asked.deadline, asked.id))

    def _make_room(self, one: _Waiting) -> bool:
        """Refuse the last that waits, where it stands behind the one that came and nothing of it is done yet."""
        lasts = (queue[-1] for queue in self._queues.values() if queue)
        last = max(lasts, key=lambda waiting: waiting.key, default=one)
        if last.key <= one.key or last.done or not last.live:
            return False
        self._drop(last)
        self._refuse(last.asked.id, "full")
        return True

    def _end(self, ended: Ended) -> None:
        batch = self._running.pop(ended.batch, None)
        if batch is None:
            return
        if not ended.failed:
            self.pace.learn(batch.rows, ended.seconds)
            return
        for part in batch.parts:
            if (one := self._waiting.get(part.id)) is not None:
                self._drop(one)

    def _start(self, now: float) -> tuple[Batch, ...]:
        """Fill as many batches as may run; where several may, each gets its share of what waits."""
        started: list[Batch] = []
        for free in range(self.rules.together - len(self._running), 0, -1):
            parts = self._fill(now, *self._room(free))
            if not parts:
                break
            self._batches += 1
            batch = Batch(self._batches, parts, sum(part.end - part.begin for part in parts))
            self._running[batch.id] = batch
            started.append(batch)
        return tuple(started)

    def _room(self, free: int) -> tuple[int, int]:
        """The rows that the next batch should have, and the most that it may."""
        most = self.rules.rows
        if self.rules.seconds:
            most = min(most, self.pace.rows_within(self.rules.seconds))
        return min(most, math.ceil(self._rows / free)), most

    def _fill(self, now: float, room: int, most: int) -> tuple[Part, ...]:
        """Take turns until the batch is full or nobody waits; the parts of one request follow each other, so they are one part."""
        taken: dict[int, list[int]] = {}
        share = self.rules.share
        while room > 0 and (one := self._head()) is not None:
            asked, left = one.asked, one.left
            if asked.deadline is not None and (now >= asked.deadline or now + self.pace.seconds(left) > asked.deadline):
                self._drop(one)
                self._refuse(asked.id, "late")
                continue
            rows = min(left, share, room if taken else most)
            if rows < left <= share and taken:
                break  # a small request is not torn in two to fill a batch
            mine = taken.setdefault(asked.id, [one.done, one.done])
            mine[1] += rows
            self._take(one, rows, now)
            room -= rows
            most -= rows
        return tuple([Part(id, begin, end) for id, (begin, end) in taken.items()])

    def _take(self, one: _Waiting, rows: int, now: float) -> None:
        """Give rows of the request at the head to a batch; what is left of it stands behind those that wait."""
        queue = self._queues[one.asked.priority]
        queue.popleft()
        one.done += rows
        self._rows -= rows
        if one.left:
            one.key = now + one.asked.priority * self.rules.step_s
            queue.append(one)
        else:
            one.live = False
            del self._waiting[one.asked.id]

    def _head(self) -> _Waiting | None:
        """The request that stands first."""
        first: _Waiting | None = None
        for queue in self._queues.values():
            while queue and not queue[0].live:
                queue.popleft()
                self._dead -= 1
            if queue and (first is None or queue[0].key < first.key):
                first = queue[0]
        return first

    def _expire(self, now: float) -> None:
        """Refuse who waits past a deadline."""
        while self._due and (self._due[0][0] <= now or self._due[0][1] not in self._waiting):
            _, id = heapq.heappop(self._due)
            if (one := self._waiting.get(id)) is not None:
                self._drop(one)
                self._refuse(id, "late")

    def _drop(self, one: _Waiting) -> None:
        """It waits no more; its place in the queue is swept later."""
        del self._waiting[one.asked.id]
        one.live = False
        self._rows -= one.left
        self._dead += 1
        if self._dead > len(self._waiting) + _TIDY:
            self._queues = {priority: deque(each for each in queue if each.live) for priority, queue in self._queues.items()}
            self._due = [each for each in self._due if each[1] in self._waiting]
            heapq.heapify(self._due)
            self._dead = 0

    def _refuse(self, id: int, why: Why) -> None:
        self._refused.append(Refusal(id, why, self.wait_s() if why == "full" else 0.0))

    def _queue(self, priority: int) -> deque[_Waiting]:
        queue = self._queues.get(priority)
        if queue is None:
            queue = self._queues[priority] = deque()
        return queue

    def _look_at(self) -> float | None:
        """The next deadline of one that waits."""
        while self._due and self._due[0][1] not in self._waiting:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None
