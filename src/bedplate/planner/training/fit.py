"""Whether a set-up fits its accelerator, and the least recomputation with which it does."""

from __future__ import annotations

from bedplate.planner.calibration import Constants
from bedplate.planner.cases import Case
from bedplate.planner.knowledge import Knowledge

from .layout import FULL, NONE, SELECTIVE
from .memory import Held, MemoryBreakdown, memory
from .setup import Setup, setup, with_recompute

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
    return made if case.recompute else settled(made, knowledge.constants["memory"])


def settled(made: Setup, constants: Constants) -> Setup:
    """The set-up with the least recomputation that fits, from the level it has upwards; the most where none fits."""
    room = float(made.machine.capacity) * USABLE
    for level in (NONE, SELECTIVE, FULL):
        if level < float(made.layout.recompute):
            continue
        tried = with_recompute(made, level)
        if float(footprint(tried, constants).total.reshape(-1)[0]) <= room:
            return tried
    return with_recompute(made, FULL)
