"""Fits the constants of serving: efficiencies, engine delays, waits before the first token, percentiles, power.

Every constant is exp(base + effects); bases are held near PRIOR, effects near zero, by quadratic penalties (the mode of a hierarchical
model), residuals are logarithms under a soft-L1 loss. `python -m calibration.serving` fits on all cases, writes
src/bedplate/systems/calibration/serving.json, and prints errors on cases left out: by whole source, and by model and accelerator.
"""

from __future__ import annotations

import collections
import math
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from bedplate.planner.facts.calibration import Constants, Effects, Spread
from bedplate.planner.facts.cases import Answer, Case
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.serving import disagg, maximum, point
from bedplate.planner.serving.datasets import LENGTHS
from calibration.common import Measured, errors, knowledge, read, spread_of, write
from calibration.serving_beside import with_jitter, with_power
from calibration.serving_parts import parts

Array = NDArray[np.float64]

PRIOR: dict[str, tuple[float, float]] = {
    "memory": (0.80, 0.045), "experts": (0.70, 0.075), "kv": (0.70, 0.075), "gemm": (0.60, 0.075), "moe_gemm": (0.30, 0.15),
    "attention": (0.35, 0.12), "throttle": (0.7, 0.09), "link": (0.60, 0.12), "imbalance": (1.0, 0.12), "padding": (0.05, 0.15),
    "pace": (1.0, 0.05), "alpha_us": (12.0, 0.08), "layer_us": (25.0, 0.15), "moe_layer_us": (25.0, 0.18), "step_us": (800.0, 0.21),
    "sequence_us": (8.0, 0.24), "prefill_layer_us": (40.0, 0.24), "prefill_moe_layer_us": (100.0, 0.24), "client_ms": (25.0, 0.5),
    "crowd_ms": (1.5, 0.4), "batching": (0.1, 0.15), "burst": (0.1, 0.4), "slot": (0.001, 0.3), "spill": (0.02, 0.3), "isl": (500.0, 0.01),
    "max_batch": (2048.0, 0.01), "sustained": (1.0, 0.02),
}  # fmt: skip
"""Value and log standard deviation of each base before any case is seen: what public micro-benchmarks say of tuned kernels and of engines
of 2025 (roofline shares of decode kernels, all-reduce latencies of nccl-tests, launch gaps of captured graphs). Held close, because one
source can never show a base: a benchmark's host, an old engine or a load generator belongs to `setting`, `release` and `host`."""

EFFECTS: dict[str, dict[str, float]] = {
    "pace": {"engine": 0.10, "apart": 0.10, "release": 0.08, "version": 0.06, "drafts": 0.25, "setting": 1.0},
    "memory": {"generation": 0.08, "accelerator": 0.05, "setting": 0.15},
    "experts": {"generation": 0.10, "accelerator": 0.06, "moe": 0.08, "engine": 0.06, "setting": 0.3},
    "kv": {"generation": 0.08, "accelerator": 0.08, "engine": 0.1, "setting": 0.3},
    "gemm": {"generation": 0.1, "accelerator": 0.08, "precision": 0.1, "setting": 0.3},
    "moe_gemm": {"generation": 0.15, "accelerator": 0.12, "moe": 0.15, "engine": 0.15, "setting": 0.5},
    "attention": {"generation": 0.15, "accelerator": 0.08, "engine": 0.15, "apart": 0.15},
    "padding": {"adp": 1.0, "setting": 1.5},
    "link": {"link": 0.15, "release": 0.1},
    "alpha_us": {"engine": 0.08, "link": 0.08},
    "layer_us": {"engine": 0.15, "generation": 0.1, "accelerator": 0.05, "setting": 0.5},
    "moe_layer_us": {"engine": 0.15, "moe": 0.15, "setting": 0.5},
    "step_us": {"engine": 0.3, "host": 1.5, "setting": 1.2},
    "sequence_us": {"engine": 0.3, "release": 0.15, "setting": 1.2, "generation": 0.2, "accelerator": 0.1},
    "prefill_layer_us": {"engine": 0.3, "setting": 1.0},
    "prefill_moe_layer_us": {"engine": 0.6},
    "client_ms": {"engine": 0.4, "apart": 0.3, "release": 0.3},
    "batching": {"adp": 2.0},
    "burst": {"engine": 0.3, "apart": 0.3, "release": 0.25},
    "crowd_ms": {"engine": 0.4, "release": 0.3},
    "slot": {"version": 4.0},
    "spill": {"apart": 0.3},
    "isl": {"dataset": 0.5},
    "sustained": {"scenario": 0.15},
}
"""Which labels may move a constant (by what comes before the colon), and the log standard deviation of such an effect. Releases differ
less than engines: a release never seen is like its engine's others."""

