"""Seconds of a matrix product, of fused attention and of a memory-bound operation, from rates and shapes.

Choices: a product pays for its multiply-adds at the attained rate, stretched where a dimension is short (partly filled tiles in m and n,
the pipeline's ramp in k: t x (1 + m0/m)(1 + n0/n)(1 + k0/k)), plus the share of its memory traffic that the pipeline cannot hide
(roofline: Williams, Waterman, Patterson, CACM 52(4), 2009). Every argument is a number or an array; arrays broadcast.
Limits: no wave quantisation (it needs the tile and the number of cores that a library picked) and no cache.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = float | NDArray[np.float64]

TILE = 64.0
"""Half of the 128 rows or columns of the usual output tile: what an unaligned dimension wastes on average."""
RAMP_KEYS = 512.0
"""Keys over which fused attention runs at half its rate."""


def product_seconds(
    m: Numbers, n: Numbers, k: Numbers, *, flops: Numbers, bandwidth: Numbers, element: Numbers, ramp: Numbers, unhidden: Numbers
) -> Numbers:
    """One product of (m, k) by (k, n): `flops` FLOP/s attained on large shapes, `bandwidth` B/s, `element` bytes of an operand.

    `ramp`: the k at which the rate is halved; `unhidden`: the share of the operands' and the result's traffic that shows.
    """
    stretch = (1 + TILE / m) * (1 + TILE / n) * (1 + ramp / k)
    traffic = (m * k + k * n) * element + m * n * 2.0
    return 2.0 * m * n * k / flops * stretch + unhidden * traffic / bandwidth


def attention_seconds(work: Numbers, keys: Numbers, width: Numbers, *, flops: Numbers, narrow: Numbers) -> Numbers:
    """Fused attention: `work` FLOPs at `flops` FLOP/s, slower over few `keys` and, by the power `narrow`, for heads
    of fewer than 128 channels (`width`)."""
    return work / flops * (1 + RAMP_KEYS / keys) * np.maximum(128.0 / width, 1.0) ** narrow


def stream_seconds(moved: Numbers, bandwidth: Numbers) -> Numbers:
    """A memory-bound operation: bytes over bytes a second."""
    return moved / bandwidth
