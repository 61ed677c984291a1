"""A small discrete-event simulation of one instance with random arrivals: percentiles of times that a closed form does not give.

The engine runs iterations; waiting prompts enter when there is room, one chunk an iteration; running sequences take one token each. Between
two events (an arrival, a finished answer) all iterations are alike and are skipped in one jump.

Choices: randomness is a passed-in NumPy generator (arrivals exponential; lengths exponential where people write them); iteration times come
as a table over the number running, so that one run of thousands of iterations takes milliseconds. Limits: first come, first served; no
pre-emption; a prompt enters alone.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bedplate.core.records import Record

Array = NDArray[np.float64]


class Times(Record, frozen=True, kw_only=True):
    """Seconds at the 50th, 90th, 95th and 99th percentile over requests, and the mean number running."""

    ttft_s: dict[str, float]
    tpot_s: dict[str, float]
    running: float


SHARES = {"median": 50, "p90": 90, "p95": 95, "p99": 99}
WARM = 0.2
"""Share of the requests that only fill the system and are not counted."""


def simulate(
    decode_s: Sequence[float],
    prompt_s: float,
    *,
    rate: float,
    osl: float,
    generator: np.random.Generator,
    requests: int = 400,
    varied: bool = True,
) -> Times:
    """Times under `rate` arrivals a second.

    `decode_s[b]` is the time of an iteration with b sequences running (index 0 is not used; its length less one is the room), `prompt_s`
    what one prompt adds, `osl` the mean answer in tokens.
    """
    room, arrive = len(decode_s) - 1, np.cumsum(generator.exponential(1 / rate, requests)).tolist()
    lengths = np.maximum(1, generator.exponential(osl, requests) if varied else np.full(requests, osl)).astype(int).tolist()
    first, last = [0.0] * requests, [0.0] * requests
    clock, turn, entered, area = arrive[0], 0, 0, 0.0
    ends: list[tuple[int, int]] = []  # (iteration in which an answer ends, request), a heap
    while entered < requests or ends:
        running = len(ends)
        ready = entered < requests and running < room
        if ready and arrive[entered] <= clock:
            step, steps = prompt_s + (decode_s[running] if running else 0.0), int(running > 0)
            first[entered] = clock + step
            heapq.heappush(ends, (turn + steps + lengths[entered], entered))
            entered += 1
        elif not ends:
            clock = arrive[entered]
            continue
        else:
            steps = ends[0][0] - turn
            if ready:
                steps = max(1, min(steps, math.ceil((arrive[entered] - clock) / decode_s[running])))
            step = steps * decode_s[running]
        clock, turn, area = clock + step, turn + steps, area + step * running
        while ends and ends[0][0] <= turn:
            last[heapq.heappop(ends)[1]] = clock
    return _summary(np.array(arrive), np.array(first), np.array(last), np.array(lengths), area)


def _summary(arrive: Array, first: Array, last: Array, lengths: Array, area: float) -> Times:
    """Percentiles over the requests after the warm-up."""
    counted = slice(int(WARM * len(arrive)), len(arrive))
    waits, gaps = (first - arrive)[counted], ((last - first) / lengths)[counted]
    return Times(
        ttft_s={name: float(np.percentile(waits, share)) for name, share in SHARES.items()},
        tpot_s={name: float(np.percentile(gaps, share)) for name, share in SHARES.items()},
        running=area / (float(last.max()) - float(arrive[0])),
    )
