"""A discrete-event simulation of one instance under random arrivals: the percentiles that a closed form does not give.

The engine runs iterations. At the start of each, waiting requests enter in the order they came, while the caches have room for them and
the iteration for their prompt tokens (`chunk` of each attention rank; a longer prompt takes several). Then every running request gets
its tokens. A request's first token comes with the end of its prompt. Iterations take the seconds of `pace.py`, which asks what the closed
form asks.

Choices: an event is an iteration that carries prompts, or all iterations up to the next answer that ends or request that can enter: these
are alike but for their context, which grows by a token each. A request holds caches of its prompt and half its answer for its whole stay,
as the closed form counts room. The first and last requests (twice and once those that run together) fill and empty the instance and are not
counted: enough up to nine tenths of what an instance carries. Limits: no pre-emption, no priority; the router sends each instance its
share at random.
"""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np

from bedplate.planner.asking.sizing import Times

from .drafting import Drafter
from .loop import Demand
from .memory import most_sequences
from .model import Machine
from .pace import Pace
from .traffic import Array, Traffic

Numbers = list[float]


class Played(NamedTuple):
    """One instance's counted requests. Times in s: to the first token, a token after it (a request's mean), between outputs of a stream;
    `queue`: requests that wait to enter; `busy`: share of the time with an iteration at work; `caches`: share of them held."""

    ttft: Times
    tpot: Times
    gap: Times
    queue: Times
    running: float
    caches: float
    busy: float


class Log(NamedTuple):
    """What happened: of each request when it entered, got its first token and ended; of each event its start, its length, iterations,
    requests running and share of the caches held."""

    entered: Numbers
    first: Numbers
    begun: Numbers
    last: Numbers
    events: list[tuple[float, float, int, int, float]]


class Engine:
    """The state of an instance while it is played."""

    def __init__(self, machine: Machine, demand: Demand, draft: Drafter | None, requests: Traffic, most: int) -> None:
        self._pace = Pace(machine, demand, draft, min(most, len(requests.arrive)))
        self._most, self._pp = most, float(machine.work.pp)
        self._ranks, self._chunk = int(float(machine.work.attention_dp)), float(demand.chunk)
        self._waits = float(machine.delays.client), float(machine.delays.batching)
        self._hit, self._per_step = float(demand.prefix_hit), float(demand.per_step)
        self._arrive: Numbers = requests.arrive.tolist()
        self._prompts: Numbers = requests.prompts.tolist()
        self._answers: Numbers = requests.answers.tolist()
        self._steps = np.ceil((requests.answers - 1) / self._per_step).astype(int).tolist()
        self._share: Numbers = _shares(machine, requests).tolist()
        n = len(self._arrive)
        self._log = Log([0.0] * n, [0.0] * n, [0.0] * n, [0.0] * n, [])
        self._clock, self._turn, self._head, self._cached, self._used = 0.0, 0, 0, 0.0, 0.0
        self._filling: list[tuple[int, float]] = []
        self._ends: list[tuple[int, int]] = []

    def run(self) -> Log:
        """Play every request to its end."""
        n = len(self._arrive)
        while self._head < n or self._filling or self._ends:
            taken = self._take()
            if taken:
                self._mixed(taken)
            elif self._ends:
                self._decode()
            else:
                self._clock = self._arrive[self._head]
        return self._log

    def _enters(self) -> bool:
        """Whether the next request has a place beside those that are there."""
        there = len(self._ends) + len(self._filling)
        return self._head < len(self._arrive) and (not there or (there < self._most and self._used + self._share[self._head] <= 1.0))

    def _take(self) -> list[tuple[int, float, float]]:
        """The prompt tokens of the next iteration: (request, tokens, keys that each looks at beyond the reference)."""
        left, taken, kept = self._chunk * self._ranks, [], []
        waiting = self._filling
        while left >= 1.0:
            if waiting:
                at, due = waiting.pop(0)
            elif self._enters() and self._arrive[self._head] <= self._clock:
                at, due = self._head, max(self._prompts[self._head] * (1 - self._hit), 1.0)
                self._log.entered[at], self._head, self._used = self._clock, at + 1, self._used + self._share[at]
            else:
                break
            now = min(due, self._chunk, left)
            taken.append((at, now, self._prompts[at] - due + now / 2 - self._pace.looked))
            kept.append((at, due - now))
            left -= now
        self._filling = kept + waiting
        return taken

    def _mixed(self, taken: list[tuple[int, float, float]]) -> None:
        """One iteration that carries prompts."""
        running, pace = len(self._ends), self._pace
        ranks = min(len(taken), self._ranks)
        tokens = sum(now for _, now, _ in taken) / ranks
        extra = pace.mixed(max(running, 1), tokens, ranks) + pace.pair * sum(now * beyond for _, now, beyond in taken) / ranks
        alone = self._alone(running, 0.0)
        seconds = (alone if running else self._pace.decode[1]) + extra / self._pp
        self._pass(1 if running else 0, seconds, running)
        wait = self._waits[0] + self._waits[1] * alone + extra * (1 - 1 / self._pp)
        done = [at for at, due in self._filling if due < 0.5]
        self._filling = [one for one in self._filling if one[1] >= 0.5]
        self._end()
        for at in done:
            self._log.first[at], self._log.begun[at] = self._clock + wait, self._clock
            self._cached += self._prompts[at]
            heapq.heappush(self._ends, (self._turn + self._steps[at], at))
        self._end()

    def _decode(self) -> None:
        """All iterations up to the next end of an answer or to a request that can enter."""
        running = len(self._ends)
        steps = self._ends[0][0] - self._turn
        if self._enters():
            gap = self._arrive[self._head] - self._clock
            steps = max(1, min(steps, math.ceil(gap / self._alone(running, 0.0))))
        self._pass(steps, steps * self._alone(running, steps / 2), running)
        self._end()

    def _alone(self, running: int, steps: float) -> float:
        """Seconds of an iteration without prompts, `steps` iterations from now."""
        if not running:
            return 0.0
        context = self._cached / running + steps * self._per_step
        return self._pace.decode[running] + self._pace.slope[running] * (context - self._pace.context)

    def _pass(self, steps: int, seconds: float, running: int) -> None:
        self._log.events.append((self._clock, seconds, steps, running, self._used))
        self._clock += seconds
        self._turn += steps
        self._cached += steps * running * self._per_step

    def _end(self) -> None:
        """Answers that are whole leave."""
        while self._ends and self._ends[0][0] <= self._turn:
            at = heapq.heappop(self._ends)[1]
            self._log.last[at] = self._clock
            self._cached = max(self._cached - self._prompts[at] - self._steps[at] * self._per_step, 0.0) if self._ends else 0.0
            self._used = max(self._used - self._share[at], 0.0)


