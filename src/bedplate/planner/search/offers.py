"""Which machines a question may use, and on what terms: the cheapest offer for each accelerator and term within the limits.

Choices: a name in `on` is an accelerator or a node; a node stands for its accelerator at that provider. Without names, every accelerator
with a price and a matrix unit is looked at. Export classes have an order (`systems.EXPORT_ORDER`). A machine that is bought is paid for
by the month of its life (`money.own`), as if its next job waits. A node that is only bought stands for the instances of as many of its
accelerators. One that no row has a price of is sized without money, and the answer says so; where there are prices, but none within the
limits, nothing is on offer.
Limits: capacity in a region is not known; the lead time of a purchase is in `site`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from bedplate.core.errors import NotFound, UserError
from bedplate.core.records import Record
from bedplate.planner.asking.questions import Batch, Finetune, Limits, Serve, Term, Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.systems import Accelerator, Node, Price, Systems
from bedplate.planner.money.own import monthly
from bedplate.planner.money.rent import HOURS_MONTH, hourly, newest, worked_out
from bedplate.planner.money.ways import electricity, housed, purchase, sold, terms_of_owning, within
from bedplate.planner.money.ways import offers as rented_instead
from bedplate.planner.places.grid import carbon

HOST_SHARE = 0.35
"""Power of processors, memory, network cards and fans over that of the accelerators: DGX H100 draws 10.2 kW for 5.6 kW of GPUs at its
limit and about 1.35 times its GPUs at work (MLPerf Power v4.1 system figures)."""


class Offer(Record, frozen=True, kw_only=True):
    """One accelerator on one term: USD per accelerator and hour (None: no price is known), and what its electricity does."""

    chip: Accelerator
    node: Node | None
    per_node: int
    provider: str
    region: str
    term: Term
    usd_hour: Estimate | None
    capex_usd: float = 0.0
    """USD to be invested in a node, its installation included, where it is bought."""
    pue: float
    g_per_kwh: float
    source: str = ""
    verified: bool = True
    assumed: str = ""
    """How the price was worked out where no row states it."""
    pue_source: str = ""


def usual_terms(question: Train | Finetune | Serve | Batch) -> tuple[Term, ...]:
    """The terms looked at where none is named: a job does not pay for years, and a service does not run on machines reclaimed at will.

    A job on them is shown beside the others, and chosen only where it is named (`chosen_from`).
    """
    if not isinstance(question, Serve):
        return ("on-demand", "spot")
    if question.months < 12:
        return ("on-demand",)
    return ("on-demand", "reserved-1y", "buy") if question.months < 36 else ("on-demand", "reserved-1y", "reserved-3y", "buy")


def offers(limits: Limits, systems: Systems, terms: tuple[Term, ...]) -> list[Offer]:
    """The cheapest offer of each accelerator, size of instance and term (`terms` where the limits name none).

    Raises NotFound for an unknown name, UserError where none is left.
    """
    sold(limits, systems)
    found: list[Offer] = []
    for chip, only in _chips(limits, systems):
        if chip.exceeds(limits.export):
            continue
        for term in limits.terms or terms:
            bought = _bought(chip, only, limits, systems) if term == "buy" else None
            found += [bought] if bought else _rented(chip, only, term, limits, systems)
    if not found and not limits.providers and "on-demand" in (limits.terms or ("on-demand",)):
        rented_of = {row.accelerator for row in systems.prices if row.provider != "purchase"}
        found = [_unpriced(chip, systems, limits) for chip in named(limits, systems) if chip.name not in rented_of]
    if not found:
        raise UserError(
            "no machine is on offer within these limits", why=_said(limits),
            next="drop --region, --provider, --term or --export, or bring a prices.csv: --systems FOLDER",
        )  # fmt: skip
    return found


def _said(limits: Limits) -> str:
    told = {
        "region": limits.region,
        "provider": ", ".join(limits.providers),
        "term": ", ".join(limits.terms),
        "export": limits.export,
        "residency": ", ".join(limits.residency),
    }
    return ", ".join(f"{name} {value}" for name, value in told.items() if value) or "no price is known"


def _chips(limits: Limits, systems: Systems) -> list[tuple[Accelerator, Node | None]]:
    """(accelerator, the node that was named or None)."""
    if not limits.on or limits.on == ("any",):
        priced = {price.accelerator for price in systems.prices}
        return [(chip, None) for name, chip in systems.accelerators.items() if name in priced and chip.peak("bf16") and chip.tdp_w]
    return [_named(name, systems) for name in limits.on]


def named(limits: Limits, systems: Systems) -> list[Accelerator]:
    """The accelerators that were asked for by name."""
    return [_named(name, systems)[0] for name in limits.on if name != "any"]


def _named(name: str, systems: Systems) -> tuple[Accelerator, Node | None]:
    try:
        return systems.accelerator(name), None
    except NotFound as error:
        try:
            node = systems.node(name)
        except NotFound:
            raise error from None
        return systems.accelerator(node.accelerator), node


def _rows(chip: Accelerator, only: Node | None, limits: Limits, systems: Systems) -> Iterable[Price]:
    """The rows to rent by: of the node that was named if it is one, else of instances of as many accelerators (`money.ways.offers`)."""
    if only is not None:
        return rented_instead(only, systems, limits)
    return within([row for row in newest(systems.prices) if row.provider != "purchase" and row.accelerator == chip.name], systems, limits)


def _rented(chip: Accelerator, only: Node | None, term: Term, limits: Limits, systems: Systems) -> list[Offer]:
    """The cheapest row of each size of instance."""
    best: dict[int, tuple[Price, Estimate]] = {}
    for row in _rows(chip, only, limits, systems):
        rate = hourly(row, term, systems)
        if rate is not None and (row.n_accel not in best or rate.value < best[row.n_accel][1].value):
            best[row.n_accel] = (row, rate)
    return [
        Offer(
            chip=chip, node=systems.nodes.get(row.name) or _stands_for(row, chip, systems), per_node=row.n_accel, provider=row.provider,
            region=row.region, term=term, usd_hour=rate.times(1 / row.n_accel), pue=_fleet_pue(row.provider, systems)[0],
            g_per_kwh=carbon(row.region, systems), source=f"{row.provider} {row.name} {row.region}: {row.source}",
            verified=row.verified and not worked_out(row, term, systems), assumed=worked_out(row, term, systems),
            pue_source=_fleet_pue(row.provider, systems)[1],
        )
        for row, rate in best.values()
    ]  # fmt: skip


def _stands_for(row: Price, chip: Accelerator, systems: Systems) -> Node | None:
    """A node with as many of the same accelerators, for an instance that the catalogue does not list: its network is taken to be alike."""
    if chip.kind == "tpu":
        return node_of(chip, systems)
    return next((n for n in systems.nodes.values() if n.accelerator == chip.name and n.n_accel == row.n_accel), None)


def joins(offer: Offer, n_accel: int) -> bool:
    """Whether that many accelerators can work on one job: in one node, over its network, or in one scale-up domain (TPU slices)."""
    if n_accel <= offer.per_node:
        return True
    if offer.chip.kind == "tpu" and n_accel <= offer.chip.scaleup_domain:
        return True
    return offer.node is not None and bool(offer.node.nic_gbps) and offer.node.n_accel == offer.per_node and n_accel % offer.per_node == 0


def _bought(chip: Accelerator, only: Node | None, limits: Limits, systems: Systems) -> Offer | None:
    node = only or node_of(chip, systems)
    if node is None or limits.providers:
        return None
    bought = purchase(node, systems)
    if bought is None:
        return None
    rate, _ = electricity(systems, limits.region)
    terms = terms_of_owning(bought, systems, utilisation=1.0, cooling=housed(node), usd_per_kwh=rate)
    usd = monthly(terms).total / HOURS_MONTH / node.n_accel
    return Offer(
        chip=chip, node=node, per_node=node.n_accel, provider="own", region=limits.region, term="buy",
        usd_hour=Estimate(value=usd, low=usd * 0.8, high=usd * 1.3, basis=bought.source), pue=terms.pue,
        capex_usd=bought.usd * (1 + terms.installation),
        g_per_kwh=carbon(limits.region, systems), source=bought.source, verified=bought.verified,
        pue_source=f"pue-{housed(node)}, as size site houses it: {systems.figure(f'pue-{housed(node)}').source}",
    )  # fmt: skip


def chosen_from(designs: Sequence[Design], limits: Limits) -> list[Design]:
    """The designs that may be chosen: on machines reclaimed at will only where that is named, or where nothing else is on offer."""
    kept = [design for design in designs if design.term != "spot" or "spot" in limits.terms]
    return kept or list(designs)


def _unpriced(chip: Accelerator, systems: Systems, limits: Limits) -> Offer:
    """A machine that was asked for by name and has no price: sized without money, where the data may lie."""
    node, place = node_of(chip, systems), limits.region or (limits.residency[0] if len(limits.residency) == 1 else "")
    return Offer(
        chip=chip, node=node, per_node=node.n_accel if node else 1, provider="", region=place, term="on-demand", usd_hour=None,
        pue=_fleet_pue("", systems)[0], pue_source=_fleet_pue("", systems)[1], g_per_kwh=carbon(place, systems),
    )  # fmt: skip


def node_of(chip: Accelerator, systems: Systems) -> Node | None:
    """The vendor's own node of an accelerator, else the largest that is sold."""
    nodes = [node for node in systems.nodes.values() if node.accelerator == chip.name]
    own = [node for node in nodes if node.provider == chip.vendor]
    return max(own or nodes, key=lambda node: node.n_accel, default=None)


def _fleet_pue(provider: str, systems: Systems) -> tuple[float, str]:
    """PUE of a cloud's fleet where it publishes one, else the survey's average; and where it is from."""
    names = {"aws": "AWS", "gcp": "Google", "azure": "Microsoft", "oci": "OCI"}
    for grid in systems.grids:
        if grid.pue is not None and provider in names and grid.name.startswith(names[provider]):
            return grid.pue, f"{grid.name}: {grid.source}"
    usual = systems.figure("pue-air")
    return usual.value, f"pue-air: {usual.source}"


def machine_key(offer: Offer) -> tuple[str, int]:
    """Offers with the same key differ in money only: what runs on them is worked out once."""
    return offer.chip.name, offer.per_node


def stands_behind(offer: Offer, design: Design) -> bool:
    """Whether a design was made with this offer."""
    kept = (design.accelerator, design.term, design.provider, design.region, design.n_nodes)
    return kept == (offer.chip.name, offer.term, offer.provider, offer.region, math.ceil(design.n_accel / offer.per_node))