WEIGHTS = {"tpot_ms": 1.0, "ttft_ms": 0.45, "output_tokens_per_s": 0.8, "itl_median_ms": 0.3}
"""How much a quantity's residual counts."""

STEP = 1e-4
"""Of the logarithm of a constant, for slopes."""

SCALE = 0.08
"""Log residual beyond which a case counts linearly."""

Key = tuple[str, str]


class Problem:
    """Parts with one vector of constants: the keys are (constant, label), label '' for the base."""

    def __init__(self, cases: Sequence[Measured], known: Knowledge) -> None:
        self.parts = parts(cases, known)
        seen = sorted({label for part in self.parts.values() for role in part.labels.values() for labels in role for label in labels})
        self.keys: list[Key] = [(name, "") for name in PRIOR]
        self.keys += [(name, label) for name, kinds in EFFECTS.items() for label in seen if label.split(":")[0] in kinds]
        self.mean = np.array([_prior(key)[0] for key in self.keys])
        self.deviation = np.array([_prior(key)[1] for key in self.keys])
        self.member = {(name, role): self._members(labels) for name, part in self.parts.items() for role, labels in part.labels.items()}
        self.together, self.touched = self._together(), self._touched()
        self.measured = {name: {q: part.measured(q) for q in WEIGHTS} for name, part in self.parts.items()}

    def _members(self, labels: list[tuple[str, ...]]) -> dict[str, tuple[list[int], Array]]:
        """By constant: the positions of its keys that apply to any case, and a matrix of cases by those keys."""
        sets = [set(ls) for ls in labels]
        here = set().union(*sets)
        found: dict[str, tuple[list[int], Array]] = {}
        for name in PRIOR:
            at = [i for i, (constant, label) in enumerate(self.keys) if constant == name and (not label or label in here)]
            rows = [[float(not self.keys[i][1] or self.keys[i][1] in s) for i in at] for s in sets]
            found[name] = (at, np.array(rows))
        return found

    def values(self, theta: Array, part: str, role: str) -> Callable[[str], Array]:
        """The value of each constant for each case of a part's role."""
        exps = {name: np.exp(matrix @ theta[at]) for name, (at, matrix) in self.member[part, role].items()}
        return exps.__getitem__

    def predict(self, theta: Array) -> dict[str, dict[str, Array]]:
        return {name: part.predict({role: self.values(theta, name, role) for role in part.labels}) for name, part in self.parts.items()}

    def residuals(self, theta: Array, use: dict[str, NDArray[np.bool_]]) -> Array:
        found = []
        predicted = self.predict(theta)
        for name, part in self.parts.items():
            for quantity in part.quantities:
                logs = np.log(predicted[name][quantity] / self.measured[name][quantity]) * WEIGHTS[quantity]
                found.append(np.where(np.isfinite(logs) & use[name], logs, 0.0))
        return np.concatenate(found)

    def fit(self, use: dict[str, NDArray[np.bool_]], steps: int = 12) -> Array:
        """The constants that the cases marked by `use` make most likely."""

        def loss(theta: Array) -> Array:
            logs = self.residuals(theta, use)
            soft = np.sign(logs) * np.sqrt(2 * (np.sqrt(1 + (logs / SCALE) ** 2) - 1))
            return np.concatenate([soft, (theta - self.mean) / self.deviation])

        def slopes(theta: Array) -> Array:
            here = loss(theta)
            rows = len(here) - len(theta)
            jacobian = np.zeros((len(here), len(theta)))
            jacobian[rows:] = np.diag(1 / self.deviation)
            for at in self.together:
                moved = theta.copy()
                moved[at] += STEP
                change = (loss(moved)[:rows] - here[:rows]) / STEP
                jacobian[:rows, at] = change[:, None] * self.touched[:, at]
            return jacobian

        return np.asarray(least_squares(loss, self.mean.copy(), jac=slopes, x_scale=self.deviation, max_nfev=steps).x)

    def _together(self) -> list[list[int]]:
        """Keys that no case shares two of (labels of one kind under one constant): one evaluation gives all their slopes."""
        groups: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
        for i, (name, label) in enumerate(self.keys):
            groups[name, label.split(":")[0]].append(i)
        return list(groups.values())

    def _touched(self) -> Array:
        """Rows of residuals (as `residuals` orders them) by keys: 1 where the case bears the key's label in any role."""
        found = []
        for part in self.parts.values():
            sets = [set().union(*(role[i] for role in part.labels.values())) for i in range(len(part.cases))]
            rows = np.array([[float(not label or label in s) for _, label in self.keys] for s in sets])
            found += [rows] * len(part.quantities)
        return np.concatenate(found)

    def every(self) -> dict[str, NDArray[np.bool_]]:
        return {name: np.ones(len(part.cases), dtype=bool) for name, part in self.parts.items()}


