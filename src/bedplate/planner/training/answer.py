"""Answers to the kinds `train_step` and `memory`: speed by the case's own conventions, memory by part, whether it fits."""

from __future__ import annotations

import math

import msgspec

from bedplate.core.units import GIB
from bedplate.planner.facts.cases import Answer, Case
from bedplate.planner.facts.estimate import Estimate, spread
from bedplate.planner.facts.knowledge import Knowledge

from .fit import USABLE, footprint, held, prepared, split, tightest
from .layout import FULL, NONE, SELECTIVE, scalar
from .memory import MemoryBreakdown, activations
from .operators import model_flops
from .rates import rates
from .setup import UNNAMED, Setup, setup
from .step import StepBreakdown, step

PARTS_NAMED = 3
"""How many of a step's parts the basis names."""
STAND_IN = "H100-SXM5-80GB"
"""Whose place an accelerator that a memory case does not name takes: the bytes do not depend on it, and nothing is said of fitting."""


def train_step(case: Case, knowledge: Knowledge) -> Answer:
    """Tokens a second and accelerator, seconds a step, model FLOP/s and their share of the peak, peak memory. Raises Unsupported."""
    made = prepared(case, knowledge)
    constants = knowledge.constants["training"]
    parts = step(made.layout, made.work, made.ops, made.machine, rates(constants, made.labels))
    down, up = constants.spreads["step_time_s"].of(spread_groups(made, constants.effects["matrix"].effects))
    basis = "; ".join([f"operator roofline: {_shares(parts)}", *made.notes, *_recomputed(case, made)])
    time = spread(scalar(parts.total), down, up, basis)
    speed = time.inverse(scalar(made.layout.batch) * scalar(made.work.seq) / made.chips)
    flops = speed.times(_flops_counted(case, made) / 1e12)
    quantities = {"step_time_s": time, "tokens_per_s_per_accel": speed, "model_tflops_per_accel": flops}
    peak = made.chip.peak(case.precision or "bf16")
    if peak:
        quantities["mfu"] = flops.times(1e12 / peak)
    kept = tightest(case, made, knowledge.constants["memory"])
    quantities["peak_mem_gib"] = most = peak_of(kept, footprint(kept, knowledge.constants["memory"]), knowledge)
    basis = "; ".join([basis, *kept.notes[len(made.notes) :]])
    return Answer(id=case.id, quantities=quantities, fits=fits(kept, most), basis=basis)


def memory_of(case: Case, knowledge: Knowledge) -> Answer:
    """Peak memory of the fullest accelerator and its parts; activations against the same set-up without sequence parallelism.

    Weights and optimiser are the mean rank's, as the papers that print them count; the peak is the worst rank's. Raises Unsupported.
    """
    named = case.accelerator is not None
    asked = case if named else msgspec.structs.replace(case, accelerator=STAND_IN)
    made = split(asked, setup(asked, knowledge), knowledge) if named else setup(asked, knowledge)
    constants = knowledge.constants["memory"]
    taken = footprint(made, constants)
    peak = peak_of(made, taken, knowledge)
    counted = msgspec.structs.replace(held(constants, made), kept=1.0)
    kept = scalar(activations(made.layout, made.work, made.ops, counted))
    plain = msgspec.structs.replace(made.layout, sequence=0.0, recompute=float(NONE))
    base = scalar(activations(plain, made.work, made.ops, counted))
    basis = "; ".join([f"bytes by part: {_gib(taken)}", *made.notes])
    quantities = {
        "peak_mem_gib": peak,
        "params_optimizer_gib": _exactly(_mean_state(made, taken) / GIB),
        "activations_gib": _exactly(kept / GIB),
        "activation_pct_of_baseline": _exactly(100.0 * kept / base),
    }
    return Answer(id=case.id, quantities=quantities, fits=fits(made, peak) if named else None, basis=basis)


def fits(made: Setup, peak: Estimate) -> bool:
    """Whether it is more likely than not that the peak is within what a job can use: the middle of its range (of logarithms) is. Formulas
    count the worst moment of every part together, so that ranges reach further down than up."""
    return math.sqrt(peak.low * peak.high) * GIB <= USABLE * scalar(made.machine.capacity)


def spread_groups(made: Setup, known: dict[str, float]) -> tuple[str, ...]:
    """Which residuals the range rests on: dense or mixture, with a chip and an engine that were measured or not."""
    kind = "moe" if made.arch.moe else "dense"
    seen = sum(any(label in known for label in made.labels if label.startswith(start)) for start in ("stack:", "family:"))
    return (f"{kind}/{'seen' if seen == 2 and UNNAMED not in made.labels else 'new'}", kind)


EXACT_SPREAD = 0.03
"""80 % half-width, as a logarithm, of what follows from counts alone."""


def _exactly(value: float) -> Estimate:
    return spread(value, EXACT_SPREAD, EXACT_SPREAD, "counted")


def peak_of(made: Setup, taken: MemoryBreakdown, knowledge: Knowledge) -> Estimate:
    """Peak memory of the worst rank, GiB; wider where the chip and engine were never measured."""
    constants = knowledge.constants["memory"]
    known = any(label in constants.effects["reserve"].effects for label in made.labels if label.startswith("stack:"))
    down, up = constants.spreads["peak_mem_gib"].of(() if known else ("new",))
    return spread(scalar(taken.total) / GIB, down, up, _gib(taken))


def _mean_state(made: Setup, taken: MemoryBreakdown) -> float:
    """Weights, gradients and optimiser of the mean rank: the worst rank's, with every rank's share of the ends."""
    ops, layout = made.ops, made.layout
    total = ops.dense_params + ops.expert_params
    ends = ops.embed_params + ops.head_params
    state = scalar(taken.weights) + scalar(taken.gradients) + scalar(taken.optimiser)
    stages = scalar(layout.pp)
    worst = scalar(total) / stages + (max(scalar(ops.embed_params), scalar(ops.head_params)) if stages > 1 else scalar(ends))
    return state * scalar(total + ends) / stages / worst


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


def _gib(taken: MemoryBreakdown) -> str:
    found = {name: scalar(getattr(taken, name)) / GIB for name in taken.__struct_fields__}
    return ", ".join(f"{name} {value:.1f} GiB" for name, value in found.items() if value >= 0.05)


def _recomputed(case: Case, made: Setup) -> list[str]:
    """What was assumed of recomputation where the case is silent."""
    level, share = scalar(made.layout.recompute), scalar(made.layout.share)
    if case.recompute or level == NONE or (any("recomputation assumed" in note for note in made.notes) and level == SELECTIVE):
        return []
    return [f"{'selective' if level == SELECTIVE else 'full'} recomputation of {100 * share:.0f} % of the layers, for it to fit"]
