"""The cost of rented nodes by term.

    on-demand  rate x busy hours
    spot       rate x busy hours x (1 + interruptions per hour x hours lost at each)
    reserved   rate x all hours: paid whether busy or not

Choices: a price that no row gives is worked out from the on-demand price with the published reduction of `figures.csv`, and says so;
never for a quotation, and no spot price for a provider of whom no spot price is known.
A month is 730 hours (8,760 / 12), a year 8,760.
Limits: no volume or negotiated discounts: override `prices.csv` with your own rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from bedplate.planner.asking.questions import Term
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.systems import Price, Systems

HOURS_MONTH = 730.0
HOURS_YEAR = 8760.0

_LISTED = {"on-demand": "on_demand", "spot": "spot", "reserved-1y": "reserved_1y", "reserved-3y": "reserved_3y"}
_REDUCTION = {"spot": "spot-discount", "reserved-1y": "reserved-1y-discount", "reserved-3y": "reserved-3y-discount"}
COMMITTED_MONTHS: dict[Term, float] = {"reserved-1y": 12.0, "reserved-3y": 36.0}


def hourly(price: Price, term: Term, systems: Systems) -> Estimate | None:
    """USD per hour of one instance on that term; None where it cannot be rented so.

    The listed price is exact, but for spot prices, which move; otherwise on-demand less the usual reduction, with its range, where the
    provider is known to sell it.
    """
    listed = getattr(price, _LISTED[term]) if term in _LISTED else None
    if listed is not None:
        basis = f"{price.provider} {price.name} {price.region}, {term}, {price.as_of}".removesuffix(", ")
        moves = systems.figure("spot-price-spread").value if term == "spot" else 0.0
        return Estimate(value=listed, low=listed * (1 - moves), high=listed * (1 + moves), basis=basis)
    if price.on_demand is None or term not in _REDUCTION or price.quoted:
        return None
    if term == "spot" and not any(row.spot and row.provider == price.provider for row in systems.prices):
        return None
    cut = systems.figure(_REDUCTION[term])
    rate = price.on_demand
    basis = f"on-demand less {cut.value:.0%} ({cut.source})"
    return Estimate(value=rate * (1 - cut.value), low=rate * (1 - cut.high), high=rate * (1 - cut.low), basis=basis)


def worked_out(price: Price, term: Term, systems: Systems) -> str:
    """In words how a price that `price` does not state is assumed; '' where it states it, or where nothing is assumed."""
    if term not in _REDUCTION or getattr(price, _LISTED[term]) is not None:
        return ""
    return f"assumed: on-demand less {systems.figure(_REDUCTION[term]).value:.0%}"


def lost_share(interruptions_per_hour: float, lost_hours: float) -> float:
    """Hours paid again for each useful hour: each interruption loses the work since the last checkpoint and the restart."""
    return interruptions_per_hour * lost_hours


def rented(rate: Estimate, term: Term, *, months: float, utilisation: float, lost: float = 0.0) -> Estimate:
    """USD for one instance over `months`, busy for `utilisation` of the time; `lost` as from `lost_share` (spot).

    A reservation is paid in whole terms: 13 months of a 1-year reservation cost 24.
    """
    if term in COMMITTED_MONTHS:
        return rate.times(whole_terms(months * HOURS_MONTH, term) * HOURS_MONTH)
    return rate.times(months * HOURS_MONTH * utilisation * (1 + (lost if term == "spot" else 0.0)))


def whole_terms(hours: float, term: Term) -> float:
    """Months that are paid for where `hours` are needed: whole terms of a reservation, at least one."""
    months = COMMITTED_MONTHS[term]
    return max(1, math.ceil(hours / HOURS_MONTH / months - 1e-9)) * months


def newest(prices: Iterable[Price]) -> list[Price]:
    """One row for each (provider, instance, region): each price from the newest row that states it.

    Rows that say what was charged before a cut come last.
    """
    rows: dict[tuple[str, str, str], list[Price]] = {}
    for price in prices:
        rows.setdefault((price.provider, price.name, price.region), []).append(price)
    return [_merged(same) if len(same) > 1 else same[0] for same in rows.values()]


def _merged(rows: list[Price]) -> Price:
    """The newest row, what it leaves out filled from the next; its source names every row that a price came from."""
    first, *older = sorted(rows, key=lambda row: (row.as_of, "before" not in row.notes), reverse=True)
    if first.quoted:
        return first
    for row in older:
        missing = {name: getattr(row, name) for name in _PRICES if getattr(first, name) is None and getattr(row, name) is not None}
        if missing:
            source = f"{first.source}; {', '.join(missing)}: {row.source} {row.as_of}"
            first = msgspec.structs.replace(first, **missing, source=source, verified=first.verified and row.verified)
    return first


_PRICES = (*_LISTED.values(), "purchase_usd")