def _prior(key: Key) -> tuple[float, float]:
    name, label = key
    if not label:
        return float(np.log(PRIOR[name][0])), PRIOR[name][1]
    kind, _, rest = label.partition(":")
    mean = float(np.log(LENGTHS[rest].isl / PRIOR["isl"][0])) if name == "isl" and rest in LENGTHS else 0.0
    return mean, EFFECTS[name][kind]


def effects(problem: Problem, theta: Array) -> dict[str, Effects]:
    """The vector as named constants; labels that no case moved are left out."""
    found: dict[str, Effects] = {}
    for name in PRIOR:
        here = {label: value for (constant, label), value in zip(problem.keys, theta, strict=True) if constant == name}
        moved = {label: round(float(value), 4) for label, value in here.items() if label and abs(value) > 0.005}
        found[name] = Effects(base=round(float(here[""]), 4), effects=moved)
    return found


def constants_from(problem: Problem, theta: Array, known: Knowledge, use: Mapping[str, NDArray[np.bool_]]) -> Constants:
    """All constants but the spreads, which need cases left out."""
    points = [case for case, used in zip(problem.parts["point"].cases, use["point"], strict=True) if used]
    count = int(sum(u.sum() for u in use.values()))
    plain = Constants(effects=effects(problem, theta), fitted_on=f"constants fitted on {count} serving cases", cases=count)
    return with_power(points, known, with_jitter(points, known, plain))


def fit(cases: Sequence[Measured], known: Knowledge) -> Constants:
    """The constants that these cases give (without spreads)."""
    problem = Problem(cases, known)
    return constants_from(problem, problem.fit(problem.every()), known, problem.every())


class LeftOut(NamedTuple):
    """A case's quantity, predicted by a fit that did not see its group."""

    case: Measured
    part: str
    quantity: str
    measured: float
    predicted: float

    @property
    def residual(self) -> float:
        return math.log(self.measured / self.predicted)


KINDS: dict[str, Callable[[Case, Knowledge], Answer]] = {
    "serve_point": point.answer, "serve_disagg": disagg.answer, "serve_max": maximum.answer,
}  # fmt: skip
OPEN = Spread(down={"": 0.0}, up={"": 0.0})
QUANTITIES = (
    "ttft_ms", "tpot_ms", "output_tokens_per_s", "itl_median_ms", "itl_p90_ms", "itl_p95_ms", "itl_p99_ms", "avg_power_w",
    "energy_per_token_j", "energy_per_request_j",
)  # fmt: skip


