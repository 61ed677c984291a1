"""One way to house the machines, worked out: racks, networks, storage, power, a year of running, money and time, as a Design.

Choices: the names of quantities and breakdowns are those that every answer of `size` uses where it has them (`cost_usd`, `power_max_w`,
`time_s`); what only a site has carries its unit at the end of its name. Every part of a breakdown is of the same unit and adds up.
"""

from __future__ import annotations

from typing import Any

from bedplate.core.records import Record
from bedplate.planner.asking.questions import Cooling, Site
from bedplate.planner.asking.sizing import Breakdown, Design, Part, Sensitivity
from bedplate.planner.facts.estimate import Estimate, exact, total
from bedplate.planner.facts.systems import Accelerator, Node, Systems
from bedplate.planner.money.rent import HOURS_MONTH
from bedplate.planner.money.ways import Purchase

from .energy import Load, Year, by_hour, load, year
from .fabric import Fabric, compute_fabric, front_fabric
from .money import Bill, bill, ranged, spent_parts, swings
from .racks import Electrical, Packing, electrical, pack
from .storage import Need, Plan, checkpoint_stall, input_stall, need, plan
from .timeline import Schedule, schedule
from .ways import Way, limit_kw

WEEK_S = 7 * 86400.0
MANAGEMENT_UNITS = 20


class Parts(Record, frozen=True, kw_only=True):
    """Everything of one way; None where it cannot be known."""

    way: Way
    cooling: Cooling
    packing: Packing
    fabric: Fabric | None
    front: Fabric
    asked: Need
    store: Plan
    it: Load
    taken: Year
    feeds: Electrical
    timing: Schedule
    money: Bill | None
    bars: tuple[Sensitivity, ...]


class Given(Record, frozen=True, kw_only=True):
    """What every way shares."""

    question: Site
    node: Node
    chip: Accelerator
    bought: Purchase | None
    usd_per_kwh: float
    systems: Systems


def parts(given: Given, way: Way, cooling: Cooling) -> Parts | None:
    """One way under one cooling, worked out; None: not one node fits a rack."""
    q, systems, node = given.question, given.systems, given.node
    limit = limit_kw(q, way, cooling, systems)
    first = pack(node, q.nodes, cooling, limit, systems, other_kw=0, other_units=0)
    if first is None:
        return None
    asked = need(node, q.nodes, given.chip, systems, read=q.storage_read_gbs, checkpoint=q.checkpoint_tb, capacity=q.storage_tb)
    store = plan(asked, q.nodes, systems)
    fabric = compute_fabric(node, q.nodes, first.racks, systems, fabric=q.fabric, oversubscription=q.oversubscription, rails=q.rails)
    front = front_fabric(q.nodes, store.units + store.cold_units, first.racks, systems)
    networks = {one.name: one.kw for one in (fabric, front) if one}
    it = load(q.nodes * (node.max_power_kw or 0.0), networks, store.kw, q.utilisation, systems)
    switches = sum(one.tree.switches * (one.switch.rack_units or 1) for one in (fabric, front) if one)
    other_kw = it.it_kw - it.nameplate["nodes"]
    packing = pack(node, q.nodes, cooling, limit, systems, other_kw=other_kw, other_units=switches + store.rack_units + MANAGEMENT_UNITS)
    assert packing is not None, "what fits without its switches fits with them: they have racks of their own"
    taken = year(it, cooling, q.limits.region, systems)
    money, bars = _money(given, way, cooling, it, _equipment(fabric, front, store, packing, systems))
    return Parts(
        way=way, cooling=cooling, packing=packing, fabric=fabric, front=front, asked=asked, store=store, it=it, taken=taken,
        feeds=electrical(it.it_kw, taken.site_kw.value, packing.kw_per_rack, systems),
        timing=schedule(way, cooling, taken.site_kw.value, packing.racks, systems), money=money, bars=bars,
    )  # fmt: skip


def _equipment(fabric: Fabric | None, front: Fabric, store: Plan, packing: Packing, systems: Systems) -> dict[str, float]:
    compute = {"compute fabric": fabric.usd} if fabric else {}
    racks = packing.racks * systems.figure("rack-usd").value
    return compute | {"front network": front.usd, "storage": store.usd, "racks": racks}


def _money(given: Given, way: Way, cooling: Cooling, it: Load, equipment: dict[str, float]) -> tuple[Bill | None, tuple[Sensitivity, ...]]:
    if given.bought is None:
        return None, ()
    owing = bill(
        way, cooling, given.bought, given.question.nodes, given.systems,
        it_kw=it.it_kw, it_mean_kw=it.it_mean_kw.value, equipment=equipment, usd_per_kwh=given.usd_per_kwh,
    )  # fmt: skip
    return owing, swings(owing, given.question.months, cooling, way, given.systems)


def design(given: Given, made: Parts) -> Design:
    """The parts as the record that everything draws."""
    q, node = given.question, given.node
    return Design(
        name=f"{made.way}, {made.cooling}", accelerator=node.accelerator, node=node.name, n_accel=node.n_accel * q.nodes,
        n_nodes=q.nodes, provider="own", region=q.limits.region, term="buy", layout=_layout(q, made),
        quantities=_physical(made) | _priced(given, made), breakdowns=_breakdowns(given, made),
    )  # fmt: skip


