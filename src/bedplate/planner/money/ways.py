"""The ways to have one node: every offer to rent it, and what buying it takes.

Choices: a rented instance stands for a bought node (and the other way round) when it has the same accelerator; offers are brought to the
node's number of accelerators. A bought node draws the usual share of its nameplate, busy or idle (`node-busy-share`, `node-idle-share`).
"""

from __future__ import annotations

import difflib
import math

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.core.units import show_number, show_usd
from bedplate.planner.asking.questions import Cooling, Cost, Limits
from bedplate.planner.facts.systems import Node, Price, Systems
from bedplate.planner.places.grid import known, lies_in, two_letters

from .own import Ownership, ownership
from .rent import newest

MOST_MONTHS = 1200.0
"""A century: what is asked for longer is a slip of the pen."""
MOST_NODES = 1_000_000
"""More than all that were ever built of one kind."""
CHASSIS = 1.35
"""Price of a server over that of its accelerators: the ratio of DGX to loose cards in the purchase rows (1.25 to 1.45)."""


class Purchase(Record, frozen=True, kw_only=True):
    """What a node costs to buy and draws, and where that is from."""

    name: str
    usd: float
    kw: float
    source: str
    verified: bool


def sold(limits: Limits, systems: Systems) -> None:
    """Raises UserError, with the nearest name, for a place that nothing is known of or a provider that no price row names."""
    for place in (limits.region, *limits.residency):
        known(place, systems)
    sellers = {row.provider for row in systems.prices} - {"purchase"}
    for name in limits.providers:
        if name not in sellers:
            near = difflib.get_close_matches(name.lower(), sellers, n=1)
            told = ", ".join(sorted(sellers))
            raise UserError(f"there is no provider '{name}'", why=f"known: {told}", next=f"--provider {near[0] if near else 'aws'}")


def offers(node: Node, systems: Systems, limits: Limits) -> list[Price]:
    """The newest price rows that the limits allow: of this very instance if it is one, else of instances as large."""
    sold(limits, systems)
    rows = [row for row in newest(systems.prices) if row.provider != "purchase" and row.accelerator == node.accelerator]
    own = [row for row in rows if row.name == node.name]
    whole = [row for row in rows if row.n_accel == node.n_accel]
    return within(own or whole or rows, systems, limits)


def within(rows: list[Price], systems: Systems, limits: Limits) -> list[Price]:
    """The rows of the providers and places that the limits allow."""
    if limits.providers:
        rows = [row for row in rows if row.provider in limits.providers]
    if limits.region:
        rows = [row for row in rows if lies_in(row.region, limits.region, systems)]
    return [row for row in rows if not limits.residency or any(lies_in(row.region, place, systems) for place in limits.residency)]


def purchase(node: Node, systems: Systems) -> Purchase | None:
    """What buying this node takes: its own row, a node with the same accelerators, or the cards and a chassis. None: no price is known."""
    bought = {row.name: row for row in systems.prices if row.purchase_usd}
    kw = kilowatts(node, systems)
    if kw is None:
        return None
    twins = [n for n in systems.nodes.values() if n.accelerator == node.accelerator and n.n_accel == node.n_accel and n.name in bought]
    if node.name in bought or twins:
        row = bought[node.name if node.name in bought else twins[0].name]
        return Purchase(
            name=row.name, usd=row.purchase_usd or 0.0, kw=kw, source=f"{row.name}: {row.source} {row.as_of}", verified=row.verified
        )
    card = bought.get(node.accelerator)
    if card is None:
        return None
    usd = (card.purchase_usd or 0.0) * node.n_accel * CHASSIS
    return Purchase(
        name=node.name,
        usd=usd,
        kw=kw,
        source=f"{node.n_accel} x {card.name} and {CHASSIS - 1:.0%} for the server: {card.source}",
        verified=False,
    )


