"""Seconds of a collective: an alpha-beta model with two levels, the scale-up domain and the fabric between domains.

Choices: a ring that spans domains keeps both levels busy at once, so that the slower one sets the time: each rank moves (n-1)/n of the
data inside its domain, and as much passes every border between domains, over the ports of the ranks that take part (Thakur, Rabenseifner,
Gropp, 2005; nccl-tests, PERFORMANCE.md: bus bandwidth). An all-reduce is a reduce-scatter and an all-gather; between two domains it goes
by a tree, which sends the data once each way and so beats the ring there alone (NVIDIA/nccl issues 812 and 1649).
Each step costs a latency: a ring inside a domain, one entry to the fabric and a double binary tree between domains (NCCL 2.4). A message
is cut into pieces that follow one another through those steps: with p steps of latency a and the wire's time T, the best cut takes
(sqrt(p a) + sqrt(T))^2, until the pieces reach the library's largest.
Limits: no congestion by other jobs; switches are taken to be non-blocking.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .roofline import Numbers


class Fabric(NamedTuple):
    """Attained rates of one chip in B/s, one direction, and latencies of one step in seconds; `domain` chips share a scale-up network."""

    domain: Numbers
    scaleup: Numbers
    fabric: Numbers
    scaleup_alpha: Numbers = 1.5e-6
    fabric_alpha: Numbers = 6e-6


ENTRY, LEVEL = 1.6, 0.4
"""Fabric latencies of half an all-reduce: to enter the fabric, and a doubling of the domains (47 us over 2 nodes of 8, 62 us over 16:
NVIDIA/nccl issues 1244 and 1469)."""
LARGEST_PIECE = 5.0
"""What filling the steps costs at most, in multiples of their latency: pieces stop growing."""


def piped(wire: Numbers, alpha: Numbers) -> Numbers:
    """Seconds of a transfer cut into pieces: `wire` seconds at full rate, through steps whose latencies sum to `alpha`."""
    fill = 2.0 * np.sqrt(wire * alpha)
    return wire + alpha + fill / (1.0 + fill / (LARGEST_PIECE * np.maximum(alpha, 1e-12)))


def inside(ranks: Numbers, stride: Numbers, domain: Numbers) -> Numbers:
    """How many of a group's `ranks` share a domain where neighbours in the group are `stride` chips apart (at least the rank itself)."""
    return np.minimum(np.maximum(domain / stride, 1.0), ranks)


def gather_seconds(moved: Numbers, ranks: Numbers, stride: Numbers, net: Fabric) -> Numbers:
    """All-gather (or reduce-scatter) after which each rank holds (or has given) `moved` bytes in all."""
    return _half(moved, ranks, stride, net, tree=False)


def reduce_seconds(moved: Numbers, ranks: Numbers, stride: Numbers, net: Fabric) -> Numbers:
    """All-reduce of `moved` bytes: a reduce-scatter and an all-gather."""
    return 2.0 * _half(moved, ranks, stride, net, tree=True)


def _half(moved: Numbers, ranks: Numbers, stride: Numbers, net: Fabric, *, tree: bool) -> Numbers:
    near = inside(ranks, stride, net.domain)
    domains = ranks / near
    within = moved * (near - 1) / near / net.scaleup
    share = (ranks - 1) / ranks if not tree else np.where(domains <= 2, (domains - 1) / domains, (ranks - 1) / ranks)
    between = np.where(domains > 1, moved * share / (net.fabric * near), 0.0)
    entered = np.where(domains > 1, ENTRY + LEVEL * np.log2(domains), 0.0)
    alpha = net.scaleup_alpha * np.minimum(near - 1, 2.0 * np.log2(near) + 1.0) + net.fabric_alpha * entered
    return np.where(np.asarray(ranks) > 1, piped(np.maximum(within, between), alpha), 0.0)


def exchange_seconds(sent: Numbers, ranks: Numbers, stride: Numbers, net: Fabric, copies: Numbers = 1.0) -> Numbers:
    """All-to-all in which each rank sends `sent` bytes evenly to all ranks (itself included).

    `copies`: how many of a token's receivers are in the same domain at a time, so that the fabric carries it once for them (DeepEP).
    """
    near = inside(ranks, stride, net.domain)
    far = (ranks - near) / ranks
    within = sent * np.maximum((near - 1) / ranks, far * (1 - 1 / np.maximum(copies, 1.0))) / net.scaleup
    between = sent * far / np.maximum(copies, 1.0) / net.fabric
    alpha = net.scaleup_alpha * 2.0 + net.fabric_alpha * (far > 0)
    return np.where(np.asarray(ranks) > 1, np.maximum(within, between) + alpha, 0.0)


def hand_over_seconds(moved: Numbers, stride: Numbers, net: Fabric) -> Numbers:
    """One rank sends `moved` bytes to the rank `stride` chips away."""
    near = np.asarray(stride) < net.domain
    return np.where(near, moved / net.scaleup + net.scaleup_alpha, moved / net.fabric + net.fabric_alpha)
