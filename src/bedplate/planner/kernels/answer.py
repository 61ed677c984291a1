"""Answers to the kinds `gemm` and `collective`."""

from __future__ import annotations

from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Answer, Case, Unsupported
from bedplate.planner.facts.estimate import spread
from bedplate.planner.facts.knowledge import Knowledge, machine

from .collective import Fabric, reduce_seconds
from .limits import attainable, labels

LARGE_MESSAGE = 4.0 * 2**30
"""Bytes of a message where a case says only that it is large."""
DEFAULT_PORT_GBPS, DEFAULT_SCALEUP_GBS = 200.0, 32.0
"""Of a chip without a node in the catalogue, and of one without a link of its own (PCIe 4.0 x16)."""


def gemm(case: Case, knowledge: Knowledge) -> Answer:
    """The best that a sweep of matrix products reaches. Raises Unsupported where the catalogue has no peak in the precision."""
    chip, precision = machine(case, knowledge), case.precision or "bf16"
    constants = knowledge.constants["kernels"]
    best = attainable(chip, precision, constants)
    if best is None:
        raise Unsupported(f"the catalogue has no peak of {chip.name} in {precision}")
    swept = labels(chip, precision)[-1] in constants.effects["matrix"].effects
    basis = "sweeps of matrix products on this chip" if swept else "data sheet, times its vendor's share"
    down, up = constants.spreads["tflops"].of(("swept",) if swept else ())
    return Answer(id=case.id, quantities={"tflops": spread(best / 1e12, down, up, basis)}, basis=basis)


def collective(case: Case, knowledge: Knowledge) -> Answer:
    """Time and bus bandwidth (nccl-tests: 2 (n-1)/n x bytes / time) of an all-reduce. Raises Unsupported for others."""
    if case.collective not in (None, "all_reduce"):
        raise Unsupported(f"no model of the collective '{case.collective}'")
    constants = knowledge.constants["kernels"]
    ranks, size = float(case.n_accel or 8), case.bytes or LARGE_MESSAGE
    net, basis = _network(case, knowledge, constants, ranks)
    seconds = float(reduce_seconds(size, ranks, 1.0, net))
    down, up = constants.spreads["time_us"].of(())
    time = spread(seconds * 1e6, down, up, basis)
    return Answer(id=case.id, quantities={"time_us": time, "busbw_gb_s": time.inverse(2 * (ranks - 1) / ranks * size / 1e3)}, basis=basis)


def _network(case: Case, knowledge: Knowledge, constants: Constants, ranks: float) -> tuple[Fabric, str]:
    """The machine's two levels: of the node that the case names, else of the accelerator's fastest node."""
    chip = machine(case, knowledge)
    nodes = [n for n in knowledge.systems.nodes.values() if n.accelerator == chip.name and n.nic_gbps]
    named = [n for n in nodes if n.name in f"{case.cluster or ''} {case.system or ''}"]
    node = max(named or nodes, key=lambda n: (n.nic_gbps or 0.0) / n.n_accel, default=None)
    port = (node.nic_gbps or 0.0) / node.n_accel if node else DEFAULT_PORT_GBPS
    domain = float(ranks / case.n_nodes if case.n_nodes else chip.scaleup_domain)
    kind = ("fabric:efa",) if node and node.provider == "aws" else ()
    net = Fabric(
        domain=domain,
        scaleup=(chip.scaleup_gbs or DEFAULT_SCALEUP_GBS) * 1e9 * constants.effects["scaleup"].of(()),
        fabric=port / 8 * 1e9 * constants.effects["fabric"].of(kind),
        scaleup_alpha=constants.effects["scaleup_alpha"].of(()),
        fabric_alpha=constants.effects["fabric_alpha"].of(kind),
    )
    return net, f"alpha-beta model; {domain:.0f} chips a domain, {port:.0f} Gbit/s a chip between domains"
