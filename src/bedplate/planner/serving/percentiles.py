"""Percentiles of the time between tokens, from what an iteration may carry.

    gap = D x jitter                         with chance exp(-a): no prompt in the iteration
    gap = D + sum of n prompts' times        n Poisson of mean a; prompts of people scatter exponentially, so the sum is Erlang(n)

`a` is the mean number of prompts that start in one iteration. Choices: quantiles by bisection of the mixture's distribution; equal
prompts (a synthetic load) make steps instead of an Erlang tail. Limits: iterations are taken as independent.
"""

from __future__ import annotations

import math
from statistics import NormalDist

MOST = 60
"""Prompts in one iteration that are still told apart."""

NOTHING = 1e-6
"""Chance that is left out."""

HALVINGS = 24
"""Of the bracket around a quantile: to 1e-7 of it."""


def gap(share: float, *, decode: float, prompt: float, arrivals: float, jitter: float, varied: bool = True) -> float:
    """The gap between tokens that a `share` (0 to 1) of gaps stays below, in the units of `decode` and `prompt`."""
    none = math.exp(-arrivals)
    if share < none:
        return decode * math.exp(jitter * NormalDist().inv_cdf(min(max(share / none, 1e-6), 1 - 1e-6)))
    if prompt <= 0:
        return decode * math.exp(2 * jitter)
    low, high = 0.0, prompt * (arrivals + 10 * math.sqrt(arrivals + 1) + 20)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _below(middle / prompt, arrivals, varied) < share:
            low = middle
        else:
            high = middle
    return decode + high


def _below(extra: float, arrivals: float, varied: bool) -> float:
    """Chance that prompts add at most `extra` prompts' mean time."""
    total, chance, term, tail, seen = 0.0, math.exp(-arrivals), math.exp(-extra), 0.0, 0.0
    for n in range(MOST):
        within = (1.0 - tail if n else 1.0) if varied else float(n <= extra)
        total += chance * within
        seen += chance
        if seen > 1 - NOTHING:
            break
        chance *= arrivals / (n + 1)
        tail += term
        term *= extra / (n + 1)
    return total
