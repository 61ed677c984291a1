"""Verdict: what the outcomes of the last requests say of a new version beside the one in production.

A rate is held against a version only where the requests bear it out: the lower end of Wilson's interval of its rate must be above what is
allowed, which is twice what production does itself, and at least 1 % (5 % for slow answers, as a p95 says). So two failed requests do not
end a roll-out, nor does what both versions get wrong. A rate must be too high at two looks in a row; a version that was in doubt once
starts its time anew. Nothing is promoted on fewer than 50 requests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from bedplate.core.records import Record
from bedplate.core.units import show_seconds

from .rule import Rule

LEAST: Final = 50
"""Fewer requests promote nothing."""
DOUBTS: Final = 2
"""Looks in a row at which a version must look bad to be rolled back."""
_Z: Final = 2.58
_FEWEST: Final = 3
_ALLOWED: Final = 0.01
_SLOW: Final = 0.05
_TIMES: Final = 2.0
_LONGER: Final = 3.0
_LEAST_LIMIT_S: Final = 0.02


class Outcome(Record, frozen=True):
    """What became of one request: how long the version took, whether it failed, whether what it said is no number, and whether that is
    too far from what production said. `error` is what it failed with, where that is known.
    """

    seconds: float
    failed: bool = False
    empty: bool = False
    apart: bool = False
    error: str = ""


class Side(Record, frozen=True, kw_only=True):
    """The last outcomes of both versions for one service or model; `limit_s` is the p95 that it declares (0: none)."""

    new: Sequence[Outcome]
    old: Sequence[Outcome]
    limit_s: float = 0.0


class Standing(Record, frozen=True):
    """What earlier looks left: at how many in a row it looked bad, and when (seconds of its age) it last did."""

    doubts: int = 0
    doubted_s: float = 0.0


class Decision(Record, frozen=True, kw_only=True):
    """What to do, why in words, and what the next look gets."""

    do: Literal["go on", "promote", "roll back"]
    why: str
    standing: Standing


def decide(rule: Rule, sides: Mapping[str, Side], standing: Standing, age_s: float, *, promotes: bool) -> Decision:
    """What to do with a version that has been tried for `age_s` seconds, by service or model; `promotes`: it may go to production."""
    bad = next((f"{name}: {why}" for name, side in sides.items() if (why := fault(side))), "")
    if bad:
        now = Standing(standing.doubts + 1, age_s)
        return Decision(do="roll back" if now.doubts >= DOUBTS else "go on", why=bad, standing=now)
    most = max((len(side.new) for side in sides.values()), default=0)
    calm = Standing(0, standing.doubted_s)
    asked = f"{most:,} requests"
    if not (promotes and rule.time_s):
        return Decision(do="go on", why=f"{asked}, nothing against it", standing=calm)
    left = rule.time_s - (age_s - standing.doubted_s)
    if left > 0:
        return Decision(do="go on", why=f"{asked}, nothing against it; {show_seconds(left)} to go", standing=calm)
    if most < LEAST:
        return Decision(do="go on", why=f"{asked} are fewer than {LEAST}", standing=calm)
    return Decision(do="promote", why=f"{asked}, no worse than production", standing=calm)


def fault(side: Side) -> str:
    """What the outcomes hold against the new version; empty where nothing."""
    new, old = side.new, side.old
    for what, bad, was in (
        ("failed", sum(one.failed for one in new), sum(one.failed for one in old)),
        ("were no numbers", sum(one.empty for one in new), sum(one.empty for one in old)),
        ("were too far from production's", sum(one.apart for one in new), 0),
    ):
        if _worse(bad, len(new), was, len(old), _ALLOWED):
            last = next((f", the last with {one.error}" for one in reversed(new) if one.error and one.failed), "")
            return f"{bad:,} of {len(new):,} answers {what}{_beside(was, len(old))}{last if what == 'failed' else ''}"
    limit = side.limit_s or _limit(old)
    slow, was = (sum(one.seconds > limit for one in outcomes) for outcomes in (new, old))
    if limit and _worse(slow, len(new), was, len(old), _SLOW):
        return f"{slow:,} of {len(new):,} answers took longer than {show_seconds(limit)}{_beside(was, len(old))}"
    return ""


def lower(bad: int, of: int) -> float:
    """The lower end of Wilson's 99 % interval of a rate; 0 of nothing."""
    if not of:
        return 0.0
    rate, z2 = bad / of, _Z * _Z
    middle, spread = rate + z2 / (2 * of), _Z * math.sqrt(rate * (1 - rate) / of + z2 / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + z2 / of))


def _worse(bad: int, of: int, was: int, were: int, allowed: float) -> bool:
    usual = was / were if were else 0.0
    return bad >= _FEWEST and lower(bad, of) > max(allowed, min(_TIMES * usual, (1 + usual) / 2))


def _beside(was: int, were: int) -> str:
    return f" (production: {was:,} of {were:,})" if were else ""


def _limit(old: Sequence[Outcome]) -> float:
    """Where none is declared: three times the p95 of production; 0 where too few requests say what that is."""
    if len(old) < LEAST:
        return 0.0
    ordered = sorted(one.seconds for one in old)
    return max(_LONGER * ordered[math.ceil(0.95 * len(ordered)) - 1], _LEAST_LIMIT_S)
