"""Renting instead: the cheapest offer of as many whole nodes for as long."""

from __future__ import annotations

from bedplate.planner.asking.questions import Site, Term
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.systems import Node, Price, Systems
from bedplate.planner.money.rent import HOURS_MONTH, hourly, rented
from bedplate.planner.money.ways import offers

TERMS: tuple[Term, ...] = ("on-demand", "reserved-1y", "reserved-3y")
"""A site stands for years: what is reclaimed at will is no alternative to it."""


def cheapest_rent(node: Node, question: Site, systems: Systems) -> Design | None:
    """The cheapest way to rent as many nodes of that size; None: no price is known within the limits."""
    found = [_design(node, question, systems, price, term) for price in offers(node, systems, question.limits) for term in TERMS]
    return min((one for one in found if one), key=lambda one: one.quantities["cost_usd"].value, default=None)


def _design(node: Node, question: Site, systems: Systems, price: Price, term: Term) -> Design | None:
    rate = hourly(price, term, systems)
    if rate is None or price.n_accel != node.n_accel:
        return None
    usd = rented(rate, term, months=question.months, utilisation=question.utilisation).times(question.nodes)
    useful = question.months * HOURS_MONTH * question.utilisation * node.n_accel * question.nodes
    return Design(
        name=f"{price.provider} {price.name} {term}", accelerator=node.accelerator, node=price.name, n_nodes=question.nodes,
        n_accel=node.n_accel * question.nodes, provider=price.provider, region=price.region, term=term,
        quantities={
            "cost_usd": usd, "usd_per_month": usd.times(1 / question.months), "usd_per_useful_accel_hour": usd.times(1 / useful)
        },
    )  # fmt: skip
