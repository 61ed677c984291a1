"""What is fitted after the iteration times: how gaps between tokens scatter, and power from activity."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec
import numpy as np
from scipy.optimize import least_squares

from bedplate.planner.calibration import Constants, Effects
from bedplate.planner.knowledge import Knowledge, machine, model
from bedplate.planner.power import idle_watts
from bedplate.planner.serving.model import serve
from bedplate.planner.serving.point import asked
from calibration.common import Measured

QUIET = 0.06
"""Prompts per iteration below which the 90th percentile of the gaps still falls on iterations without any."""


def with_jitter(cases: Sequence[Measured], constants: Constants) -> Constants:
    """`jitter`: log standard deviation of iterations that carry no prompt, by accelerator, from the 90th percentile over the median."""
    seen: dict[str, list[float]] = {}
    for case, measured, _ in cases:
        if "itl_p90_ms" in measured and case.batch_size and case.osl and case.batch_size / case.osl < QUIET:
            scatter = np.log(measured["itl_p90_ms"] / measured["itl_median_ms"]) / 1.2816
            seen.setdefault(f"accelerator:{case.accelerator}", []).append(float(np.log(max(scatter, 0.003))))
    base = statistics.fmean(statistics.median(logs) for logs in seen.values())
    moved = {label: (statistics.median(logs) - base) * len(logs) / (len(logs) + 5) for label, logs in seen.items()}
    return msgspec.structs.replace(constants, effects={**constants.effects, "jitter": Effects(base=base, effects=moved)})


def with_power(cases: Sequence[Measured], known: Knowledge, constants: Constants) -> Constants:
    """`power_active`, `power_compute`, `power_memory`: weights of activity in power, under a soft-L1 loss on logarithms."""
    rows = []
    for case, measured, _ in cases:
        if "avg_power_w" not in measured:
            continue
        arch, chip = model(case, known), machine(case, known)
        layout, load, _said = asked(case, arch, chip, constants)
        result = serve(layout, load, arch, chip, constants)
        rows.append(
            (measured["avg_power_w"] / layout.n_accel, idle_watts(chip), chip.tdp_w or 0.0, result.compute_share, result.memory_share)
        )
    watts, idle, limit, compute, memory = np.array(rows).T

    def loss(weights: np.ndarray) -> np.ndarray:
        drawn = np.clip(weights[0] + weights[1] * compute + weights[2] * memory, 0.0, 1.0)
        return np.asarray(np.log((idle + (limit - idle) * drawn) / watts))

    found = least_squares(loss, [0.15, 0.8, 0.6], bounds=([0, 0, 0], [0.6, 4, 3]), loss="soft_l1", f_scale=0.1).x
    numbers = dict(zip(("power_active", "power_compute", "power_memory"), (round(float(x), 4) for x in found), strict=True))
    return msgspec.structs.replace(constants, numbers={**constants.numbers, **numbers})
