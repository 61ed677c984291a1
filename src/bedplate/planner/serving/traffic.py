"""Requests as people send them: when they come, and how long their prompts and answers are.

    gap    = exponential of mean 1 / rate                       (Poisson arrivals)
    length = mean x exp(s z - s^2 / 2), s^2 = ln(1 + cv^2)      (log-normal; z normal, cv the coefficient of variation)

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


class Traffic(NamedTuple):
    """Requests in the order they come: s, tokens, tokens."""

    arrive: Array
    prompts: Array
    answers: Array


def traffic(
    requests: int, *, rate: float, isl: float, osl: float, cv: float, generator: np.random.Generator, longest: float = math.inf
) -> Traffic:
    """So many requests at `rate` a second whose lengths have these means; no prompt and no answer is longer than `longest` tokens."""
    gaps = generator.exponential(1.0, requests)
    arrive = np.cumsum(gaps) / gaps.mean() / rate
    prompts, answers = (lengths(mean, cv, _normals(requests, generator)) for mean in (isl, osl))
    return Traffic(arrive, np.minimum(prompts, longest), np.minimum(np.maximum(np.round(answers), 1.0), longest))


def lengths(mean: float, cv: float, normals: Array) -> Array:
    """Lengths in tokens, at least one, of that mean and coefficient of variation."""
    s = math.sqrt(math.log1p(cv * cv))
    raw = np.exp(s * normals)
    scaled: Array = np.maximum(mean * raw / raw.mean(), 1.0)
    return scaled


def longest_of(mean: float, cv: float, share: float = 0.99) -> float:
    """The length that a `share` of lengths stays below."""
    s = math.sqrt(math.log1p(cv * cv))
    return mean * math.exp(s * NormalDist().inv_cdf(share) - s * s / 2)


def _normals(n: int, generator: np.random.Generator) -> Array:
    """The middles of `n` equal shares of the normal distribution, in a random order."""
    inverse = NormalDist().inv_cdf
    return generator.permutation(np.array([inverse((at + 0.5) / n) for at in range(n)]))
