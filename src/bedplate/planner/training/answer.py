"""Answers to the kind `train_step`: speed of a training step by the case's own conventions, and whether it fits."""

from __future__ import annotations

import math

import numpy as np

from bedplate.planner.cases import Answer, Case
from bedplate.planner.estimate import spread
from bedplate.planner.kernels.roofline import Numbers
from bedplate.planner.knowledge import Knowledge

from .layout import FULL, SELECTIVE
from .operators import model_flops
from .rates import rates
from .setup import Setup, setup
from .step import StepBreakdown, step

PARTS_NAMED = 3
"""How many of a step's parts the basis names."""


def train_step(case: Case, knowledge: Knowledge) -> Answer:
    """Tokens a second and accelerator, seconds a step, model FLOP/s and their share of the peak. Raises Unsupported."""
    made = setup(case, knowledge)
    constants = knowledge.constants["training"]
    parts = step(made.layout, made.work, made.ops, made.machine, rates(constants, made.labels))
    seconds = scalar(parts.total)
    down, up = constants.spreads["step_time_s"].of(spread_groups(made, constants.effects["matrix"].effects))
    basis = "; ".join([f"operator roofline, {_shares(parts)}", *made.notes])
    time = spread(seconds, down, up, basis)
    tokens = scalar(made.layout.batch) * scalar(made.work.seq)
    speed = time.inverse(tokens / made.chips)
    flops = speed.times(_flops_counted(case, made) / 1e12)
    quantities = {"step_time_s": time, "tokens_per_s_per_accel": speed, "model_tflops_per_accel": flops}
    peak = made.chip.peak(case.precision or "bf16")
    if peak:
        quantities["mfu"] = flops.times(1e12 / peak)
    return Answer(id=case.id, quantities=quantities, basis=basis)


def spread_groups(made: Setup, known: dict[str, float]) -> tuple[str, ...]:
    """Which residuals the range rests on: dense or mixture, with a chip and an engine that were measured or not."""
    kind = "moe" if made.arch.moe else "dense"
    seen = sum(label in known for label in made.labels if label.startswith(("stack:", "family:")))
    return (f"{kind}/{'seen' if seen == 2 else 'new'}", kind)


def scalar(value: Numbers) -> float:
    """The one number of an array of one."""
    return float(np.asarray(value).reshape(-1)[0])


def _flops_counted(case: Case, made: Setup) -> float:
    """FLOPs a token by the case's convention."""
    causal = case.attention_flops != "full" and case.flops_convention != "maxtext_full_attention"
    seq = scalar(made.work.seq)
    counted = model_flops(made.arch, seq, causal=causal, mtp=made.mtp)
    if case.flops_convention != "hardware":
        return counted
    level = scalar(made.layout.recompute)
    if level == FULL:
        return counted * 4.0 / 3.0
    if level == SELECTIVE:
        scores = counted - model_flops(made.arch, 1.0, causal=causal, mtp=made.mtp)
        return counted + scores / 3.0
    return counted


def _shares(parts: StepBreakdown) -> str:
    """The largest parts of a step, in words."""
    total = scalar(parts.total)
    named = {name: scalar(getattr(parts, name)) / total for name in parts.__struct_fields__}
    largest = sorted(named, key=lambda name: -named[name])[:PARTS_NAMED]
    return ", ".join(f"{name} {100 * named[name]:.0f} %" for name in largest if math.isfinite(named[name]))
