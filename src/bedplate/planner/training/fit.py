"""Whether a set-up fits its accelerator, and the least recomputation with which it does."""

from __future__ import annotations

import msgspec
import numpy as np

from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Case
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.kernels.roofline import Numbers

from .layout import FULL, NONE, SELECTIVE, Layout
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
    """The case's set-up; where it names no recomputation, with the least that fits. Raises Unsupported."""
    made = setup(case, knowledge)
    if case.recompute:
        return made
    layout = settled(
        made.layout, made.work, made.ops, made.machine, held(knowledge.constants["memory"], made), made.chip.form_factor in COHERENT
    )
    return msgspec.structs.replace(made, layout=layout)


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
