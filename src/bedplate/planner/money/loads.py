"""Paying for a load that rises and falls: reserved for the base, on demand and spot for the rest, by provider.

Choices: the curve is one period (a day, a week) that repeats over the question's months. A reservation is the cheaper of one year and
three, paid in whole terms whatever the months; a provider's own spot price counts, else the usual one as in `rent.hourly`. Only terms that
the question allows are mixed, spot only where it is named, and no mix goes without on-demand nodes: they carry what nothing else is there
for.
"""

from __future__ import annotations

import math

import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Cost, Term
from bedplate.planner.asking.sizing import Breakdown, Design, Part
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.systems import Node, Price, Systems

from .mix import Mix, Rates, Solve, cheapest
from .rent import HOURS_MONTH, hourly, lost_share, rented, worked_out
from .ways import MOST_NODES, data_usd, offers

RENTED: tuple[Term, ...] = ("on-demand", "spot", "reserved-1y", "reserved-3y")
COMMITTED: tuple[Term, ...] = ("reserved-1y", "reserved-3y")
LOST_HOURS = 0.5
"""Lost at each interruption of a spot node: half a checkpoint interval of half an hour, and a quarter of an hour to start again."""
SPOT_SHARE = 0.5
"""The most of a load that is put on nodes that may be reclaimed at will: the other half answers while they are replaced."""


def under_load(question: Cost) -> Cost:
    """The question with as many nodes as the curve's highest hour, busy for its mean. Raises UserError for a curve of nothing."""
    if not question.load:
        return question
    most = max(question.load)
    if not all(0 <= nodes <= MOST_NODES for nodes in question.load) or not most > 0:
        raise UserError(
            "the load needs no node in any hour" if not any(question.load) else "the load has an hour that is no number of nodes",
            next=f"one number of nodes a line, an hour each, from 0 to {MOST_NODES:,}",
        )  # fmt: skip
    return msgspec.structs.replace(question, count=math.ceil(most), utilisation=sum(question.load) / len(question.load) / math.ceil(most))


def mixed(question: Cost, node: Node, systems: Systems, solve: Solve) -> list[Design]:
    """The cheapest mix at each provider, for the curve of the question."""
    best: dict[str, Design] = {}
    for price in offers(node, systems, question.limits):
        for term in COMMITTED:
            rates = _rates(question, term, price, node, systems)
            if rates is None:
                continue
            made = _design(question, node, price, rates, term, cheapest(question.load, rates, solve), systems)
            known = best.get(price.provider)
            if known is None or made.quantities["cost_usd"].value < known.quantities["cost_usd"].value:
                best[price.provider] = made
    return list(best.values())


def _rates(question: Cost, term: Term, price: Price, node: Node, systems: Systems) -> Rates | None:
    """USD per hour of one such node, reserved on that term; None where the question or the provider leaves nothing to mix."""
    allowed = question.limits.terms or ("on-demand", *COMMITTED)
    size = node.n_accel / price.n_accel
    rate = {one: found.value * size for one in RENTED if one in allowed and (found := hourly(price, one, systems))}
    reserved = hourly(price, term, systems) if term in allowed else None
    if "on-demand" not in rate or reserved is None:
        return None
    paid = rented(reserved, term, months=question.months, utilisation=1.0).value * size / (question.months * HOURS_MONTH)
    lost = lost_share(systems.figure("spot-interruptions-day").value / 24, LOST_HOURS)
    return Rates(reserved=paid, on_demand=rate["on-demand"], spot=rate.get("spot"), spot_overhead=1 + lost, spot_share=SPOT_SHARE)


def _design(question: Cost, node: Node, price: Price, rates: Rates, term: Term, mix: Mix, systems: Systems) -> Design:
    """The mix over all months: the curve's period as often as it fits."""
    periods = question.months * HOURS_MONTH / len(question.load)
    data = data_usd(question, systems)
    parts = {
        term: mix.reserved * rates.reserved * len(question.load) * periods,
        "on demand": mix.on_demand_hours * rates.on_demand * periods,
        "spot": mix.spot_hours * (rates.spot or 0.0) * periods,
    } | data
    usd = mix.usd * periods + sum(data.values())
    useful = sum(question.load) * periods * node.n_accel
    cost = Estimate(value=usd, low=usd * 0.9, high=usd * 1.15, basis="linear programme over the load curve, whole nodes")
    return Design(
        name=f"{price.provider} {price.name} mix", accelerator=node.accelerator, node=price.name, n_nodes=question.count,
        n_accel=node.n_accel * question.count, provider=price.provider, region=price.region, term="mix",
        layout={
            f"nodes {term}": mix.reserved, "on-demand node-hours a period": round(mix.on_demand_hours, 1),
            "spot node-hours a period": round(mix.spot_hours, 1),
        } | ({"price": told} if (told := worked_out(price, term, systems)) else {}),
        quantities={
            "cost_usd": cost, "usd_per_month": cost.times(1 / question.months), "usd_per_useful_accel_hour": cost.times(1 / useful),
        },
        breakdowns=(Breakdown(name="money", unit="USD", parts=tuple(Part(name=k, value=v) for k, v in parts.items() if v > 0)),),
    )  # fmt: skip
