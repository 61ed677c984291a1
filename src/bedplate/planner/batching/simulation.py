"""Playing a load through the scheduler: the very object that the server drives, under a clock of numbers.

An event is a request that comes, a batch that ends, or a time at which the scheduler wants to be asked again. What a batch takes is asked
of `takes`: a server that answers on its event loop spends the requests' own parsing there too, one whose model runs in other processes
does not. Limit: the network and the sockets' buffers are not played.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator

from bedplate.core.records import Record

from .records import Arrived, Batch, Decision, Ended
from .scheduler import Scheduler

Takes = Callable[[Batch], float]
"""The seconds that a batch takes."""


class Played(Record, frozen=True, kw_only=True):
    """What came of a load: seconds from a request's coming to its last row's answer, in the order of coming, of those that got one;
    who was refused as `late` or because the queue was `full`; how many batches there were, and the share of the time that they ran."""

    latency: tuple[float, ...]
    late: int
    full: int
    batches: int
    rows: int
    busy: float

    def percentile(self, share: float) -> float:
        """The latency that `share` (0 to 1) of the answers keep within; not-a-number where there were none."""
        ranked = sorted(self.latency)
        return ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan

    @property
    def rows_a_batch(self) -> float:
        """The mean size of a batch."""
        return self.rows / self.batches if self.batches else 0.0


class _Play:
    """The state of a load that is played."""

    def __init__(self, scheduler: Scheduler, takes: Takes) -> None:
        self.refused: dict[str, int] = {"late": 0, "full": 0}
        self.ended_at: dict[int, float] = {}
        self.batches = self.rows = 0
        self.busy = 0.0
        self.ends: list[tuple[float, int, Batch, float]] = []
        self._scheduler = scheduler
        self._takes = takes
        self._left: dict[int, int] = {}

    def arrive(self, asked: Arrived) -> None:
        self._left[asked.id] = asked.rows
        self._scheduler.update(asked)

    def end(self) -> None:
        """The batch that ends next has ended."""
        now, _, batch, seconds = heapq.heappop(self.ends)
        self._scheduler.update(Ended(batch.id, seconds))
        for part in batch.parts:
            if part.id in self._left:
                self._left[part.id] -= part.end - part.begin
                if not self._left[part.id]:
                    del self._left[part.id]
                    self.ended_at[part.id] = now

    def decide(self, now: float) -> Decision:
        decision = self._scheduler.schedule(now)
        for refusal in decision.refused:
            self.refused[refusal.why] += 1
            self._left.pop(refusal.id, None)
        for batch in decision.start:
            seconds = self._takes(batch)
            self.batches += 1
            self.rows += batch.rows
            self.busy += seconds
            heapq.heappush(self.ends, (now + seconds, batch.id, batch, seconds))
        return decision


def play(scheduler: Scheduler, load: Iterable[Arrived], takes: Takes) -> Played:
    """What a load, in the order of its coming, gets of a scheduler whose model takes so long for a batch; played until all is done."""
    state, came, look_at, last = _Play(scheduler, takes), {}, math.inf, 0.0
    coming = iter(load)
    following = next(coming, None)
    while following is not None or state.ends:
        ends = state.ends[0][0] if state.ends else math.inf
        comes = following.at if following is not None else math.inf
        now = min(ends, comes, max(look_at, last))
        if now == ends:
            state.end()
        elif following is not None and now == comes:
            came[following.id] = following.at
            state.arrive(following)
            following = next(coming, None)
        found = state.decide(now).look_at
        look_at, last = math.inf if found is None else found, now
    begin = min(came.values(), default=0.0)
    latency = tuple(state.ended_at[id] - at for id, at in came.items() if id in state.ended_at)
    return Played(
        latency=latency, late=state.refused["late"], full=state.refused["full"], batches=state.batches, rows=state.rows,
        busy=state.busy / (last - begin) / scheduler.rules.together if last > begin else 0.0,
    )  # fmt: skip


def poisson(rate: float, count: int, draw: Callable[[], float], *, rows: int = 1, within: float | None = None) -> Iterator[Arrived]:
    """An open load: `count` requests of `rows` rows that come at random, `rate` a second; `within` is the deadline of each after it came.

    `draw` gives a random number between 0 and 1.
    """
    at = 0.0
    for id in range(count):
        at -= math.log(1.0 - draw()) / rate
        yield Arrived(id, rows, at, 0, None if within is None else at + within)
