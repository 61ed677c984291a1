"""What is fitted after the iteration times: how gaps between tokens scatter, and power from activity."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec
import numpy as np
from scipy.optimize import least_squares

from bedplate.planner.facts.calibration import Constants, Effects
from bedplate.planner.facts.knowledge import Knowledge, machine, model
from bedplate.planner.kernels.power import idle_watts, limit_watts
from bedplate.planner.serving.layout import layout_of
from bedplate.planner.serving.model import serve
from bedplate.planner.serving.point import asked
from bedplate.planner.serving.rates import labels
from calibration.common import Measured

WEIGHTS = ("power_active", "power_busy", "power_compute", "power_memory")

SHRINK = 3
"""Cases that the general value counts as beside a host's own."""

QUIET = 0.06
"""Prompts per iteration below which the 90th percentile of the gaps still falls on iterations without any."""


def with_jitter(cases: Sequence[Measured], known: Knowledge, constants: Constants) -> Constants:
    """`jitter`: log standard deviation of iterations that carry no prompt, by host, from the 90th percentile over the median."""
    seen: dict[str, list[float]] = {}
    for case, measured, _ in cases:
        if "itl_p90_ms" in measured and case.batch_size and case.osl and case.batch_size / case.osl < QUIET:
            layout, _said = layout_of(case, model(case, known))
            host = next(label for label in labels(layout, machine(case, known)) if label.startswith("host:"))
            scatter = np.log(measured["itl_p90_ms"] / measured["itl_median_ms"]) / 1.2816
            seen.setdefault(host, []).append(float(np.log(max(scatter, 0.003))))
    base = statistics.median(log for logs in seen.values() for log in logs)
    moved = {host: (statistics.median(logs) - base) * len(logs) / (len(logs) + SHRINK) for host, logs in seen.items()}
    return msgspec.structs.replace(constants, effects={**constants.effects, "jitter": Effects(base=base, effects=moved)})


def with_power(cases: Sequence[Measured], known: Knowledge, constants: Constants) -> Constants:
    """Weights of activity in power and a factor by generation, under a soft-L1 loss on logarithms.

    Shares are of the time that was measured, not of the predicted one: errors of the iteration time must not bend the weights."""
    rows, generations = [], []
    for case, measured, _ in cases:
        if not {"avg_power_w", "output_tokens_per_s"} <= measured.keys():
            continue
        arch, chip = model(case, known), machine(case, known)
        layout, load, _said = asked(case, arch, chip, constants)
        result = serve(layout, load, arch, chip, constants)
        watts = measured["avg_power_w"] / layout.n_accel
        pace = measured["output_tokens_per_s"] / result.output_tokens_per_s
        shares_seen = [min(1.0, share * pace) for share in (result.busy_share, result.compute_share, result.memory_share)]
        rows.append((watts, idle_watts(chip), limit_watts(chip), 1.0, *shares_seen))
        generations.append(f"generation:{chip.generation}")
    watts, idle, limit, *shares = np.array(rows).T
    names = sorted(set(generations))
    member = np.array([[float(name == generation) for name in names] for generation in generations])
    start = np.concatenate([[0.1, 0.3, 1.0, 0.3], np.zeros(len(names))])

    def loss(at: np.ndarray) -> np.ndarray:
        drawn = np.array(shares).T @ at[: len(WEIGHTS)] * np.exp(member @ at[len(WEIGHTS) :])
        logs = np.log((idle + (limit - idle) * np.clip(drawn, 0.0, 1.0)) / watts) / 0.1
        soft = np.sign(logs) * np.sqrt(2 * (np.sqrt(1 + logs**2) - 1))
        return np.concatenate([soft, at[len(WEIGHTS) :] / 0.3])

    low = np.concatenate([np.zeros(len(WEIGHTS)), np.full(len(names), -1.0)])
    found = least_squares(loss, start, bounds=(low, np.full(len(start), 4.0))).x
    numbers = dict(zip(WEIGHTS, (round(float(x), 4) for x in found), strict=False))
    factor = Effects(base=0.0, effects=dict(zip(names, (round(float(x), 4) for x in found[len(WEIGHTS) :]), strict=True)))
    return msgspec.structs.replace(constants, numbers={**constants.numbers, **numbers}, effects={**constants.effects, "power": factor})
