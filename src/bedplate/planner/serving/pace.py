"""How long an iteration takes, as a table: what a simulation asks thousands of times, worked out by `iteration.py` a few hundred times.

    seconds = decode(B) + slope(B) x (mean context - reference)                      no prompt in it
            + extra(B, tokens, ranks) + per pair x tokens x (keys looked at - reference)   with prompt tokens on so many attention ranks

Choices: `iteration` is asked at GRID numbers of requests and of tokens and read off in between; contexts enter linearly about the mean,
which is exact but for attention windows. Between points the error is below 1 % (the roofline's corner is smooth).
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from .drafting import Drafter
from .iteration import iteration
from .loop import Demand
from .model import Machine
from .records import Numbers
from .traffic import Array

GRID, FEW = 40, 7
LEAST_TOKENS = 8.0


class Pace:
    """Seconds of iterations of one instance with up to `most` requests running. Reference contexts are the demand's means."""

    def __init__(self, machine: Machine, demand: Demand, draft: Drafter | None, most: int) -> None:
        self._work, self._rates, self._draft = machine.work, machine.rates, draft
        self._verified = float(demand.verified)
        self.context, self.looked = float(demand.context), float(demand.isl - demand.prompt / 2)
        self.decode, self.slope = self._decodes(most)
        self._running = _steps(1.0, most, FEW)
        self._tokens = _steps(LEAST_TOKENS, float(demand.chunk), GRID // 2)
        ranks = int(float(machine.work.attention_dp))
        self._extra = [self._extras(float(r)) for r in _powers(ranks)]
        self.pair = self._per_pair(float(demand.chunk))

    def mixed(self, running: int, tokens: float, ranks: int) -> float:
        """What `tokens` of prompts on each of `ranks` attention ranks add to an iteration with `running` requests."""
        table = self._extra[min(max(ranks, 1).bit_length() - 1, len(self._extra) - 1)]
        i, u = _place(self._running, running)
        j, v = _place(self._tokens, tokens)
        low, high = table[i], table[i + 1]
        return (1 - u) * ((1 - v) * low[j] + v * low[j + 1]) + u * ((1 - v) * high[j] + v * high[j + 1])

    def _seconds(self, running: Numbers, context: Numbers, **prompt: Numbers) -> Array:
        """Seconds of iterations, drafts included."""
        work = self._work
        of_rank = running / work.attention_dp / work.pp
        found = iteration(work, self._rates, sequences=of_rank, context=context, verified=self._verified, **prompt).total
        if self._draft is None:
            return np.asarray(found, dtype=float)
        read = 0.0
        if prompt:
            own = {name: value for name, value in prompt.items() if name != "prefill_ranks"}
            read = iteration(self._draft.work, self._draft.rates, sequences=0.0, context=0.0, **own).total
        return np.asarray(found + self._draft.passes(running, context).total + read, dtype=float)

    def _decodes(self, most: int) -> tuple[list[float], list[float]]:
        """Seconds with 0 to `most` requests of the mean context, and what a token of context more adds."""
        points = np.array(_steps(1.0, most, GRID))
        low, at, high = (self._seconds(points, k * self.context) for k in (0.5, 1.0, 1.5))
        every = np.arange(most + 1, dtype=float)
        return np.interp(every, points, at).tolist(), np.interp(every, points, (high - low) / self.context).tolist()

    def _extras(self, ranks: float) -> list[list[float]]:
        """A row for each number running, a column for each number of prompt tokens."""
        running, tokens = np.meshgrid(np.array(self._running), np.array(self._tokens), indexing="ij")
        mixed = self._seconds(running, self.context, prefill=tokens, prefill_context=self.looked, prefill_ranks=ranks)
        rows: list[list[float]] = (mixed - self._seconds(running, self.context)).tolist()
        return rows

    def _per_pair(self, tokens: float) -> float:
        """Seconds for each prompt token and key that it looks at beyond the reference."""
        looked = np.array([0.5, 1.5]) * self.looked
        low, high = self._seconds(np.ones(2), self.context, prefill=tokens, prefill_context=looked)
        return float(high - low) / tokens / self.looked


def _steps(low: float, high: float, n: int) -> list[float]:
    """`n` points that grow by a factor, at least two."""
    points: list[float] = np.geomspace(low, max(high, low + 1), n).tolist()
    return points


def _powers(most: int) -> list[int]:
    return [2**i for i in range(max(most, 1).bit_length())]


def _place(points: list[float], value: float) -> tuple[int, float]:
    """(index of the point at or below, share of the way to the next), held within the table but for its end."""
    at = min(max(bisect_right(points, value) - 1, 0), len(points) - 2)
    return at, max((value - points[at]) / (points[at + 1] - points[at]), 0.0)