def play(machine: Machine, demand: Demand, requests: Traffic, *, most: int, edge: int, draft: Drafter | None = None) -> Played:
    """What `requests` get of one instance that runs at most `most` together; the first 2 `edge` and the last `edge` are not counted."""
    log = Engine(machine, demand, draft, requests, most).run()
    arrive, answers = requests.arrive, requests.answers
    counted = slice(2 * edge, max(len(arrive) - edge, 2 * edge + 1))
    first, begun, last = (np.array(values)[counted] for values in (log.first, log.begun, log.last))
    written = answers[counted] > 1
    tpot = (last - begun)[written] / (answers[counted][written] - 1)
    begin, seconds, steps, running, held = np.array(log.events).T
    inside = (begin >= arrive[counted.start]) & (begin <= arrive[counted.stop - 1])
    time, each = seconds[inside], np.maximum(steps[inside], 1.0)
    whole = max(arrive[counted.stop - 1] - arrive[counted.start], float(time.sum()))
    return Played(
        ttft=times(first - arrive[counted]),
        tpot=times(tpot) if tpot.size else times(np.zeros(1)),
        gap=times(time / each, steps[inside] * running[inside]),
        queue=_queue(arrive, np.array(log.entered), arrive[counted.start], arrive[counted.stop - 1]),
        running=float((time * running[inside]).sum() / whole),
        caches=float((time * held[inside]).sum() / whole),
        busy=float(time.sum() / whole),
    )


CHANCE = 1.2816
"""Standard deviations about the middle that hold 8 of 10."""


def times(values: Array, weights: Array | None = None) -> Times:
    """Mean and percentiles of values, each counted `weights` times; between which of them 99 of 100 may lie is the binomial's, of as many
    values that have nothing to do with each other (David and Nagaraja, Order Statistics, section 7.1)."""
    order = np.argsort(values)
    weight = np.ones(len(values)) if weights is None or not weights.sum() else weights
    share, ranked = np.cumsum(weight[order]) / weight.sum(), values[order]
    p50, p90, p99 = (float(ranked[min(int(np.searchsorted(share, part)), len(ranked) - 1)]) for part in (0.5, 0.9, 0.99))
    off = CHANCE * math.sqrt(0.99 * 0.01 / len(values))
    low, high = (float(ranked[min(int(np.searchsorted(share, part)), len(ranked) - 1)]) for part in (0.99 - off, 0.99 + off))
    mean = float((values * weight).sum() / weight.sum())
    return Times(mean=mean, p50=p50, p90=p90, p99=p99, p99_low=min(low, p99), p99_high=max(high, p99))


def _queue(arrive: Array, entered: Array, begin: float, end: float) -> Times:
    """Requests that wait to enter, over the time between `begin` and `end`."""
    when = np.concatenate([arrive, entered])
    order = np.argsort(when, kind="stable")
    level = np.cumsum(np.concatenate([np.ones(len(arrive)), -np.ones(len(entered))])[order])[:-1]
    moments = np.clip(when[order], begin, end)
    return times(np.maximum(level, 0.0), np.diff(moments))


def _shares(machine: Machine, requests: Traffic) -> Array:
    """The share of the instance's caches that each request holds."""
    context = requests.prompts + requests.answers / 2
    fits = np.asarray(most_sequences(machine.work, machine.memory.available, context), dtype=float)
    share: Array = np.minimum(1 / np.maximum(fits, 1e-9), 1.0)
    return share
