"""Waiting before equal servers that take the same time for every job: an approximation of M/D/c in closed form.

    C    = used^(sqrt(2 (c + 1)) - 1)                       chance to wait (Sakasegawa, Annals of the Inst. of Statistical Math. 29, 1977)
    mean = C x service x scatter / (c (1 - used))            Allen, Cunneen: scatter = (variance of arrivals + of services) / 2
    P(wait > t) = C exp(-t c (1 - used) / (service x scatter))

`scatter` is 1/2 for random arrivals and a fixed service; jobs that are batches of b requests come b times more evenly: 1 / (2 b).
Choices: exact where used goes to 1 (heavy traffic), within a tenth of Erlang's C from 30 % use on. Limits: no balking, no priorities.
"""

from __future__ import annotations

import math

from bedplate.core.records import Record


class Wait(Record, frozen=True, kw_only=True):
    """Seconds of waiting: the mean, and what 99 of 100 stay below."""

    mean: float
    p99: float


def wait(servers: int, rate: float, service: float, scatter: float = 0.5) -> Wait:
    """Before `servers` that take `service` seconds each, with `rate` jobs a second; endless where they cannot keep up."""
    used = rate * service / servers
    if used >= 1:
        return Wait(mean=math.inf, p99=math.inf)
    waits = used ** (math.sqrt(2 * (servers + 1)) - 1)
    pace = service * scatter / (servers * (1 - used))
    return Wait(mean=waits * pace, p99=max(0.0, pace * math.log(waits / 0.01)) if waits > 0 else 0.0)


def servers_for(rate: float, service: float, most_used: float, wait_s: float | None, scatter: float = 0.5) -> int:
    """The fewest servers that are used at most `most_used` of the time and let 99 of 100 wait at most `wait_s` seconds (None: any)."""
    least = max(1, math.ceil(rate * service / most_used - 1e-9))
    if wait_s is None or wait(least, rate, service, scatter).p99 <= wait_s:
        return least
    step, high = 1, least + 1
    while wait(high, rate, service, scatter).p99 > wait_s:
        step, high = step * 2, high + step * 2
    low = high - step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if wait(middle, rate, service, scatter).p99 <= wait_s else (middle, high)
    return high
