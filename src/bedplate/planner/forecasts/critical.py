"""How long a plan will take: its steps' forecasts, its graph and the processors, list-scheduled.

The rule is the scheduler's own: a step starts when what it needs is done and enough processors are free; of several that
could start, the one with the longest way to the end goes first. The range comes from running that schedule over draws of the
steps' own ranges (each step's draws are a shuffled grid of its distribution, a Latin hypercube): adding up all highs would
promise too little, and adding up middles leaves out that slow steps weigh more than fast ones save. Pure: the same arguments
and seed give the same answer.

Limits: steps are taken as independent of each other; memory and leases are not modelled; a step that needs more processors
than there are takes all of them.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Collection, Mapping, Sequence
from statistics import NormalDist

from bedplate.core.records import Forecast, Record

_Z90 = NormalDist().inv_cdf(0.9)
_DRAWS_MOST, _DRAWS_LEAST, _STEPS_DRAWN = 200, 19, 20_000


class WallTime(Record, frozen=True, kw_only=True):
    """The wall time of a plan. `total` counts only steps with a forecast; `unknown` names the others, `path` the longest chain."""

    total: Forecast
    unknown: tuple[str, ...] = ()
    path: tuple[str, ...] = ()


class Placed(Record, frozen=True, kw_only=True):
    """A schedule: start and end of each step (s from the first start); `chain_s` is what it would take with processors without end."""

    spans: dict[str, tuple[float, float]]
    chain_s: float


def wall_time(
    forecasts: Mapping[str, Forecast | None],
    after: Mapping[str, Collection[str]],
    *,
    cpu: Mapping[str, float] | None = None,
    slots: float = 1.0,
    seed: int = 0,
) -> WallTime:
    """The wall time of the steps in `forecasts` (wall_s each), where `after[step]` names the steps that it waits for.

    `cpu` says how many processors a step needs (1 where it is silent), `slots` how many there are. Steps named only in `after`
    (skipped ones) take no time. The total's basis is `unknown` if any step's is. Raises ValueError on a cycle.
    """
    names = sorted(forecasts)
    needs = {n: min((cpu or {}).get(n, 1.0), slots) for n in names}
    waits = {n: [d for d in after.get(n, ()) if d in forecasts] for n in names}
    order = _order(names, waits)
    unknown = tuple(n for n in names if _is_unknown(forecasts[n]))
    known: dict[str, Forecast] = {n: f for n, f in forecasts.items() if f is not None and f.basis != "unknown"}
    middles = {n: known[n].middle if n in known else 0.0 for n in names}
    to_end = _to_end(order, waits, middles)
    draws = _draws(known, len(names), seed)
    totals = sorted(makespan({**middles, **draw}, waits, needs, slots, to_end) for draw in draws)
    total = Forecast(
        quantity="wall_s", middle=_quantile(totals, 0.5), low=_quantile(totals, 0.1), high=_quantile(totals, 0.9),
        basis="unknown" if unknown else "history", samples=min((f.samples for f in known.values()), default=0),
    )  # fmt: skip
    return WallTime(total=total, unknown=unknown, path=_path(waits, middles, to_end))


def placed(
    forecasts: Mapping[str, Forecast | None], after: Mapping[str, Collection[str]], cpu: Mapping[str, float], slots: float
) -> Placed:  # fmt: skip
    """When each step would start and end, were each to take the middle of its range; a step without a forecast takes no time."""
    names = sorted(forecasts)
    waits = {n: [d for d in after.get(n, ()) if d in forecasts] for n in names}
    times = {n: 0.0 if (one := forecasts[n]) is None or one.basis == "unknown" else one.middle for n in names}
    to_end = _to_end(_order(names, waits), waits, times)
    starts = _starts(times, waits, {n: min(cpu.get(n, 1.0), slots) for n in names}, slots, to_end)
    return Placed(spans={n: (start, start + times[n]) for n, start in starts.items()}, chain_s=max(to_end.values(), default=0.0))


def makespan(
    times: Mapping[str, float],
    waits: Mapping[str, Collection[str]],
    needs: Mapping[str, float],
    slots: float,
    priority: Mapping[str, float],
) -> float:
    """Seconds from the first start to the last end under the list schedule."""
    starts = _starts(times, waits, needs, slots, priority)
    return max((start + times[name] for name, start in starts.items()), default=0.0)


def _starts(
    times: Mapping[str, float],
    waits: Mapping[str, Collection[str]],
    needs: Mapping[str, float],
    slots: float,
    priority: Mapping[str, float],
) -> dict[str, float]:
    """When each step starts under the list schedule, in seconds from the first."""
    left = {n: len(waits[n]) for n in times}
    unlocks: dict[str, list[str]] = {n: [] for n in times}
    for name, before in waits.items():
        for one in before:
            unlocks[one].append(name)
    ready = [(-priority[n], n) for n, count in left.items() if not count]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    starts: dict[str, float] = {}
    now, free = 0.0, slots
    while ready or running:
        while ready and needs[ready[0][1]] <= free + 1e-9:
            _, name = heapq.heappop(ready)
            free -= needs[name]
            starts[name] = now
            heapq.heappush(running, (now + times[name], name))
        now, done = heapq.heappop(running)
        free += needs[done]
        for name in unlocks[done]:
            left[name] -= 1
            if not left[name]:
                heapq.heappush(ready, (-priority[name], name))
    return starts


def _is_unknown(forecast: Forecast | None) -> bool:
    return forecast is None or forecast.basis == "unknown"


def _order(names: Sequence[str], waits: Mapping[str, Collection[str]]) -> list[str]:
    """Names with what they wait for first."""
    left = {n: len(waits[n]) for n in names}
    unlocks: dict[str, list[str]] = {n: [] for n in names}
    for name in names:
        for one in waits[name]:
            unlocks[one].append(name)
    order = [n for n in names if not left[n]]
    for name in order:
        for following in unlocks[name]:
            left[following] -= 1
            if not left[following]:
                order.append(following)
    if len(order) < len(names):
        raise ValueError(f"these steps wait for each other: {', '.join(sorted(set(names) - set(order)))}")
    return order


def _to_end(order: Sequence[str], waits: Mapping[str, Collection[str]], times: Mapping[str, float]) -> dict[str, float]:
    """Seconds from a step's start to the end of the longest chain behind it."""
    longest = dict.fromkeys(order, 0.0)
    for name in reversed(order):
        longest[name] += times[name]
        for one in waits[name]:
            longest[one] = max(longest[one], longest[name])
    return longest


