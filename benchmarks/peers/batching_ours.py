"""An open load on the batcher's own event loop, and the same load through the same scheduler under a clock of numbers.

`batching_ours.py SHARE SECONDS [MOST]`: requests of one row come at random, at SHARE of what full batches carry; `MOST` rows a batch is one
by one. The model is a network of 1M parameters by numpy, answered in place. A latency counts from when a request should have come.

The clock is this process's CPU time, and the time in which nothing is left to do is skipped: what the loop, the batcher and the model take
counts as they take it, and other work on the machine does not. What a request costs on the loop beside the model is measured with a
model that does nothing. Other work makes the caches cold all the same: the load is played twice, with batches as they are alone, and as
much slower as those of the run were at that time.
"""

from __future__ import annotations

import asyncio
import bisect
import random
import sys
import time
from functools import partial
from typing import Any

import numpy as np
import uvloop

from bedplate.planner.batching.records import Arrived, Batch, Decision, Rules
from bedplate.planner.batching.scheduler import Scheduler
from bedplate.planner.batching.simulation import play, poisson
from bedplate.stages.deploy.batcher import Batcher, OnLoop

FEATURES, FULL, BURST, SAMPLES = 30, 64, 4000, 100
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
QUEUE = 1 << 20


class Clock:
    """CPU seconds of this process, and what was skipped."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def begin(self) -> None:
        self.skipped = -time.process_time()

    def __call__(self) -> float:
        return time.process_time() + self.skipped

    def skip_to(self, at: float) -> None:
        self.skipped += max(0.0, at - self())


class Network:
    """1M parameters, float32."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        self.layers = [draw.normal(size=shape).astype(np.float32) / 30 for shape in ((FEATURES, 1000), (1000, 968), (968, 1))]

    def __call__(self, rows: Any) -> Any:
        made = rows
        for layer in self.layers:
            made = np.maximum(made @ layer, 0)
        return made[:, 0]


