"""The two networks that a collective meets on a machine: which chips share a scale-up link at what rate, and each chip's port to the rest.

Choices: the data sheet's link and the node's ports, as printed by the case, else of the node that it names, else of the accelerator's
fastest node; what the library attains of them are fitted effects of the kind of link (`link_labels`, `fabric_labels`). PCIe boards talk
over the bus of their server as soon as more ranks take part than their bridge joins. Limits: no routing, no oversubscription.
"""

from __future__ import annotations

import re

from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Case
from bedplate.planner.facts.systems import Accelerator, Node, Systems

from .collective import Fabric

PORT_GBPS = 200.0
"""Gbit/s of a chip without a node in the catalogue."""
BUS_GBS, FAST_BUS_GBS = 32.0, 63.0
"""GB/s of PCIe 4.0 x16 and 5.0 x16, one direction: of a chip without a link of its own, and beyond a bridge."""
BOARDS = 8
"""PCIe boards of a server."""
RACKS, TORUS = ("NVL72",), ("tpu", "neuron")
"""Forms and kinds whose fast network goes beyond a server."""
INFINIBAND = {"EDR": 100.0, "HDR": 200.0, "NDR": 400.0, "XDR": 800.0}
"""Gbit/s of a port; one a chip."""


def scale_up(chip: Accelerator, ranks: float) -> tuple[float, float]:
    """Chips that share a network faster than the ports, and its GB/s a chip, one direction, for a group of `ranks`."""
    own = chip.scaleup_gbs or BUS_GBS
    if chip.form_factor != "PCIe" or ranks <= chip.scaleup_domain:
        return float(max(chip.scaleup_domain, 1)), own
    fast = own >= FAST_BUS_GBS and chip.mem_type not in ("HBM2", "HBM2e")
    return float(BOARDS), FAST_BUS_GBS if fast else min(own, BUS_GBS)


def link_labels(chip: Accelerator, ranks: float, collective: str) -> tuple[str, ...]:
    """What the attained share of the scale-up link hangs on; `in-network`: NVSwitches add up the summands of an all-reduce themselves."""
    if chip.form_factor == "PCIe" and ranks > chip.scaleup_domain:
        return ("bus",)
    sums = collective == "all_reduce" and chip.vendor == "nvidia" and chip.scaleup_domain >= BOARDS and chip.generation in ("H", "B")
    return (f"vendor:{chip.vendor}", *(("in-network", f"in-network/{chip.generation}") if sums else ()))


def fabric_labels(node: Node | None, said: str) -> tuple[str, ...]:
    """What rate and latency of the ports hang on: Elastic Fabric Adapters, of the first generation or later ones."""
    efa = (node is not None and node.provider == "aws") or "efa" in said.lower()
    if not efa:
        return ()
    first = node is not None and "EFA v1" in node.notes
    return ("efa", "first-efa") if first else ("efa",)


def wires(case: Case, chip: Accelerator, systems: Systems, constants: Constants, ranks: float) -> tuple[Fabric, str]:
    """The machine's two levels as a collective library attains them, and what they rest on."""
    said = " ".join(word for word in (case.cluster, case.system, case.interconnect, case.network) if word)
    nodes = [n for n in systems.nodes.values() if n.accelerator == chip.name and n.nic_gbps]
    named = [n for n in nodes if n.name in said]
    node = max(named or nodes, key=lambda n: (n.nic_gbps or 0.0) / n.n_accel, default=None)
    per_node = ranks / case.n_nodes if case.n_nodes and chip.form_factor not in RACKS and chip.kind not in TORUS else None
    domain, link = scale_up(chip, per_node or ranks)
    domain = per_node or domain
    port = _printed(said, per_node or domain) or ((node.nic_gbps or 0.0) / node.n_accel if node else PORT_GBPS)
    kind, effects = fabric_labels(node, said), constants.effects
    net = Fabric(
        domain=domain,
        scaleup=link * 1e9 * effects["scaleup"].of(link_labels(chip, min(domain, ranks), case.collective or "all_reduce")),
        fabric=port / 8 * 1e9 * effects["fabric"].of(kind),
        scaleup_alpha=effects["scaleup_alpha"].of(()),
        fabric_alpha=effects["fabric_alpha"].of(kind),
    )
    return net, f"alpha-beta model; {domain:.0f} chips a domain, {port:.0f} Gbit/s a chip between domains"


def _printed(said: str, per_node: float) -> float | None:
    """Gbit/s of a chip's share of the ports that a case prints: `8 x 400 Gb/s` or `3200 Gbps` a node, or InfiniBand's generation."""
    found = re.search(r"(?:(\d+) ?x ?)?(\d+) ?G(?:b(?:it)?(?:ps|/s)|bE)", said)
    if found:
        return float(found[1] or 1) * float(found[2]) / per_node
    return next((rate for name, rate in INFINIBAND.items() if name in said), None)
