"""How many copies of an instance a load needs, between which bounds they scale, and what a cold start costs.

    replicas   = ceil(rate / (capacity x target))
    cold start = fetch image + weights / read rate + engine start
    backlog    = (rate - capacity of what runs) x cold start

Choices: `target` leaves room for bursts (at 0.7 of capacity an M/M/1 queue is 2.3 services long, at 0.9 it is 9). Limits: replicas are
equal and share the load evenly.
"""

from __future__ import annotations

import math

from bedplate.core.records import Record

TARGET = 0.7
"""Share of its capacity that a replica is planned to carry."""

ENGINE_START_S = 60.0
"""Seconds from weights in memory to the first answer: graph capture, kernel choice and warm-up (vLLM and TensorRT-LLM log 20-120 s)."""


COLD = "image over 10 Gbit/s, weights over half the network, engine start with its graphs captured; not the start of the machine itself"
"""What a cold start is made of: on a machine that is there already."""


class Bounds(Record, frozen=True, kw_only=True):
    """Least and most replicas, seconds until a new one answers, and requests that wait meanwhile when load jumps from least to most."""

    least: int
    most: int
    cold_start_s: float
    backlog: float


def replicas(rate: float, capacity: float, *, target: float = TARGET, spare: int = 0) -> int:
    """Copies that carry `rate` requests a second when one can do `capacity`, and `spare` more. At least one."""
    return max(1, math.ceil(rate / (capacity * target) - 1e-9)) + spare


def cold_start(weight_bytes: float, read_gbs: float, *, image_gb: float = 15.0, network_gbs: float = 1.25, cached: bool = False) -> float:
    """Seconds from a request for a replica to its first answer: image over the network (none where `cached`), weights from storage at
    `read_gbs` GB/s, engine start."""
    fetch = 0.0 if cached else image_gb / network_gbs
    return fetch + weight_bytes / (read_gbs * 1e9) + ENGINE_START_S


def autoscaling(
    low_rate: float, peak_rate: float, capacity: float, cold_start_s: float, *, target: float = TARGET, to_zero: bool = False
) -> Bounds:
    """Bounds between a quiet rate and a peak. `to_zero` lets the last replica go where the quiet rate is nothing."""
    least = 0 if to_zero and low_rate <= 0 else replicas(low_rate, capacity, target=target)
    most = max(least, replicas(peak_rate, capacity, target=target))
    return Bounds(least=least, most=most, cold_start_s=cold_start_s, backlog=max(0.0, peak_rate - least * capacity) * cold_start_s)
