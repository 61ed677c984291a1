"""Images per second of a compiled Stable Diffusion XL (MLPerf Inference): as many as the machine makes, all accelerators together.

    seconds of an image = FLOPs x (compute / peak + memory / (INTENSITY x bandwidth)), FLOPs = 2 x 20 U-Net passes + text + decoding

The benchmark makes 1,024-pixel images in 20 steps with classifier-free guidance, in 8 bits where the chip has them (mlcommons/inference,
text_to_image). Limits: one chip's share of a PCIe board's power limit is an effect of the chip, not a model of its clocks.
"""

from __future__ import annotations

from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Answer, Case, Unsupported
from bedplate.planner.facts.estimate import spread
from bedplate.planner.facts.knowledge import Knowledge, machine, model
from bedplate.planner.facts.systems import Accelerator

from .work import Request, count

BENCHMARK = Request(height=1024, width=1024, steps=20)
INTENSITY = 300.0
"""FLOP for each byte: 989 TFLOP/s over 3.35 TB/s of an H100."""


def answer_sdxl(case: Case, knowledge: Knowledge) -> Answer:
    """`samples_per_s` of a serve_max case of Stable Diffusion XL. Raises Unsupported without a count of accelerators."""
    chip, constants = machine(case, knowledge), knowledge.constants["generation"]
    if not case.n_accel:
        raise Unsupported("the number of accelerators is not given")
    rate = case.n_accel / image_seconds(model(case, knowledge), chip, labels_of(chip, case), constants)
    known = f"accelerator:{chip.name}" in constants.effects["sdxl"].effects
    down, up = constants.spreads["samples_per_s"].of(["known" if known else "new"])
    basis = "roofline of 40 U-Net passes and one decoding an image (MLPerf Stable Diffusion XL)"
    return Answer(id=case.id, quantities={"samples_per_s": spread(rate, down, up, basis)}, basis=basis)


def labels_of(chip: Accelerator, case: Case) -> list[str]:
    """The effects that apply: generation, chip, scenario (a server keeps a latency), and a lowered power limit."""
    limited = ["power:limited"] if case.power_limited else []
    return [f"generation:{chip.generation}", f"accelerator:{chip.name}", f"scenario:{case.scenario or 'offline'}", *limited]


def image_seconds(arch: Architecture, chip: Accelerator, labels: list[str], constants: Constants) -> float:
    """Seconds that one accelerator takes for one image. Raises Unsupported where the chip has no peak in 16 bits."""
    sixteen = chip.peak("bf16")
    if sixteen is None:
        raise Unsupported(f"no peak in 16 bits is known for {chip.name}")
    peak = max(sixteen, *(chip.tflops.get(precision, 0.0) * 1e12 for precision in ("fp8", "int8")))
    work, numbers = count(arch, BENCHMARK), constants.numbers
    flops = float(work.unet + work.text + work.decode)
    cost = numbers["sdxl_compute"] / peak + numbers["sdxl_memory"] / (INTENSITY * chip.mem_gbs * 1e9)
    return flops * cost * constants.effects["sdxl"].of(labels) * unseen(chip, constants)


def unseen(chip: Accelerator, constants: Constants) -> float:
    """How much slower a generation is that this benchmark has no row of: as much as its matrix products in eager models are."""
    label = f"generation:{chip.generation}"
    return 1.0 if label in constants.effects["sdxl"].effects else constants.effects["dense"].of([label])
