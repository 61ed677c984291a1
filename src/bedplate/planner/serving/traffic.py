"""Requests as people send them: when they come, and how long their prompts and answers are.

    gap    = exponential of mean 1 / rate                       (Poisson arrivals)
    length = mean x exp(s z - s^2 / 2), s^2 = ln(1 + cv^2)      (log-normal; z normal, cv the coefficient of variation)
    s     <= q - sqrt(q^2 - 2 ln(longest / mean)), q = 2.326    (so that 99 of 100 are below the longest that the model reads)

Choices: log-normal, because published prompts are (log-normal with a Pareto tail: ServeGen, arXiv 2505.09999, where answers are
exponential, of cv 1). The z are the middles of equal shares of the normal distribution in a random order, so that few requests have the
right percentiles; lengths and gaps are scaled to their means. Randomness is a generator that is passed in: the same one, the same requests.
Limits: prompt and answer are independent; bursts beyond Poisson's (an hour of the day, one client's loop) are the caller's rate.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


LAST = NormalDist().inv_cdf(0.99)


class Traffic(NamedTuple):
    """Requests in the order they come: s, tokens, tokens."""

    arrive: Array
    prompts: Array
    answers: Array


def traffic(
    requests: int, *, rate: float, isl: float, osl: float, cv: float, generator: np.random.Generator, longest: float = math.inf
) -> Traffic:
    """So many requests at `rate` a second whose lengths have these means; prompt and answer together fit into `longest` tokens."""
    gaps = generator.exponential(1.0, requests)
    arrive = np.cumsum(gaps) / gaps.mean() / rate
    beside = longest - osl, longest - isl
    prompts, answers = (lengths(mean, cv, _normals(requests, generator), most) for mean, most in zip((isl, osl), beside, strict=True))
    return Traffic(arrive, prompts, np.maximum(np.round(answers), 1.0))


def lengths(mean: float, cv: float, normals: Array, longest: float = math.inf) -> Array:
    """Lengths in tokens, from one to `longest`, of that mean and coefficient of variation."""
    raw = np.exp(_scatter(mean, cv, longest) * normals)
    scaled: Array = np.clip(mean * raw / raw.mean(), 1.0, max(longest, 1.0))
    return scaled


def longest_of(mean: float, cv: float, longest: float = math.inf) -> float:
    """The length that 99 of 100 stay below."""
    s = _scatter(mean, cv, longest)
    return mean * math.exp(s * LAST - s * s / 2)


def _scatter(mean: float, cv: float, longest: float) -> float:
    """Standard deviation of the lengths' logarithm."""
    s, room = math.sqrt(math.log1p(cv * cv)), math.log(max(longest / mean, 1.0))
    return min(s, LAST - math.sqrt(LAST * LAST - 2 * room)) if 2 * room < LAST * LAST else s


def _normals(n: int, generator: np.random.Generator) -> Array:
    """The middles of `n` equal shares of the normal distribution, in a random order."""
    inverse = NormalDist().inv_cdf
    return generator.permutation(np.array([inverse((at + 0.5) / n) for at in range(n)]))
