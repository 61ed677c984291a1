"""Fits `systems/calibration/training.json`: the rates of a training step (`planner.training.rates.Rates`).

One rate is exp(base + effects of labels). Every base and effect has a normal prior: the base around what the literature gives, effects
around 0 with a deviation that says how much an engine, a chip or a format may differ. Residuals are logarithms of predicted over
measured time a token; a robust loss keeps a row that contradicts the rest from bending the model. Sources count less than in proportion to
their rows. `python -m calibration.training` fits, writes, and prints cross-validation by whole source and by (source, model, chip).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from bedplate.planner.facts.calibration import Constants, Spread
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.training.answer import spread_groups
from bedplate.planner.training.fit import prepared
from bedplate.planner.training.layout import scalar
from bedplate.planner.training.operators import model_flops
from bedplate.planner.training.rates import Rates, rates
from bedplate.planner.training.setup import Setup
from bedplate.planner.training.step import step
from bedplate.storage.systems import load_constants

from . import common
from .priors import Place, Prior, effects, places
from .stacking import stacked

NOISE = 0.04
"""Standard deviation of a row's logarithm: what two runs of one set-up differ by."""
BALANCE = 0.25
"""A source of n rows weighs n^(1 - 2 BALANCE)."""


STRIDE = 1e-4
"""Step of a logarithm in numeric derivatives."""
FOLDS = 6
"""Parts that the (source, model, chip) groups are dealt into for cross-validation."""
THINNED = 30
"""Rows that a source counts as, at most, where ranges are set."""
Values = NDArray[np.float64]


PRIORS: dict[str, Prior] = {
    "matrix": Prior(0.86, 0.04, {"stack:": 0.08, "family:H100": (-0.03, 0.06), "family:": 0.1, "kind:tpu": (0.05, 0.1), "era:": 0.1}),
    "matrix_low": Prior(
        0.85, 0.1, {"stack:": 0.08, "family:": 0.1, "precision:nvfp4": (-0.2, 0.1), "precision:": 0.1, "accelerator:": 0.07}
    ),
    "grouped": Prior(0.8, 0.15, {"stack:": 0.15}),
    "ramp": Prior(300.0, 0.5),
    "unhidden": Prior(0.3, 0.5),
    "attention": Prior(
        0.78,
        0.1,
        {"stack:llm-foundry": (-0.4, 0.15), "stack:": 0.15, "family:": 0.12, "ampere-attention": (-0.75, 0.2), "kind:tpu": (-0.2, 0.2)},
    ),
    "narrow": Prior(0.3, 0.5),
    "scan": Prior(0.04, 0.4, {"family:": 0.2}),
    "stream": Prior(1.8, 0.2, {"stack:": 0.2, "eager": (0.9, 0.3), "autocast": (0.3, 0.2), "era:": 0.3}),
    "permute": Prior(4.0, 0.5, {"stack:": 0.3, "release:": 0.4, "graphed": 0.3}),
    "quantise": Prior(1.0, 0.3, {"precision:": 0.2, "stack:": 0.2}),
    "loss": Prior(24.0, 0.3, {"stack:": 0.3}),
    "scaleup": Prior(0.75, 0.1),
    "fabric": Prior(0.8, 0.1, {"kind:": 0.3}),
    "tensor_shown": Prior(0.7, 0.3, {"stack:maxtext": (-0.5, 0.5), "stack:": 0.3, "era:": 0.3, "async-tp": (-0.3, 0.2)}),
    "context_shown": Prior(0.05, 0.5, {"stack:": 0.7}),
    "expert_shown": Prior(0.7, 0.3, {"stack:": 0.3, "graphed": 0.3}),
    "expert_far": Prior(0.5, 0.4),
    "data_shown": Prior(0.05, 0.5, {"stack:": 0.5}),
    "contention": Prior(0.2, 0.3, {"stack:": 0.4, "family:TPU": 0.7}),
    "host_layer": Prior(4e-4, 0.3, {"stack:": 0.2}),
    "host_mixture": Prior(8e-3, 0.4, {"graphed": (-2.0, 0.5), "token-drop": (-1.0, 0.3), "release:": 0.25, "stack:maxtext": (-3.0, 0.5)}),
    "jitter": Prior(0.006, 0.5, {"stack:": 0.4, "kind:": 0.4}),
    "power": Prior(0.6, 0.2),
    "optimiser": Prior(30.0, 0.2, {"stack:": 0.2}),
}


