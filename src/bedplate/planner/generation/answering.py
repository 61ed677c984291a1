"""Latency, throughput, energy and power of a batch of images or videos.

Defaults where a case is silent: a batch of one, 28 steps (images) or 50 (videos), the model's native resolution, 81 frames at a video,
Ulysses over all accelerators. Warm-up and compilation are not counted. Limits: eager PyTorch (diffusers with xDiT) is what the constants
come from, and what COMPILED engines save of it is assumed; quantised attention is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Answer, Case, Unsupported
from bedplate.planner.facts.estimate import spread
from bedplate.planner.facts.knowledge import Knowledge, machine, model
from bedplate.planner.facts.systems import Accelerator
from bedplate.planner.kernels.power import power

from .timing import Parts, Rates, seconds
from .work import Request, count

STEPS = {"generate_image": 28, "generate_video": 50}
FRAMES = 81
COMPILED = {"tensorrt": 0.65, "maxdiffusion": 0.65, "tinygrad": 1.0}
"""Engines that replay a graph: launches cost LAUNCH_REPLAYED of eager ones, and a U-Net takes this share of its eager time (assumed)."""
LAUNCH_REPLAYED = 0.1
COMPONENTS = ("dense", "attention", "elementwise", "exchange", "decode", "launch")


def answer(case: Case, knowledge: Knowledge) -> Answer:
    """The four quantities of generate_image and generate_video. Raises Unsupported for unknown models or chips."""
    arch, chip, constants = model(case, knowledge), machine(case, knowledge), knowledge.constants["generation"]
    request = request_of(case, arch)
    rates = rates_of(chip, case.precision or "bf16", case.engine or "", constants)
    parts = seconds(count(arch, request), rates, constants.numbers)
    latency = float(parts.total)
    n_accel = case.n_accel or request.n_accel
    watts = watts_of(chip, parts, constants)
    values = {"latency_s": latency, "throughput": request.batch / latency}
    if watts is not None:
        values |= {"avg_power_w": watts * n_accel, "energy_j_per_item": watts * n_accel * latency / request.batch}
    basis = "roofline of the denoiser; " + ", ".join(f"{name} {share:.0%}" for name, share in shares(parts).items() if share >= 0.01)
    known = groups_of(case, chip, constants)
    return Answer(
        id=case.id,
        quantities={name: spread(value, *_widths(name, constants, known), basis) for name, value in values.items()},
        basis=basis,
        warnings=() if watts is not None else (f"no board power is known for {chip.name}",),
    )


def _widths(quantity: str, constants: Constants, known: Sequence[str]) -> tuple[float, float]:
    """Half-widths: throughput is the inverse of latency, so its bounds change sides."""
    if quantity == "throughput":
        down, up = constants.spreads["latency_s"].of(known)
        return up, down
    return constants.spreads[quantity].of(known)


def groups_of(case: Case, chip: Accelerator, constants: Constants) -> list[str]:
    """Groups of the ranges: kind of item on a chip whose power was measured, or on any other."""
    state = "known" if f"accelerator:{chip.name}" in constants.effects["power"].effects else "new"
    return [f"{case.kind}/{state}", state]


def request_of(case: Case, arch: Architecture) -> Request:
    """The case as a request. Raises Unsupported where neither the case nor the model says how large an item is."""
    native = arch.diffusion.native if arch.diffusion else (0, 0)
    height, width = case.resolution or native
    if not height or not width:
        raise Unsupported("the resolution is not given")
    layout = case.parallel
    ring = (layout.ring if layout else None) or 1
    ulysses = (layout.ulysses if layout else None) or max(1, (case.n_accel or 1) // ring)
    return Request(
        height=height,
        width=width,
        steps=case.steps or STEPS.get(case.kind, 28),
        frames=case.frames or (FRAMES if case.kind == "generate_video" else 1),
        batch=case.batch_size or 1,
        ulysses=ulysses,
        ring=ring,
    )


def rates_of(chip: Accelerator, precision: str, engine: str, constants: Constants) -> Rates:
    """The chip's rates with the effects of its generation and the engine; attention and convolutions stay in 16 bits.

    Raises Unsupported without a peak.
    """
    peak, sixteen = chip.peak(precision), chip.peak("bf16")
    if peak is None or sixteen is None:
        raise Unsupported(f"{chip.name} has no known peak in {precision}")
    slow = {name: constants.effects[name].of([f"generation:{chip.generation}"]) for name in COMPONENTS}
    if engine in COMPILED:
        slow["launch"] *= LAUNCH_REPLAYED
    return Rates(
        peak=peak,
        attention_peak=sixteen,
        memory_bw=chip.mem_gbs * 1e9,
        link_bw=(chip.scaleup_gbs or HOST_LINK) * 1e9,
        slow=slow | {"unet": COMPILED.get(engine, 1.0)},
    )


HOST_LINK = 31.0
"""GB/s over PCIe 4.0 x16, for a chip without a link of its own."""


def shares(parts: Parts) -> dict[str, float]:
    """Shares of the batch's time by part."""
    return {name: float(getattr(parts, name) / parts.total) for name in Parts.__struct_fields__}


def activity(parts: Parts, moving: float) -> tuple[Any, Any]:
    """(compute, memory) activity for `power`: shares of the time in kernels that lean on the matrix units, and on the memory.

    Exchanging and decoding count `moving` of a kernel that saturates the memory.
    """
    total = parts.total
    compute = (parts.dense + parts.attention + parts.text) / total
    return compute, (parts.elementwise + moving * (parts.exchange + parts.decode)) / total


def watts_of(chip: Accelerator, parts: Parts, constants: Constants) -> float | None:
    """Mean power of one accelerator over the batch; None where its board power is not known."""
    if chip.tdp_w is None:
        return None
    return float(power(chip, *activity(parts, constants.numbers["power_moving"]), constants))
