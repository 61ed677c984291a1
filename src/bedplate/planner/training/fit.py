"""Whether a set-up fits its accelerator, and the least recomputation with which it does."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Case, Parallel
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.kernels.roofline import Numbers

from .engines import engine
from .layout import FULL, NONE, SELECTIVE, Layout, scalar
from .memory import Held, MemoryBreakdown, memory
from .operators import Operations
from .rates import Machine, Workload
from .setup import Setup, setup

USABLE = 0.95
"""Share of the memory that a job can use: the driver and the communication library hold the rest."""


def held(constants: Constants, made: Setup) -> Held:
    """The fitted factors of a set-up's memory."""
    return Held(**{name: constants.effects[name].of(made.labels) for name in Held.__struct_fields__})


def footprint(made: Setup, constants: Constants) -> MemoryBreakdown:
    """The memory of the worst rank."""
    return memory(made.layout, made.work, made.ops, held(constants, made))


def prepared(case: Case, knowledge: Knowledge) -> Setup:
    """The case's set-up; what it leaves open (the split of the model, the micro-batch, recomputation) as it fits. Raises Unsupported."""
    made = _filled(case, split(case, setup(case, knowledge), knowledge), knowledge)
    if case.recompute and not _open_batch(case, made):
        return made
    factors, coherent = held(knowledge.constants["memory"], made), made.chip.form_factor in COHERENT

    def fitted(layout: Layout) -> Layout:
        return layout if case.recompute else settled(layout, made.work, made.ops, made.machine, factors, coherent)

    layout = fitted(made.layout)
    if _open_batch(case, made):
        layout = _smaller(layout, made, factors, fitted)
    return msgspec.structs.replace(made, layout=layout)


MOST = 16.0
"""Sequences of the longest kind that anybody gives a chip at a time where memory would hold more."""


def _filled(case: Case, made: Setup, knowledge: Knowledge) -> Setup:
    """Where a case tells no batch and the engine shards everything, as many sequences a chip as fit (a power of two)."""
    told = any((case.gbs, case.mbs, case.local_batch, case.grad_accum, case.tokens_per_step))
    if told or scalar(made.layout.zero) < 3 or scalar(made.layout.pp) > 1:
        return made
    factors, layout = held(knowledge.constants["memory"], made), made.layout
    while scalar(layout.mbs) < MOST:
        more = msgspec.structs.replace(layout, mbs=2.0 * layout.mbs)
        if scalar(memory(more, made.work, made.ops, factors).total) > USABLE * scalar(made.machine.capacity):
            break
        layout = more
    note = f"micro-batch of {scalar(layout.mbs):.0f} assumed, as much as fits"
    return msgspec.structs.replace(made, layout=layout, notes=(*made.notes, note))


def _open_batch(case: Case, made: Setup) -> bool:
    """Whether the engine shards everything, accumulates, and the case names neither micro-batch nor accumulation."""
    told = case.mbs or case.grad_accum or case.local_batch
    return (
        bool(case.gbs or case.tokens_per_step)
        and not told
        and scalar(made.layout.zero) >= 3
        and engine(case.engine, made.chip.kind).accumulates
    )


def _smaller(layout: Layout, made: Setup, factors: Held, fitted: Callable[[Layout], Layout]) -> Layout:
    """The layout with the largest micro-batch that fits without whole layers recomputed, else the largest that fits at all."""
    room, tried = scalar(made.machine.capacity) * USABLE, []
    while True:
        total = scalar(memory(layout, made.work, made.ops, factors).total)
        tried.append((total <= room, scalar(layout.recompute) < FULL, layout))
        if (tried[-1][0] and tried[-1][1]) or scalar(layout.mbs) <= 1.0:
            break
        half = max(scalar(layout.mbs) / 2.0, 1.0)
        accum = layout.accum * layout.mbs / half
        layout = fitted(msgspec.structs.replace(layout, mbs=half, accum=accum, recompute=made.layout.recompute, share=made.layout.share))
    best = [one for fits, light, one in tried if fits and light] or [one for fits, _, one in tried if fits] or [tried[0][2]]
    return best[0]