def predictions(cases: Mapping[str, Sequence[Measured]], known: Knowledge, constants: Constants) -> Iterator[LeftOut]:
    """What the planner answers to the cases of each part with these constants."""
    with_constants = msgspec.structs.replace(constants, spreads=constants.spreads or dict.fromkeys(QUANTITIES, OPEN))
    told = msgspec.structs.replace(known, constants={"serving": with_constants})
    for part, members in cases.items():
        for case in members:
            said = KINDS[case.case.kind](case.case, told).quantities
            for quantity, measured in case.measured.items():
                if quantity in said:
                    yield LeftOut(case, part, quantity, measured, said[quantity].value)


def cross_validate(problem: Problem, known: Knowledge, by: Callable[[Measured], Hashable]) -> list[LeftOut]:
    """Every case predicted by constants fitted without its group, from the priors on (a start from the full fit would leak the group)."""
    found: list[LeftOut] = []
    for group in sorted({by(c) for part in problem.parts.values() for c in part.cases}, key=str):
        use = {name: np.array([by(c) != group for c in part.cases]) for name, part in problem.parts.items()}
        constants = constants_from(problem, problem.fit(use), known, use)
        left = {name: [c for c in part.cases if by(c) == group] for name, part in problem.parts.items()}
        found += predictions(left, known, constants)
    return found


def family(case: Measured) -> tuple[str, str, str]:
    """Source and architecture (checkpoints of one counted together), and the accelerator where the source has it for several models."""
    name = case.case.model.name if case.case.model else ""
    one = "DeepSeek-V3" if name.startswith("DeepSeek") else name
    return case.source, one, (case.case.accelerator or "") if case.source == "infer_silicon_ttft_tpot" else ""


def fifth(case: Measured) -> int:
    """One of five parts of the groups of (source, model, accelerator), the same on every run."""
    return zlib.crc32("/".join(case.group).encode()) % 5


def spreads(found: Sequence[LeftOut]) -> dict[str, Spread]:
    """80 % half-widths of every quantity by the groups that answers name."""
    residuals: dict[str, dict[str, list[float]]] = {q: collections.defaultdict(list) for q in QUANTITIES}
    for left in found:
        for group in spread_groups(left):
            residuals[left.quantity][group].append(left.residual)
    return {quantity: evened(spread_of(groups)) for quantity, groups in residuals.items() if groups}


def evened(spread: Spread) -> Spread:
    """The same total widths, half of the way to symmetric: a left-out group's bias is its own and does not come back with its sign."""
    down = {group: round(0.75 * low + 0.25 * spread.up[group], 4) for group, low in spread.down.items()}
    up = {group: round(0.75 * high + 0.25 * spread.down[group], 4) for group, high in spread.up.items()}
    return Spread(down=down, up=up)


def spread_groups(left: LeftOut) -> tuple[str, ...]:
    """The groups that the case's answer looks under."""
    case = left.case.case
    if left.part == "disagg":
        return disagg.groups(case)
    return maximum.groups(case) if left.part == "max" else point.groups(case)


def report(title: str, found: Sequence[LeftOut]) -> None:
    """Prints errors by part and quantity, and of each engine and model within."""
    print(title)
    kinds = sorted({(f.part, f.quantity) for f in found})
    for part, quantity in kinds:
        here = [f for f in found if (f.part, f.quantity) == (part, quantity)]
        print(f"  {part} {quantity}: {errors([(f.measured, f.predicted) for f in here])}")
        for name in sorted({str(family(f.case)[1:]) for f in here}):
            print(f"      {name}: {errors([(f.measured, f.predicted) for f in here if str(family(f.case)[1:]) == name])}")


def main() -> None:
    """Fits, cross-validates, writes."""
    known, cases = knowledge(), read(["serve_point", "serve_disagg", "serve_max"])
    problem = Problem(cases, known)
    theta = problem.fit(problem.every())
    constants = constants_from(problem, theta, known, problem.every())
    by_fifth = cross_validate(problem, known, fifth)
    by_source = cross_validate(problem, known, lambda case: case.source)
    write("serving", msgspec.structs.replace(constants, spreads=spreads(by_fifth)))
    report("seen", list(predictions({n: p.cases for n, p in problem.parts.items()}, known, constants)))
    report("left out by a fifth of the models and accelerators", by_fifth)
    report("left out by source", by_source)


if __name__ == "__main__":
    main()
