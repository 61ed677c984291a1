"""Answers to the kinds `gemm` and `collective`."""

from __future__ import annotations

import msgspec

from bedplate.planner.facts.cases import Answer, Case, Unsupported
from bedplate.planner.facts.estimate import spread
from bedplate.planner.facts.knowledge import Knowledge, machine

from .collective import Fabric, exchange_seconds, gather_seconds, hand_over_seconds, reduce_seconds
from .limits import attainable, labels
from .wires import wires

LARGE_MESSAGE = 4.0 * 2**30
"""Bytes of a message where a case says only that it is large."""
STAND_IN = "A100-SXM4-80GB"
"""Whose links are taken where a case names no accelerator."""
ONCE = ("broadcast", "reduce", "sendrecv")
"""Collectives whose bus bandwidth is bytes over time."""
ALIASES = {"alltoall": "all_to_all", "allreduce": "all_reduce", "allgather": "all_gather", "reducescatter": "reduce_scatter"}


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
    """Time and bus bandwidth as nccl-tests define them. Raises Unsupported for a collective that they do not measure."""
    called = (case.collective or "all_reduce").lower().replace("-", "_")
    kind = ALIASES.get(called, called)
    constants = knowledge.constants["kernels"]
    named = case if case.accelerator else msgspec.structs.replace(case, accelerator=STAND_IN)
    chip = machine(named, knowledge)
    ranks, size = float(case.n_accel or 8), case.bytes or LARGE_MESSAGE
    if ranks < 2:
        raise Unsupported("one accelerator exchanges nothing")
    net, basis = wires(msgspec.structs.replace(named, collective=kind), chip, knowledge.systems, constants, ranks)
    seconds = _seconds(kind, size, ranks, net)
    groups = ("large",) if size >= LARGE else ("small",)
    down, up = constants.spreads["time_us"].of(groups if case.accelerator else ("unnamed",))
    time = spread(seconds * 1e6, down, up, basis if case.accelerator else f"{basis}; no accelerator named, links of {STAND_IN}")
    return Answer(id=case.id, quantities={"time_us": time, "busbw_gb_s": time.inverse(_bus(kind, ranks) * size / 1e3)}, basis=basis)


LARGE = 64.0 * 2**20
"""Bytes from which bandwidth and not latency sets the time."""


def _seconds(kind: str, size: float, ranks: float, net: Fabric) -> float:
    if kind == "all_reduce":
        return float(reduce_seconds(size, ranks, 1.0, net))
    if kind in ("all_gather", "reduce_scatter"):
        return float(gather_seconds(size, ranks, 1.0, net))
    if kind == "all_to_all":
        return float(exchange_seconds(size, ranks, 1.0, net))
    if kind == "sendrecv":
        return float(hand_over_seconds(size, 1.0 if ranks <= net.domain else net.domain, net))
    if kind in ("broadcast", "reduce"):
        return float(gather_seconds(size * ranks / (ranks - 1), ranks, 1.0, net))
    raise Unsupported(f"no model of the collective '{kind}'")


def _bus(kind: str, ranks: float) -> float:
    """Bus bandwidth over bytes by time (nccl-tests, PERFORMANCE.md): what a flat ring sends a rank."""
    if kind in ONCE:
        return 1.0
    return (2.0 if kind == "all_reduce" else 1.0) * (ranks - 1) / ranks