def _path(waits: Mapping[str, Collection[str]], times: Mapping[str, float], to_end: Mapping[str, float]) -> tuple[str, ...]:
    unlocks: dict[str, list[str]] = {n: [] for n in to_end}
    for name, before in waits.items():
        for one in before:
            unlocks[one].append(name)
    starts = [n for n in to_end if not waits[n]]
    path: list[str] = []
    while starts:
        name = max(starts, key=lambda n: (to_end[n], n))
        if not times[name] and not to_end[name]:
            break
        path.append(name)
        starts = unlocks[name]
    return tuple(path)


def _draws(known: Mapping[str, Forecast], steps: int, seed: int) -> list[dict[str, float]]:
    """Durations for each draw: per step a shuffled grid of a log-normal whose halves have their own spread."""
    count = max(_DRAWS_LEAST, min(_DRAWS_MOST, _STEPS_DRAWN // max(steps, 1)))
    grid = [NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)]
    dice = random.Random(seed)
    draws: list[dict[str, float]] = [{} for _ in range(count)]
    for name in sorted(known):
        one = known[name]
        if one.middle <= 0:
            continue
        down = math.log(one.middle / one.low) / _Z90 if 0 < one.low < one.middle else 0.0
        up = math.log(one.high / one.middle) / _Z90 if one.high > one.middle else 0.0
        values = [one.middle * math.exp(z * (up if z > 0 else down)) for z in grid]
        dice.shuffle(values)
        for draw, value in zip(draws, values, strict=True):
            draw[name] = value
    return draws


def _quantile(ranked: Sequence[float], share: float) -> float:
    at = share * (len(ranked) - 1)
    below = int(at)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (at - below) * (ranked[above] - ranked[below])