def tightest(case: Case, made: Setup, constants: Constants) -> Setup:
    """The set-up as it is where it fits or the case tells how its memory is kept. Else, where an engine shards everything, the one that
    takes least: a sequence at a time, every layer computed again from what the host keeps. A recipe that ran did some of that."""
    told = case.recompute or case.mbs or case.local_batch or case.grad_accum
    room = USABLE * scalar(made.machine.capacity)
    if told or scalar(made.layout.zero) < 3 or scalar(footprint(made, constants).total) <= room:
        return made
    accum = made.layout.accum * made.layout.mbs
    least = msgspec.structs.replace(made.layout, mbs=1.0, accum=accum, recompute=float(FULL), share=1.0, offload=1.0)
    note = "memory as of one sequence at a time, all recomputed from what the host keeps: otherwise it does not fit"
    other = msgspec.structs.replace(made, layout=least, notes=(*made.notes, note))
    return other if scalar(footprint(other, constants).total) <= room else made


SPLITS = tuple((tp, pp) for size in (1, 2, 4, 8, 16, 32, 64, 128, 256) for tp in (8, 4, 2, 1) for pp in (size // tp,) if tp * pp == size)
"""Tensor and pipeline parallelism in the order in which a model that does not fit is cut: no finer than needed, inside a server first."""


def split(case: Case, made: Setup, knowledge: Knowledge) -> Setup:
    """Where a case tells no layout and the whole model does not fit a rank, the coarsest split that does."""
    given = case.parallel
    told = given is not None and any((given.tp, given.pp, given.cp, given.ep, given.fsdp, given.zero, given.style))
    if told or made.chips == 1 or scalar(made.layout.zero) >= 3:
        return made
    for tp, pp in SPLITS:
        if made.chips % (tp * pp) or made.arch.n_heads % tp or pp > scalar(made.ops.layers):
            continue
        parallel = msgspec.structs.replace(given or Parallel(), tp=tp, pp=pp, dp=None)
        other = setup(msgspec.structs.replace(case, parallel=parallel), knowledge)
        layout = other.layout if case.recompute else msgspec.structs.replace(other.layout, recompute=float(SELECTIVE))
        total = memory(layout, other.work, other.ops, held(knowledge.constants["memory"], other)).total
        if scalar(total) <= USABLE * scalar(other.machine.capacity):
            note = f"tensor x pipeline parallelism of {tp} x {pp} assumed"
            return other if tp * pp == 1 else msgspec.structs.replace(other, notes=(*other.notes, note))
    return made


def settled(layout: Layout, work: Workload, ops: Operations, machine: Machine, factors: Held, coherent: bool = False) -> Layout:
    """The layout (or layouts) with the least recomputation that fits: first selective, then of whole layers, in the share of layers needed.

    `coherent`: the host's memory is near enough to take activations instead of recomputing whole layers (Grace over NVLink-C2C).
    """
    room = machine.capacity * USABLE
    start = np.asarray(layout.recompute, dtype=float)

    def needed(level: float, **other: Numbers) -> Numbers:
        return memory(msgspec.structs.replace(layout, recompute=level * np.ones_like(start), share=1.0, **other), work, ops, factors).total

    none, partly, whole = needed(NONE), needed(SELECTIVE), needed(FULL)
    some = np.clip((none - room) / np.maximum(none - partly, 1.0), 0.0, 1.0)
    more = np.clip((none - room) / np.maximum(none - whole, 1.0), 0.0, 1.0)
    fits = (partly <= room) | (start >= SELECTIVE) & (partly <= room) | coherent
    level = np.where(none <= room, NONE, np.where(fits, SELECTIVE, FULL))
    share = np.where(none <= room, 1.0, np.where(fits, some, more))
    level, share = np.where(start > level, start, level), np.where(start >= SELECTIVE, np.where(start >= level, 1.0, share), share)
    away = np.clip((partly - room) / np.maximum(partly - needed(SELECTIVE, offload=1.0), 1.0), 0.0, 1.0) if coherent else layout.offload
    return msgspec.structs.replace(layout, recompute=level, share=share, offload=np.maximum(layout.offload, away))


COHERENT = ("superchip", "NVL72")
"""Forms in which a Grace host's memory is coherent with the accelerator's, at several hundred GB/s."""