class Problem(NamedTuple):
    """All rows at once: set-ups stacked into arrays, which places apply to which rows, and the measured seconds."""

    stack: Any
    places: list[Place]
    applies: Values
    seconds: Values
    weight: Values


def measured_seconds(row: common.Measured, made: Setup) -> float | None:
    """Seconds of the measured step, from whatever the source gives."""
    tokens = float(made.layout.batch) * made.work.seq
    found = row.measured
    if "step_time_s" in found:
        return found["step_time_s"]
    if "tokens_per_s_per_accel" in found:
        return tokens / (found["tokens_per_s_per_accel"] * made.chips)
    if "model_tflops_per_accel" in found and row.case.flops_convention != "hardware":
        flops = model_flops(made.arch, made.work.seq, causal=row.case.attention_flops != "full", mtp=made.mtp)
        return tokens * flops / (found["model_tflops_per_accel"] * 1e12 * made.chips)
    return None


def problem(rows: Sequence[common.Measured], knowledge: Knowledge) -> Problem:
    """The rows' arrays; places are made for all labels that occur."""
    made = [prepared(row.case, knowledge) for row in rows]
    found = [measured_seconds(row, one) for row, one in zip(rows, made, strict=True)]
    rows, made = [r for r, s in zip(rows, found, strict=True) if s], [m for m, s in zip(made, found, strict=True) if s]
    seconds = np.array([s for s in found if s])
    sizes = Counter(row.source for row in rows)
    weight = np.array([sizes[row.source] ** -BALANCE for row in rows])
    weight *= np.sqrt(len(rows)) / np.sqrt(np.sum(weight**2))
    at = places(PRIORS, (label for one in made for label in one.labels))
    applies = np.array([[float(place.label in ("", *one.labels)) for one in made] for place in at])
    parts = stacked([(one.layout, one.work, one.ops, one.machine) for one in made])
    return Problem(parts, at, applies, seconds, weight)


def _logs(values: Values, at: Problem) -> dict[str, Values]:
    """The logarithm of every rate for every row."""
    logs = {rate: np.zeros(len(at.seconds)) for rate in PRIORS}
    for value, place, applies in zip(values, at.places, at.applies, strict=True):
        logs[place.factor] += value * applies
    return logs


def predicted(logs: Mapping[str, Values], at: Problem) -> Values:
    """Seconds of all rows' steps at these rates."""
    return np.asarray(step(*at.stack, Rates(**{rate: np.exp(log) for rate, log in logs.items()})).total)


def solve(at: Problem) -> Values:
    """The values that fit best, by Gauss-Newton steps on a robust loss.

    A place acts through its rate alone, so that one evaluation a rate gives the derivatives by all of its places.
    """
    middle = np.array([p.middle for p in at.places])
    deviation = np.array([p.deviation for p in at.places])
    order = {rate: i for i, rate in enumerate(PRIORS)}
    owner = np.array([order[p.factor] for p in at.places])

    def misses(values: Values) -> Values:
        rows = (np.log(predicted(_logs(values, at), at) / at.seconds) / NOISE * at.weight) ** 2
        return np.concatenate([np.sqrt(2.0 * (np.sqrt(1.0 + rows) - 1.0)), (values - middle) / deviation])

    def slopes(values: Values) -> Values:
        logs = _logs(values, at)
        base = predicted(logs, at)
        miss = np.log(base / at.seconds) / NOISE * at.weight
        by_rate = np.array([(np.log(predicted({**logs, rate: logs[rate] + STRIDE}, at) / base)) / STRIDE for rate in PRIORS])
        root = np.sqrt(1.0 + miss**2)
        damped = np.where(np.abs(miss) > 1e-6, miss / root / np.sqrt(2.0 * np.maximum(root - 1.0, 1e-18)), 1.0)
        rows = (damped * at.weight / NOISE)[:, None] * (by_rate[owner] * at.applies).T
        return np.concatenate([rows, np.diag(1.0 / deviation)])

    return np.asarray(least_squares(misses, middle, jac=slopes, x_scale=deviation, max_nfev=25).x)