def kilowatts(node: Node, systems: Systems) -> float | None:
    """Nameplate kW: the node's, that of a twin, or 1.8 times its accelerators' board power (DGX H100: 10.2 kW for 5.6)."""
    if node.max_power_kw:
        return node.max_power_kw
    for twin in systems.nodes.values():
        if twin.accelerator == node.accelerator and twin.n_accel == node.n_accel and twin.max_power_kw:
            return twin.max_power_kw
    chip = systems.accelerator(node.accelerator)
    return chip.tdp_w * node.n_accel * 1.8 / 1000 if chip.tdp_w else None


def housed(node: Node) -> Cooling:
    """The cooling of a bought node where nobody says: what `size site` chooses for it (air costs more in electricity than doors save)."""
    return "liquid" if node.cooling == "liquid" else "rear-door"


def terms_of_owning(bought: Purchase, systems: Systems, *, utilisation: float, cooling: Cooling, usd_per_kwh: float) -> Ownership:
    """The usual terms for a bought node that is busy for `utilisation` of the time."""
    busy, idle = systems.figure("node-busy-share").value, systems.figure("node-idle-share").value
    mean = bought.kw * (busy * utilisation + idle * (1 - utilisation))
    pue = systems.figure(f"pue-{cooling}").value
    return ownership(systems, purchase_usd=bought.usd, nameplate_kw=bought.kw, mean_kw=mean, pue=pue, usd_per_kwh=usd_per_kwh)


def data_usd(question: Cost, systems: Systems, *, own: bool = False) -> dict[str, float]:
    """USD over all months for data that is kept and that is sent out; from one's `own` hall at the low end of what sending costs."""
    egress = systems.figure("egress-usd-gb")
    return {
        "storage": question.storage_tb * systems.figure("object-storage-usd-tb-month").value * question.months,
        "egress": question.egress_tb_month * 1000 * (egress.low if own else egress.value) * question.months,
    }


def electricity(systems: Systems, region: str) -> tuple[float, str]:
    """USD per kWh of a region (longest match of its name) and where from; the general figure where it is not known."""
    rows = [grid for grid in systems.grids if grid.usd_per_kwh is not None and grid.region]
    near = [grid for grid in rows if region and f"{region.upper()}-".startswith(f"{grid.region}-")]
    near = near or [grid for grid in rows if grid.region == two_letters(region, systems)]
    if near:
        best = max(near, key=lambda grid: len(grid.region))
        return best.usd_per_kwh or 0.0, f"{best.name}: {best.source}"
    usual = systems.figure("electricity-usd-kwh")
    return usual.value, usual.source


def with_unit(value: float, name: str, systems: Systems) -> str:
    """What a bar of a tornado moves from or to: with the unit of its row, or as the money, share or power that it is."""
    if name in systems.figures:
        return f"{show_number(value)} {systems.figures[name].unit}".removesuffix(" ratio")
    units = {"electricity": "USD/kWh", "networks, storage, racks": "of the nodes", "mean power": "kW a node"}
    return f"{show_number(value)} {units[name]}" if name in units else show_usd(value) if "price" in name else show_number(value)


def checked(question: Cost, node: Node) -> None:
    """Raises UserError for a number, a share, a time or an amount of data that is none."""
    if not 0 < question.utilisation <= 1:
        raise UserError(f"utilisation {question.utilisation:g} is no share of the time", next="give it as 60% or 0.6")
    if not 0 < question.months <= MOST_MONTHS:
        raise UserError(f"{question.months:g} months is no time", why=f"for {node.name}", next="--months 36")
    if not 1 <= question.count <= MOST_NODES:
        raise UserError(f"{question.count:,} of {node.name} are no machines", why=f"from 1 to {MOST_NODES:,}", next="--count 1")
    for name, value in (("egress", question.egress_tb_month), ("storage", question.storage_tb)):
        if not 0 <= value < math.inf:
            raise UserError(f"{value:g} TB of {name} is no amount of data", next="give it in TB, 0 or more")