def _layout(q: Site, made: Parts) -> dict[str, Any]:
    said: dict[str, Any] = {
        "way": made.way, "cooling": made.cooling, "rack limit kW": made.packing.limit_kw, "nodes a rack": made.packing.per_rack,
        "a rack ends at": made.packing.bound, "breaker A": made.feeds.breaker_a, "feeds a rack": made.feeds.feeds,
        "UPS modules (N+1)": made.feeds.ups_modules, "generators (N+1)": made.feeds.generators,
        "transformers (N+1)": made.feeds.transformers, "fast storage": f"{made.store.units} x {made.store.fast.name}",
        "object storage": f"{made.store.cold_units} x {made.store.cold.name}",
        "storage sized by": made.store.bound,
    }  # fmt: skip
    if made.fabric:
        built = made.fabric.tree
        said |= {
            "switch": made.fabric.switch.name, "levels": built.levels, "leaves": built.leaves, "spines": built.spines, "cores": built.cores,
            "oversubscription": q.oversubscription, "rails": q.rails, "bisection": round(built.bisection, 3),
        }  # fmt: skip
        gbps = made.fabric.gbps
        said |= {
            f"{tier} tier": f"{count} x {gbps:g}G over {link.name}{_ports(link.gbps / gbps)}"
            for tier, (link, count) in made.fabric.cables.items()
        }
    return said


def _ports(each: float) -> str:
    return f" ({each:g} ports a module)" if each >= 2 else ""


def _physical(made: Parts) -> dict[str, Estimate]:
    """Counts, power and a year's running."""
    packing, taken, store = made.packing, made.taken, made.store
    fabric_counts = {
        "switches": exact(made.fabric.tree.switches), "cables": exact(sum(made.fabric.tree.cables.values())),
        "optics": exact(made.fabric.optics), "fabric_w": made.fabric.kw.times(1000), "fabric_usd": exact(made.fabric.usd),
    } if made.fabric else {}  # fmt: skip
    stall = checkpoint_stall(made.asked, store.write_gbs)
    return {
        "racks": exact(packing.racks), "kw_per_rack": exact(packing.kw_per_rack), "it_w": exact(made.it.it_kw * 1000),
        "it_mean_w": made.it.it_mean_kw.times(1000), "pue": taken.pue, "power_max_w": taken.site_kw.times(1000),
        "power_w": taken.site_mean_kw.times(1000), "energy_mwh_year": taken.mwh, "carbon_t_year": taken.tonnes,
        "water_m3_year": total([taken.water_site_m3, taken.water_grid_m3]), "time_s": made.timing.weeks.times(WEEK_S),
        "storage_read_gbs": exact(store.read_gbs), "storage_write_gbs": exact(store.write_gbs),
        "storage_tb": exact(store.units * store.fast.capacity_tb + store.cold_units * store.cold.capacity_tb),
        "storage_usd": exact(store.usd), "input_stall": exact(input_stall(made.asked.read_gbs, store.read_gbs)),
        "checkpoint_stall": exact(stall), "battery_kwh": exact(made.feeds.battery_kwh), **fabric_counts,
    }  # fmt: skip


def _priced(given: Given, made: Parts) -> dict[str, Estimate]:
    if made.money is None or given.bought is None:
        return {}
    q = given.question
    usd = ranged(made.money, q.months, made.bars, given.bought.source)
    useful = q.months * HOURS_MONTH * q.utilisation * given.node.n_accel * q.nodes
    spread = given.systems.figure("price-spread").value
    capital = made.money.capital_usd
    return {
        "cost_usd": usd, "usd_per_month": usd.times(1 / q.months), "usd_per_useful_accel_hour": usd.times(1 / useful),
        "capex_usd": Estimate(value=capital, low=capital * (1 - spread), high=capital * (1 + spread), basis=given.bought.source),
    }  # fmt: skip


def _breakdowns(given: Given, made: Parts) -> tuple[Breakdown, ...]:
    """Power, water, carbon by hour, switches, cables, and where prices are known capital and money."""
    taken, it = made.taken, made.it
    lost, lost_mean = taken.site_kw.value - it.it_kw, taken.site_mean_kw.value - it.it_mean_kw.value
    found = [
        _split("power", "W", {name: kw * 1000 for name, kw in it.nameplate.items()} | {"cooling and losses": lost * 1000}),
        _split("mean power", "W", {name: kw.value * 1000 for name, kw in it.mean.items()} | {"cooling and losses": lost_mean * 1000}),
        _split("water", "m3", {"evaporated at the site": taken.water_site_m3.value, "taken by generation": taken.water_grid_m3.value}),
        by_hour(taken, given.question.limits.region, given.systems),
    ]
    if made.fabric:
        built = made.fabric.tree
        found.append(_split("switches", "count", {"leaf": built.leaves, "spine": built.spines, "core": built.cores}))
        found.append(_split("cables", "count", {f"{tier} tier": count for tier, count in built.cables.items()}))
    if made.money:
        found += [_split("capital", "USD", made.money.capital), spent_parts(made.money, given.question.months)]
    return tuple(found)


def _split(name: str, unit: str, parts: dict[str, float]) -> Breakdown:
    return Breakdown(name=name, unit=unit, parts=tuple(Part(name=part, value=value) for part, value in parts.items() if value))