def fit(cases: Sequence[common.Measured], knowledge: Knowledge) -> Constants:
    """The constants of training steps."""
    at = problem(cases, knowledge)
    return Constants(effects=effects(solve(at), at.places))


class Residual(NamedTuple):
    """ln(measured / predicted) of a row, and the group of ranges that its prediction fell into."""

    row: common.Measured
    value: float
    group: str


def left_out(
    cases: Sequence[common.Measured], knowledge: Knowledge, key: Callable[[common.Measured], Any], parts: int = 0
) -> list[Residual]:
    """Residuals of every row from fits without those of its `key`; with `parts`, keys are dealt into so many folds."""
    keys = {value: i for i, value in enumerate(sorted({key(case) for case in cases}))}
    fold = {value: i % parts if parts else i for value, i in keys.items()}
    out: list[Residual] = []
    for i in sorted(set(fold.values())):
        constants = fit([c for c in cases if fold[key(c)] != i], knowledge)
        out += compared([c for c in cases if fold[key(c)] == i], constants, knowledge)
    return out


def compared(cases: Sequence[common.Measured], constants: Constants, knowledge: Knowledge) -> list[Residual]:
    """The rows' residuals under these constants."""
    found = []
    for row in cases:
        made = prepared(row.case, knowledge)
        seconds = measured_seconds(row, made)
        if seconds:
            parts = step(made.layout, made.work, made.ops, made.machine, rates(constants, made.labels))
            group = spread_groups(made, constants.effects["matrix"].effects)[0]
            found.append(Residual(row, math.log(seconds / scalar(parts.total)), group))
    return found


def spreads(rows: Sequence[Residual]) -> Spread:
    """80 % half-widths by group: dense or mixture, with an engine and a chip that the fit had seen or not.

    A source with many rows counts as one of THINNED rows, evenly drawn from its sorted residuals.
    """
    sources: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        sources[row.group, row.row.source].append(row.value)
    groups: dict[str, list[float]] = defaultdict(list)
    for (group, _), values in sources.items():
        kept = np.quantile(values, (np.arange(THINNED) + 0.5) / THINNED) if len(values) > THINNED else values
        groups[group] += [float(v) for v in kept]
        groups[""] += [float(v) for v in kept]
    return common.spread_of(groups)


def report(title: str, rows: Sequence[Residual]) -> None:
    """Errors of step time by source and by kind."""
    print(title)
    for name, key in (("source", lambda r: r.row.source), ("kind", lambda r: r.group.split("/")[0])):
        for value in sorted({key(r) for r in rows}):
            print(f"  {name} {value}: {common.errors([(math.exp(r.value), 1.0) for r in rows if key(r) == value])}")


def main() -> None:
    """Fit, cross-validate, write."""
    cases, plain = common.read(["train_step"]), common.knowledge(kernels=load_constants("kernels"), memory=load_constants("memory"))
    constants = fit(cases, plain)
    source = left_out(cases, plain, lambda row: row.source)
    chip = left_out(cases, plain, lambda row: row.case.accelerator)
    group = left_out(cases, plain, lambda row: row.group, FOLDS)
    report("in sample", compared(cases, constants, plain))
    report("source left out", source)
    report("chip left out", chip)
    report("group left out", group)
    constants = msgspec.structs.replace(
        constants,
        spreads={"step_time_s": spreads([*source, *chip, *group])},
        fitted_on="measured training steps, calibration/cases",
        cases=len(cases),
    )
    common.write("training", constants)


if __name__ == "__main__":
    main()
