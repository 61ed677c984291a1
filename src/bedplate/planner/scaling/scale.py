"""How many replicas, given what was measured: up at once, down slowly, to none where nobody asks, and from none for the first who does.

The measure is the load *L*: requests in hand and held, smoothed over some seconds. With an aim of *a* requests in hand for each replica,
ceil(*L* / *a*) are wanted; one more than there are where over 5 % of answers came later than their service declares (`p95`) while there was
a queue, as then more replicas help. There is no replica more while one starts, nor within `up_s` of the last change; at most twice as many
at once. One is taken away where fewer were wanted for all of `down_s`.
"""

from __future__ import annotations

import math
from typing import Final

from bedplate.core.records import Record

_SMOOTH_S: Final = 5.0
_LATE: Final = 0.05
_ENOUGH: Final = 20
"""Answers in a look that say something of a 95th percentile."""


class Scale(Record, frozen=True, kw_only=True):
    """From `least` to `most` replicas with `aim` requests in hand each; pauses in seconds. `idle_s` without a request: none, where
    `least` is 0.
    """

    least: int = 1
    most: int = 1
    aim: float = 4.0
    up_s: float = 3.0
    down_s: float = 60.0
    idle_s: float = 300.0


class Measured(Record, frozen=True, kw_only=True):
    """What was seen at `at`: replicas that answer and that start, requests in hand and held now, and since the last look answers, late
    ones, and requests that came.
    """

    at: float
    ready: int
    starting: int = 0
    running: int = 0
    held: int = 0
    answered: int = 0
    late: int = 0
    came: int = 0

    @property
    def count(self) -> int:
        """The replicas that there are."""
        return self.ready + self.starting


class Past(Record, frozen=True, kw_only=True):
    """What a decision knows of those before: the smoothed load, when it was looked, changed, last asked, and since when fewer would do."""

    load: float = 0.0
    looked_at: float = 0.0
    changed_at: float = -math.inf
    asked_at: float = 0.0
    fewer_since: float | None = None


class Decided(Record, frozen=True, kw_only=True):
    """So many there should be; `why` is empty where nothing changes."""

    count: int
    why: str = ""
    past: Past


def begin(now: float) -> Past:
    """The past of a router that has just begun."""
    return Past(looked_at=now, asked_at=now)


def scale(rules: Scale, past: Past, seen: Measured) -> Decided:
    """How many there should be now."""
    passed = max(0.0, seen.at - past.looked_at)
    load = past.load + (seen.running + seen.held - past.load) * -math.expm1(-passed / _SMOOTH_S)
    asked_at = seen.at if seen.came or seen.running or seen.held else past.asked_at
    wanted, why = _wanted(rules, seen, load)
    is_fewer = wanted < seen.count
    fewer_since = (past.fewer_since if past.fewer_since is not None else seen.at) if is_fewer else None
    kept = Past(load=load, looked_at=seen.at, changed_at=past.changed_at, asked_at=asked_at, fewer_since=fewer_since)
    count, why = _step(rules, kept, seen, wanted, why)
    if count != seen.count:
        kept = Past(load=load, looked_at=seen.at, changed_at=seen.at, asked_at=asked_at)
    return Decided(count=count, why=why, past=kept)


def _wanted(rules: Scale, seen: Measured, load: float) -> tuple[int, str]:
    """How many the load takes, and what says so."""
    by_load, why = math.ceil(load / rules.aim - 1e-9), f"{load:.1f} requests in hand, {rules.aim:g} a replica are aimed at"
    is_late = seen.answered >= _ENOUGH and seen.late > _LATE * seen.answered
    if is_late and load > seen.ready and by_load <= seen.count:
        by_load, why = seen.count + 1, f"{seen.late} of {seen.answered} answers were later than declared"
    return min(max(by_load, rules.least, 1), rules.most), why


def _step(rules: Scale, past: Past, seen: Measured, wanted: int, why: str) -> tuple[int, str]:
    """The step from what there is to what is wanted that may be taken now."""
    count = seen.count
    if count < max(rules.least, min(1, seen.held)):
        return max(rules.least, 1), "a request waits" if seen.held else "there should be more"
    if not rules.least and count and seen.at - past.asked_at >= rules.idle_s:
        return 0, f"nobody asked for {rules.idle_s:g} s"
    if not count:
        return 0, ""
    if wanted > count and not seen.starting and seen.at - past.changed_at >= rules.up_s:
        return min(wanted, 2 * count), why
    if past.fewer_since is not None and seen.at - past.fewer_since >= rules.down_s and not seen.starting:
        return count - 1, f"fewer would have done for {rules.down_s:g} s"
    return count, ""
