"""Paying for a load that rises and falls: reserved for the base, on demand and spot for the rest, by provider.

Choices: the curve is one period (a day, a week) that repeats over the question's months; fractions of nodes are left as the solver
finds them. Only providers with an on-demand and a reserved price are mixed.
"""

from __future__ import annotations

import math

import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.estimate import Estimate
from bedplate.planner.questions import Cost
from bedplate.planner.sizing import Breakdown, Design, Part
from bedplate.planner.systems import Node, Price, Systems

from .mix import Mix, Rates, Solve, cheapest
from .rent import HOURS_MONTH, hourly, lost_share
from .ways import offers

LOST_HOURS = 0.5
"""Lost at each interruption of a spot node: half a checkpoint interval of half an hour, and a quarter of an hour to start again."""
SPOT_SHARE = 0.5
"""The most of a load that is put on nodes that may be reclaimed at will: the other half answers while they are replaced."""


def under_load(question: Cost) -> Cost:
    """The question with as many nodes as the curve's highest hour, busy for its mean. Raises UserError for a curve of nothing."""
    if not question.load:
        return question
    most = max(question.load)
    if min(question.load) < 0 or not most > 0:
        raise UserError("the load has no hour above nothing, or one below", next="one number of nodes a line, an hour each")
    return msgspec.structs.replace(question, count=math.ceil(most), utilisation=sum(question.load) / len(question.load) / math.ceil(most))


def mixed(question: Cost, node: Node, systems: Systems, solve: Solve) -> list[Design]:
    """The cheapest mix at each provider, for the curve of the question."""
    offered: dict[str, tuple[Price, Rates]] = {}
    for price in offers(node, systems, question.limits):
        rates = _rates(price, node, systems)
        if rates is not None and (price.provider not in offered or rates.reserved < offered[price.provider][1].reserved):
            offered[price.provider] = (price, rates)
    return [_design(question, node, price, rates, cheapest(question.load, rates, solve)) for price, rates in offered.values()]


def _rates(price: Price, node: Node, systems: Systems) -> Rates | None:
    """USD per hour of one such node on each term. A year's reservation: a curve is seldom known for three."""
    found = {term: hourly(price, term, systems) for term in ("on-demand", "spot", "reserved-1y")}
    on_demand, spot, reserved = found["on-demand"], found["spot"], found["reserved-1y"]
    if on_demand is None or reserved is None:
        return None
    size = node.n_accel / price.n_accel
    lost = lost_share(systems.figure("spot-interruptions-day").value / 24, LOST_HOURS)
    return Rates(
        reserved=reserved.value * size, on_demand=on_demand.value * size, spot=spot.value * size if spot else None,
        spot_overhead=1 + lost, spot_share=SPOT_SHARE,
    )  # fmt: skip


def _design(question: Cost, node: Node, price: Price, rates: Rates, mix: Mix) -> Design:
    """The mix over all months: the curve's period as often as it fits."""
    periods = question.months * HOURS_MONTH / len(question.load)
    parts = {
        "reserved": mix.reserved * rates.reserved * len(question.load) * periods,
        "on demand": mix.on_demand_hours * rates.on_demand * periods,
        "spot": mix.spot_hours * (rates.spot or 0.0) * periods,
    }
    usd = mix.usd * periods
    useful = sum(question.load) * periods * node.n_accel
    cost = Estimate(value=usd, low=usd * 0.9, high=usd * 1.15, basis="linear programme over the load curve")
    return Design(
        name=f"{price.provider} {price.name} mix", accelerator=node.accelerator, node=price.name, n_nodes=question.count,
        n_accel=node.n_accel * question.count, provider=price.provider, region=price.region, term="mix",
        layout={"reserved nodes": round(mix.reserved, 2), "on-demand node-hours a period": round(mix.on_demand_hours, 1),
                "spot node-hours a period": round(mix.spot_hours, 1)},
        quantities={
            "cost_usd": cost, "usd_per_month": cost.times(1 / question.months), "usd_per_useful_accel_hour": cost.times(1 / useful),
        },
        breakdowns=(Breakdown(name="money", unit="USD", parts=tuple(Part(name=k, value=v) for k, v in parts.items() if v > 0)),),
    )  # fmt: skip
