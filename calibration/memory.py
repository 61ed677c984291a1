"""Fits `systems/calibration/memory.json`: the factors of `planner.training.memory.Held`, from published peaks.

Steps that were measured did fit: they count where they are predicted not to (nothing is learnt from how far below the capacity they
were). `python -m calibration.memory` fits, writes and prints cross-validation by whole source and by (source, model, chip).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from scipy.optimize import least_squares

from bedplate.core.units import GIB
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.training.fit import USABLE
from bedplate.planner.training.memory import Held, memory
from bedplate.planner.training.setup import setup
from bedplate.storage.systems import load_constants

from . import common
from .priors import Prior, effects, places
from .stacking import stacked

NOISE = 0.03
PRIORS: dict[str, Prior] = {
    "kept": Prior(1.05, 0.1, {"stack:": 0.15, "technique:": 0.4, "quantised": 0.2, "mixed": 0.3, "eager": 0.1}),
    "selective": Prior(0.6, 0.1, {"stack:": 0.2}),
    "logit": Prior(10.0, 0.2, {"stack:": 0.3, "eager": 0.3}),
    "reserve": Prior(0.03, 0.3, {"stack:torchtitan": (2.0, 0.4), "stack:megatron": (0.5, 0.3), "stack:": 0.5}),
}
TOLD = ("stack:torchtitan",)
"""Prints what the allocator reserved (`max_reserved`), as do drivers' tools; other sources print what tensors held at most."""


def fit(cases: Sequence[common.Measured], knowledge: Knowledge) -> Constants:
    """The factors that fit the peaks best."""
    rows = [(row, setup(row.case, knowledge)) for row in cases if "peak_mem_gib" in row.measured or row.case.recompute]
    at = places(PRIORS, (label for _, made in rows for label in made.labels), TOLD)
    applies = np.array([[float(p.label in ("", *made.labels)) for _, made in rows] for p in at])
    stack = stacked([(made.layout, made.work, made.ops) for _, made in rows])
    known = np.array(["peak_mem_gib" in row.measured for row, _ in rows])
    room = [USABLE * float(made.machine.capacity) for _, made in rows]
    target = np.array([row.measured.get("peak_mem_gib", most / GIB) * GIB for (row, _), most in zip(rows, room, strict=True)])
    middle, deviation = np.array([p.middle for p in at]), np.array([p.deviation for p in at])

    def misses(values: Any) -> Any:
        logs = {name: np.zeros(len(rows)) for name in PRIORS}
        for value, place, on in zip(values, at, applies, strict=True):
            logs[place.factor] += value * on
        total = memory(*stack, Held(**{name: np.exp(log) for name, log in logs.items()})).total
        above = np.log(total / target)
        return np.concatenate([np.where(known, above, np.maximum(above, 0.0)) / NOISE, (values - middle) / deviation])

    found = least_squares(misses, middle, x_scale=deviation, loss="soft_l1", max_nfev=30).x
    return Constants(effects=effects(found, at), fitted_on="peaks of litgpt and torchtitan; steps that ran", cases=len(rows))


def residuals(cases: Sequence[common.Measured], constants: Constants, knowledge: Knowledge) -> list[tuple[common.Measured, float]]:
    """ln(measured / predicted) of every peak."""
    out = []
    for row in cases:
        if "peak_mem_gib" in row.measured:
            made = setup(row.case, knowledge)
            factors = Held(**{name: constants.effects[name].of(made.labels) for name in Held.__struct_fields__})
            total = float(np.asarray(memory(made.layout, made.work, made.ops, factors).total).reshape(-1)[0])
            out.append((row, math.log(row.measured["peak_mem_gib"] * GIB / total)))
    return out


def main() -> None:
    """Fit, cross-validate, write."""
    plain = common.knowledge(kernels=load_constants("kernels"))
    cases = [row for row in common.read(["train_step", "memory"]) if row.case.kind == "train_step" or "peak_mem_gib" in row.measured]
    constants = fit(cases, plain)
    out: dict[str, list[tuple[common.Measured, float]]] = defaultdict(list)
    out["in sample"] = residuals(cases, constants, plain)
    for by in ("source", "group"):
        for _, rest, left in common.folds(cases, by=by):
            out[f"{by} left out"] += residuals(left, fit(rest, plain), plain)
    for title, rows in out.items():
        for source in sorted({row.source for row, _ in rows}):
            print(title, source, common.errors([(math.exp(v), 1.0) for row, v in rows if row.source == source]))
    spreads = {"peak_mem_gib": common.spread_of({"": [v for _, v in out["group left out"]], "new": [v for _, v in out["source left out"]]})}
    common.write("memory", msgspec.structs.replace(constants, spreads=spreads))


if __name__ == "__main__":
    main()
