"""The network of a site as a bill of materials: which switch, how many by tier, cables and optics, their power and price.

Choices: the switch is the cheapest of the wanted fabric whose ports carry the rate of a node's network card (a faster port is split); a
cable is the cheapest whose reach is enough for its tier, and connections are counted at the host's rate, so that a twin-port 800G module
serves two of 400G. The front network (storage, users) is a second tree of Ethernet, two to one. Limits: no spare parts, no patch panels.
"""

from __future__ import annotations

import math

from bedplate.core.errors import NotFound, UserError
from bedplate.core.records import Record
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.systems import Link, Node, Switch, Systems

from .tree import Tree, tree

FRONT_GBPS = 200.0
FRONT_OVERSUBSCRIPTION = 2.0
COPPER_M = 2.0
"""Longest run inside a rack and to the next."""


class Fabric(Record, frozen=True, kw_only=True):
    """One network: `cables` by tier is (medium, connections at the host's rate); kW as drawn; USD of switches and cables apart.

    `optics` are modules: one of two ports serves two connections.
    """

    name: str
    switch: Switch
    tree: Tree
    gbps: float
    cables: dict[str, tuple[Link, int]]
    optics: int
    kw: Estimate
    switch_usd: float | None
    cable_usd: float

    @property
    def usd(self) -> float:
        return (self.switch_usd or 0.0) + self.cable_usd


FIGURES = ("price-spread", "frontend-ports-node", "rack-m2")


def compute_fabric(
    node: Node, nodes: int, racks: int, systems: Systems, *, fabric: str, oversubscription: float, rails: bool
) -> Fabric | None:
    """The network among accelerators; None: the node has no ports for it, or is alone."""
    if not node.nic_gbps or nodes == 1:
        return None
    ports = node.nic_count or 1
    gbps = node.nic_gbps / ports
    switch = switch_for(systems, fabric or _usual(node), gbps)
    built = tree(nodes, ports, usable_ports(switch, gbps), oversubscription=oversubscription, rails=rails)
    return _bill("compute fabric", switch, built, gbps, racks, systems)


def front_fabric(nodes: int, storage_units: int, racks: int, systems: Systems) -> Fabric:
    """The Ethernet to storage and users: the node's front ports, and as many for each storage unit."""
    ports = round(systems.figure("frontend-ports-node").value)
    switch = switch_for(systems, "Ethernet", FRONT_GBPS)
    built = tree(nodes + storage_units, ports, usable_ports(switch, FRONT_GBPS), oversubscription=FRONT_OVERSUBSCRIPTION, rails=False)
    return _bill("front network", switch, built, FRONT_GBPS, racks, systems)


def _usual(node: Node) -> str:
    return "InfiniBand" if node.provider == "nvidia" or "InfiniBand" in node.notes else "Ethernet"


def usable_ports(switch: Switch, gbps: float) -> int:
    """Ports of that rate: a faster port is split, a slower one is bundled."""
    if switch.gbps_per_port >= gbps:
        return switch.ports * math.floor(switch.gbps_per_port / gbps)
    return switch.ports // math.ceil(gbps / switch.gbps_per_port)


def switch_for(systems: Systems, wanted: str, gbps: float) -> Switch:
    """The cheapest switch, for each port of `gbps`, that is named so or whose fabric begins so. Raises NotFound with what there is."""
    for switch in systems.switches.values():
        if wanted.lower() in (switch.name.lower(), *(alias.lower() for alias in switch.aliases)):
            return switch
    kind = wanted.lower().replace(" ", "").replace("-", "")
    begins = [s for s in systems.switches.values() if s.fabric.lower().replace(" ", "").startswith(_KINDS.get(kind, kind))]
    fit = [s for s in begins if s.gbps_per_port >= gbps and s.price_usd and s.typical_power_w]
    if not fit:
        fabrics = sorted({switch.fabric for switch in systems.switches.values()})
        raise NotFound(
            f"there is no switch for '{wanted}' at {gbps:g} Gbit/s",
            why="fabrics: " + ", ".join(fabrics),
            next="bedplate size list switches",
        )
    return min(fit, key=lambda s: (s.price_usd or math.inf) / usable_ports(s, gbps))


_KINDS = {
    "roce": "ethernet",
    "rocev2": "ethernet",
    "ultraethernet": "ethernet",
    "uec": "ethernet",
    "spectrumx": "ethernet",
    "ib": "infiniband",
}


def cable_for(systems: Systems, gbps: float, reach_m: float, port_gbps: float) -> Link:
    """The cheapest medium, for each Gbit/s, that reaches so far, carries the rate and fits a cage of two ports of `port_gbps`.

    Raises UserError where none does.
    """
    sold = [link for link in systems.links.values() if link.kind == "cable" and link.price_usd and gbps <= link.gbps <= 2 * port_gbps]
    media = [link for link in sold if (link.reach_m or 0) >= reach_m]
    if not media:
        raise UserError(f"no cable of {gbps:g} Gbit/s reaches {reach_m:.0f} m", next="bring a links.csv of your own: --systems FOLDER")
    return min(media, key=lambda c: (c.price_usd or math.inf) / c.gbps)


def _bill(name: str, switch: Switch, built: Tree, gbps: float, racks: int, systems: Systems) -> Fabric:
    """Cables by tier: hosts reach a leaf in their row, leaves a spine across the hall; one rack needs copper only."""
    across = 2 * math.sqrt(racks * systems.figure("rack-m2").value) + 4
    reach = {"host": COPPER_M if racks <= 2 else min(across, 50.0), "leaf": across, "spine": across * 1.5}
    cables = {tier: (cable_for(systems, gbps, reach[tier], switch.gbps_per_port), count) for tier, count in built.cables.items() if count}
    drawn = sum(cable.watts * count * gbps / cable.gbps for cable, count in cables.values()) / 1000
    typical, most = switch.typical_power_w or switch.max_power_w or 0.0, switch.max_power_w or switch.typical_power_w or 0.0
    kw = built.switches * typical / 1000 + drawn
    highest = max(kw, built.switches * most / 1000)
    return Fabric(
        name=name, switch=switch, tree=built, gbps=gbps, cables=cables,
        optics=sum(2 * math.ceil(count * gbps / cable.gbps) for cable, count in cables.values() if (cable.pj_per_bit or 0) > 5),
        kw=Estimate(value=kw, low=0.9 * kw, high=highest, basis=f"{switch.name}: {switch.source}"),
        switch_usd=switch.price_usd * built.switches if switch.price_usd else None,
        cable_usd=sum((cable.price_usd or 0.0) * count * gbps / cable.gbps for cable, count in cables.values()),
    )  # fmt: skip
