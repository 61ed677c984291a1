"""The choice of a replica: near, healthy, with the fewest requests in hand.

In this order: one that has not had this request, one that is ready, one in the router's zone, then in its region, then in a region that
is allowed; of these the one with the fewest requests in hand, and of equals the one whose turn is longest ago, which spreads them.
A request under a key goes where the last one under it went, as far as that is among the nearest, since only that replica knows its answer.
A region that is not allowed is never an answer. A replica that failed several times in a row gets nothing for a pause, then one request
that shows how it does (`half open`). Where all have as much as they take, the request is refused at once: waiting would help nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from bedplate.planner.rollout.rule import drawn

from .records import Choice, Hold, Home, Refuse, Rules, Send, Standing

_RANK: Final = {"ready": 0, "waiting": 1, "suspect": 2}


def choose(
    standings: Sequence[Standing], now: float, home: Home, rules: Rules, *, held: int = 0, tried: Collection[str] = (), more: bool = False,
    key: str = "",
) -> Choice:  # fmt: skip
    """Who gets a request now.

    `held` requests wait already, `tried` had this one, `more` says that replicas can be started that are not among these, and `key` is what
    its client calls it, where it may come again.
    """
    best = -1
    best_key: tuple[bool, int, int, float, int] | None = None
    for at, one in enumerate(standings):
        rank = _RANK.get(one.state)
        if rank is None or one.running >= rules.most or not home.allows(one.place) or not _is_trusted(one, now, rules):
            continue
        order = drawn(key, one.name) if key else one.running
        found = (one.name in tried, rank, home.distance(one.place), order, one.turn)
        if best_key is None or found < best_key:
            best, best_key = at, found
    return Send(best) if best_key is not None else _nobody(standings, now, home, rules, held, more)


def _is_trusted(one: Standing, now: float, rules: Rules) -> bool:
    """Whether it may have a request; one that failed again and again has one at a time once its pause is over."""
    return one.failures < rules.trust.most or (now >= one.closed_until and not one.running)


def _nobody(standings: Sequence[Standing], now: float, home: Home, rules: Rules, held: int, more: bool) -> Choice:
    """Why nobody gets it: whether it is held until somebody is there, or refused."""
    allowed = [one for one in standings if home.allows(one.place)]
    if any(one.state in _RANK and _is_trusted(one, now, rules) for one in allowed):
        return Refuse("full")
    if more or any(one.state == "starting" for one in allowed):
        return Hold() if held < rules.held else Refuse("full")
    pauses = [one.closed_until - now for one in allowed if one.state in _RANK]
    if pauses:
        return Refuse("ejected", max(1.0, min(pauses)))
    return Refuse("away" if allowed or not standings else "outside")
