"""Nodes into racks: how many each rack holds under its power, its cooling and its height, and what feeds it.

    nodes in a rack   min(kW limit / node kW, units / node units), at least one if the limit carries one
    breaker           P / (sqrt(3) x V x power factor), a quarter more for continuous load (NEC 210.20), next standard size
    UPS, generators   ceil(load / module) + 1 (N+1); batteries hold the load for some minutes

Choices: a machine built for liquid goes only where liquid is, one built for air before air or a chilled door; liquid or immersion can be
asked for all the same, as its maker's other version. A cloud's instance that nobody sells is
sized as the nearest server with the same accelerators. Limits: no floor load, no piping, no phase balance.
"""

from __future__ import annotations

import math

import msgspec

from bedplate.core.errors import NotFound, UserError
from bedplate.core.records import Record
from bedplate.planner.asking.questions import Cooling
from bedplate.planner.facts.systems import Node, Systems
from bedplate.planner.money.ways import kilowatts

COOLINGS: tuple[Cooling, ...] = ("air", "rear-door", "liquid", "immersion")
BREAKERS = (16, 20, 32, 40, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400)
"""Standard sizes, A (IEC 60898-1 and 60947-2)."""
CONTINUOUS = 1.25
WHOLE_RACK_UNITS = 42
KW_A_UNIT = 1.3
"""Density of air-cooled accelerated servers (DGX H100: 10.2 kW in 8 units), where a node's height is not known."""
CLOUDS = ("aws", "gcp", "azure", "oci")


class Packing(Record, frozen=True, kw_only=True):
    """`per_rack` nodes of `kw_per_rack` at their nameplate under a limit of `limit_kw`; `bound`: what ends it."""

    cooling: Cooling
    limit_kw: float
    per_rack: int
    node_racks: int
    other_racks: int
    kw_per_rack: float
    bound: str

    @property
    def racks(self) -> int:
        return self.node_racks + self.other_racks


class Electrical(Record, frozen=True, kw_only=True):
    """What stands between the grid and the racks; counts with the spare one (N+1), `breaker_a` of each of the two sides of a rack."""

    ups_modules: int
    battery_kwh: float
    generators: int
    transformers: int
    breaker_a: int
    feeds: int


RACK_FIGURES = ("rack-units-usable", "rack-usd", "rack-m2")
POWER_FIGURES = ("ups-module-kw", "ups-minutes", "generator-kw", "transformer-kw", "feed-volts", "power-factor")


def named(name: str, systems: Systems) -> Node:
    """The node of that name, or the server that an accelerator's own maker sells, else the largest. Raises NotFound."""
    try:
        return systems.node(name)
    except NotFound:
        chips = {alias.lower(): chip for chip in systems.accelerators.values() for alias in (chip.name, *chip.aliases)}
        chip = chips.get(name.lower())
        nodes = [node for node in systems.nodes.values() if chip and node.accelerator == chip.name]
        if chip is None or not nodes:
            raise
        return max([node for node in nodes if node.provider == chip.vendor] or nodes, key=lambda node: node.n_accel)


def standing(node: Node, systems: Systems) -> Node:
    """The node as it would stand in a rack: power, height and cooling filled in from a server with the same accelerators.

    Raises UserError where nothing is known of its power.
    """
    twins = [n for n in systems.nodes.values() if n.accelerator == node.accelerator and n.n_accel == node.n_accel and n.max_power_kw]
    kw = kilowatts(node, systems)
    if kw is None:
        raise UserError(f"nothing is known of the power of {node.name}", next="give it in a nodes.csv of your own: --systems FOLDER")
    like = node if node.max_power_kw else (twins[0] if twins else node)
    return msgspec.structs.replace(
        node, max_power_kw=kw, rack_units=node.rack_units or like.rack_units or math.ceil(kw / KW_A_UNIT),
        cooling=node.cooling or like.cooling or "air", provider=like.provider if node.provider in CLOUDS else node.provider,
    )  # fmt: skip


def allowed(node: Node) -> tuple[Cooling, ...]:
    """The kinds of cooling that a node as sold can live with."""
    return ("liquid", "immersion") if node.cooling == "liquid" else ("air", "rear-door")


def pack(
    node: Node, nodes: int, cooling: Cooling, limit_kw: float, systems: Systems, *, other_kw: float, other_units: float
) -> Packing | None:
    """The racks under a limit; None: not one node fits. `other`: switches and storage, in racks of their own."""
    kw, units = node.max_power_kw or 0.0, node.rack_units or 1
    usable = systems.figure("rack-units-usable").value
    whole = units >= WHOLE_RACK_UNITS
    by_power, by_height = math.floor(limit_kw / kw + 1e-9), 1 if whole else math.floor(usable / units)
    per_rack = min(by_power, by_height)
    if per_rack < 1:
        return None
    other = max(other_units / usable, other_kw / min(limit_kw, systems.figure("rack-kw-air").value))
    return Packing(
        cooling=cooling, limit_kw=limit_kw, per_rack=per_rack, node_racks=math.ceil(nodes / per_rack), other_racks=math.ceil(other),
        kw_per_rack=min(per_rack, nodes) * kw, bound="a rack of its own" if whole else "power" if by_power < by_height else "height",
    )  # fmt: skip


def electrical(it_kw: float, site_kw: float, kw_per_rack: float, systems: Systems) -> Electrical:
    """UPS for the IT load, generators and transformers for the whole site, and the feed of a rack: each side carries all of it."""
    amps = kw_per_rack * 1000 / (math.sqrt(3) * systems.figure("feed-volts").value * systems.figure("power-factor").value) * CONTINUOUS
    feeds = math.ceil(amps / BREAKERS[-1])
    return Electrical(
        ups_modules=math.ceil(it_kw / systems.figure("ups-module-kw").value) + 1,
        battery_kwh=it_kw * systems.figure("ups-minutes").value / 60,
        generators=math.ceil(site_kw / systems.figure("generator-kw").value) + 1,
        transformers=math.ceil(site_kw / systems.figure("transformer-kw").value) + 1,
        breaker_a=next(size for size in BREAKERS if size >= amps / feeds),
        feeds=2 * feeds,
    )