class Takes:
    """What a batch takes: drawn from what batches of its size, and of the next one measured, took when they were alone."""

    def __init__(self, network: Network, cost: tuple[float, float]) -> None:
        found: dict[int, list[float]] = {rows: [] for rows in SIZES}
        drawn = random.Random(3)
        for rows in drawn.sample([*SIZES] * SAMPLES, len(SIZES) * SAMPLES):
            found[rows].append(once(network, rows))
        self.times = {rows: sorted(times) for rows, times in found.items()}
        self._batch, self._part = cost
        self._draw = drawn.random

    def __call__(self, batch: Batch) -> float:
        above = next(rows for rows in SIZES if rows >= batch.rows)
        below = max(rows for rows in SIZES if rows <= batch.rows)
        at = int(self._draw() * SAMPLES)
        share = (batch.rows - below) / (above - below) if above > below else 0.0
        low, high = self.times[below][at], self.times[above][at]
        return low + share * (high - low) + self.beside(batch)

    def beside(self, batch: Batch) -> float:
        """What the loop takes beside the model."""
        return self._batch + len(batch.parts) * self._part

    def alone(self, rows: int) -> float:
        """The mean of a batch's seconds."""
        above = next(size for size in SIZES if size >= rows)
        below = max(size for size in SIZES if size <= rows)
        low, high = (sum(self.times[size]) / SAMPLES for size in (below, above))
        return low + ((rows - below) / (above - below) if above > below else 0.0) * (high - low)

    def median(self, rows: int) -> float:
        return self.times[rows][SAMPLES // 2]


class Traced(Scheduler):
    """A scheduler that knows the time, so that a batch is as much slower than alone as the batches of the run were then."""

    def __init__(self, rules: Rules, takes: Takes, slowness: list[tuple[float, float]]) -> None:
        super().__init__(rules)
        self._alone = takes
        self._at = [at for at, _ in slowness]
        self._factor = [factor for _, factor in slowness]
        self._now = 0.0

    def schedule(self, now: float) -> Decision:
        self._now = now
        return super().schedule(now)

    def takes(self, batch: Batch) -> float:
        at = min(bisect.bisect_left(self._at, self._now), len(self._at) - 1)
        return self._alone.alone(batch.rows) * self._factor[at] + self._alone.beside(batch)


def once(network: Network, rows: int) -> float:
    given = np.ones((rows, FEATURES), dtype=np.float32)
    begun = time.process_time()
    network(given)
    return time.process_time() - begun


async def driven(call: Any, load: list[Arrived], rules: Rules, clock: Clock) -> tuple[list[float], int]:
    """Latencies from when each should have come, and the batches."""
    loop = asyncio.get_running_loop()
    clock.begin()
    batcher = Batcher(OnLoop(call, clock), rules, loop=loop, timer=clock)
    row, done = np.ones((1, FEATURES), dtype=np.float32), asyncio.Event()
    taken: list[float] = []
    following = 0

    def come() -> None:
        """All that should have come by now; where nothing else is left to do, the next is waited for in no time."""
        nonlocal following
        if following == len(taken):
            clock.skip_to(load[following].at)
        now = clock()
        while following < len(load) and load[following].at <= now:
            batcher.submit(row, partial(answered, load[following].at))
            following += 1
        if following < len(load):
            loop.call_soon(come)

    def answered(due: float, _made: Any) -> None:
        taken.append(clock() - due)
        if len(taken) == len(load):
            done.set()

    come()
    await done.wait()
    return taken, batcher.batches


def overhead() -> tuple[float, float]:
    """Seconds that a batch, and each request in it, cost on the loop beside the model."""
    alone, full = (
        sorted(_idle(rows) for _ in range(5))[2] for rows in (1, FULL)
    )  # fmt: skip
    part = (FULL * full - alone) / (FULL - 1)
    return max(0.0, alone - part), part


def _idle(rows: int) -> float:
    """Seconds a request, of a load that waits, in batches of so many, with a model that does nothing."""
    load = [Arrived(id, 1, 0.0) for id in range(BURST)]
    begun = time.process_time()
    asyncio.run(driven(lambda given: np.zeros(len(given)), load, Rules(rows=rows, queue=QUEUE), Clock()))
    return (time.process_time() - begun) / BURST


def main(share: float, seconds: float, most: int) -> None:
    network, cost = Network(), overhead()
    takes = Takes(network, cost)
    capacity = FULL / (takes.median(FULL) + cost[0] + FULL * cost[1])
    rate = share * capacity
    load = list(poisson(rate, int(rate * seconds), random.Random(7).random))
    rules = Rules(rows=most, queue=QUEUE)
    slowness: list[tuple[float, float]] = []
    clock = Clock()

    def call(rows: Any) -> Any:
        """The model, and how long it took here beside how long it takes alone."""
        begun = time.process_time()
        made = network(rows)
        slowness.append((clock(), (time.process_time() - begun) / takes.alone(len(rows))))
        return made

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken, batches = runner.run(driven(call, load, rules, clock))
    played = play(Scheduler(rules), load, takes)
    traced = Traced(rules, takes, slowness)
    again = play(traced, load, traced.takes)
    ranked = sorted(taken)
    for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        print(f"told:{name}={ranked[int(part * (len(ranked) - 1))] * 1e3}")
        print(f"told:played_{name}={played.percentile(part) * 1e3}")
        print(f"told:traced_{name}={again.percentile(part) * 1e3}")
    print(f"told:rate={rate}")
    print(f"told:slower={sum(factor for _, factor in slowness) / len(slowness)}")
    print(f"told:rows={len(load) / batches}")
    print(f"told:played_rows={played.rows_a_batch}")
    print(f"told:batch_cost={cost[0] * 1e6}")
    print(f"told:request_cost={cost[1] * 1e6}")
    print(f"told:one={takes.median(1) * 1e6}")
    print(f"told:full={takes.median(FULL) * 1e6}")


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else FULL)
