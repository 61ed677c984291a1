"""Fits the constants of time to train: `python -m calibration.convergence` writes them and prints the cross-validated errors.

Least squares on the logarithm of the minutes, large misfits counted softly (one deviation stands for 8 %); a configuration that many
submitters repeat counts as its square root. Effects of chips, engines and rounds are drawn towards zero (WIDTHS), the family constants
towards PRIORS by one natural logarithm.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from scipy.optimize import least_squares
from scipy.stats import spearmanr

from bedplate.planner.convergence.answering import answer, benchmark_of, familiarity, groups_of, labels_of, load_of, start_labels_of
from bedplate.planner.convergence.scaling import Load, Pace, run_seconds
from bedplate.planner.facts.calibration import Constants, Effects, Spread
from bedplate.planner.facts.knowledge import Knowledge, machine
from calibration.common import Measured, errors, folds, knowledge, read, spread_of, write

QUANTITY = "time_to_train_min"
WIDTHS = {"generation": 0.2, "work": 0.12, "accelerator": 0.12, "engine": 0.35, "round": 0.12, "start": 0.4}
CURRENT = "round:v4.1"
BASE = {CURRENT, "engine:", "engine:nemo", "engine:pytorch", "engine:maxtext"}
"""What the base stands for, and what a name never seen is taken to be: the newest software seen, an engine tuned by the chip's vendor."""
PRIORS = {
    "compute/masked": 1.5, "compute/pretrain": 1.6, "compute/adapter": 2.7, "compute/unet": 4.0,
    "memory/masked": 0.5, "memory/pretrain": 0.5, "memory/adapter": 0.8, "memory/unet": 0.3,
    "bubble/pretrain": 0.1, "bubble/adapter": 0.05, "latency_s": 0.005, "exchange": 0.3,
    "start_s/masked": 3.0, "start_s/pretrain": 20.0, "start_s/adapter": 20.0, "start_s/unet": 30.0,
}  # fmt: skip


class Rows:
    """The cases as arrays: one Load, and for each constant the column it is read from."""

    def __init__(self, cases: Sequence[Measured], known: Knowledge) -> None:
        found = [(benchmark_of(c.case), machine(c.case, known), c) for c in cases]
        loads = [load_of(benchmark, chip, c.case, c.case.gbs or 0.0) for benchmark, chip, c in found]
        self.load = Load(**{field: np.array([getattr(load, field) for load in loads]) for field in Load.__struct_fields__})
        self.families = [benchmark.family for benchmark, _, _ in found]
        self.labels = [[label for label in labels_of(benchmark, chip, c.case) if label not in BASE] for benchmark, chip, c in found]
        self.start_labels = [[x for x in start_labels_of(b, c.case) if CURRENT not in x] for b, _, c in found]
        self.target = np.log([c.measured[QUANTITY] * 60 for c in cases])
        repeated = Counter((b.name, chip.name, c.case.n_accel, c.case.gbs, c.case.round) for b, chip, c in found)
        self.weight = np.array([repeated[b.name, chip.name, c.case.n_accel, c.case.gbs, c.case.round] ** -0.5 for b, chip, c in found])

    def pace(self, numbers: dict[str, float], slow: np.ndarray, start: np.ndarray) -> Pace:
        def column(name: str) -> np.ndarray:
            return np.array([numbers.get(f"{name}/{family}", 0.0) for family in self.families])

        return Pace(
            compute=column("compute"), memory=column("memory"), bubble=column("bubble"), start=column("start_s") * start,
            latency=numbers["latency_s"], exchange=numbers["exchange"], slow=slow,
        )  # fmt: skip


def one_hot(rows: Sequence[Sequence[str]]) -> tuple[list[str], np.ndarray]:
    """(labels, rows x labels): 1 where a row has the label."""
    labels = sorted({label for row in rows for label in row})
    return labels, np.array([[label in row for label in labels] for row in rows], dtype=float).reshape(len(rows), len(labels))


def fit(cases: Sequence[Measured], known: Knowledge) -> Constants:
    """Constants without spreads."""
    rows = Rows(cases, known)
    labels, design = one_hot(rows.labels)
    start_labels, start_design = one_hot(rows.start_labels)
    widths = np.array([WIDTHS[label.split(":")[0]] for label in labels] + [WIDTHS["start"]] * len(start_labels))
    names, prior = list(PRIORS), np.log(list(PRIORS.values()))

    first, second = len(names), len(names) + len(labels)

    def residuals(x: np.ndarray) -> np.ndarray:
        numbers = dict(zip(names, np.exp(x[:first]), strict=True))
        pace = rows.pace(numbers, np.exp(design @ x[first:second]), np.exp(start_design @ x[second:]))
        off = (np.log(run_seconds(rows.load, pace).total) - rows.target) / 0.08 * rows.weight
        soft = np.sign(off) * np.sqrt(2 * (np.sqrt(1 + off**2) - 1))
        return np.concatenate([soft, x[:first] - prior, x[first:] / widths])

    x = least_squares(residuals, np.concatenate([prior, np.zeros(len(widths))]), max_nfev=100).x
    return Constants(
        effects={
            "slow": Effects(base=0.0, effects=dict(zip(labels, np.round(x[first:second], 4).tolist(), strict=True))),
            "start": Effects(base=0.0, effects=dict(zip(start_labels, np.round(x[second:], 4).tolist(), strict=True))),
        },
        numbers={name: float(f"{math.exp(value):.4g}") for name, value in zip(names, x, strict=False)},
        spreads={QUANTITY: Spread(down={"": 0.3}, up={"": 0.3})},
        fitted_on=", ".join(sorted({c.source for c in cases})),
        cases=len(cases),
    )


def predict(cases: Sequence[Measured], known: Knowledge, constants: Constants) -> list[float]:
    """Minutes by the planner's own answer with these constants."""
    with_constants = msgspec.structs.replace(known, constants={"convergence": constants})
    return [answer(c.case, with_constants).quantities[QUANTITY].value for c in cases]


def cross_validate(
    cases: Sequence[Measured], known: Knowledge, by: Callable[[Sequence[Measured]], Iterator[Any]]
) -> list[tuple[Measured, float, str]]:
    """(case, prediction of a fit without its `by`, how familiar that fit was with the chip) for every case."""
    out: list[tuple[Measured, float, str]] = []
    for _, rest, left in by(cases):
        constants = fit(rest, known)
        for case, value in zip(left, predict(left, known, constants), strict=True):
            out.append((case, value, familiarity(machine(case.case, known), constants)))
    return out


def by_chip(cases: Sequence[Measured]) -> Iterator[Any]:
    """Leaves one accelerator out; not the H100, without which nothing of these rounds is left."""
    return by_key(cases, lambda chip: chip)


def by_generation(cases: Sequence[Measured]) -> Iterator[Any]:
    """Leaves all chips whose names start with the same letter out, the H100's kin apart."""
    return by_key(cases, lambda chip: chip.lstrip("G")[0])


def by_key(cases: Sequence[Measured], key: Callable[[str], str]) -> Iterator[Any]:
    """Leaves out what shares a key of the accelerator's name, the H100's apart."""
    found = {id(c): key(c.case.accelerator or "") for c in cases}
    for name in sorted(set(found.values()) - {key("H100-SXM5-80GB")}):
        yield name, [c for c in cases if found[id(c)] != name], [c for c in cases if found[id(c)] == name]


def spreads(found: Sequence[tuple[Measured, float, str]]) -> Spread:
    """Half-widths by how familiar the fit was with the chip, and by benchmark for known chips; the less familiar is never the narrower."""
    groups: dict[str, list[float]] = defaultdict(list)
    for case, value, state in found:
        for group in {"", state, *groups_of(benchmark_of(case.case), state)}:
            groups[group].append(math.log(case.measured[QUANTITY] / value))
    spread = spread_of({group: off for group, off in groups.items() if "/" not in group or group.startswith("known/")}, least=20)
    down, up = dict(spread.down), dict(spread.up)
    for side in (down, up):
        side["kin"] = max(side["kin"], side["known"])
        side["new"] = max(side["new"], side["kin"])
    return Spread(down=down, up=up)


def report(title: str, found: Sequence[tuple[Measured, float, str]], spread: Spread) -> None:
    """Prints errors, rank correlation, coverage of the ranges, and the worst rows."""
    pairs = [(case.measured[QUANTITY], value) for case, value, _ in found]
    inside = 0
    for case, value, state in found:
        down, up = spread.of(groups_of(benchmark_of(case.case), state))
        inside += -down <= math.log(case.measured[QUANTITY] / value) <= up
    rank = spearmanr([p[0] for p in pairs], [p[1] for p in pairs]).statistic
    print(f"{title}: {errors(pairs)} rank correlation {rank:.3f} in range {inside / len(found):.0%}")
    for benchmark in sorted({c.case.benchmark or "" for c, _, _ in found}):
        print(f"  {benchmark}: {errors([(c.measured[QUANTITY], v) for c, v, _ in found if c.case.benchmark == benchmark])}")
    for case, value, _ in sorted(found, key=lambda f: -abs(math.log(f[1] / f[0].measured[QUANTITY])))[:8]:
        print(f"  worst: {case.case.benchmark} {case.case.n_accel} x {case.case.accelerator} {case.case.submitter} "
              f"measured {case.measured[QUANTITY]:.3g}, predicted {value:.3g}")  # fmt: skip


def main() -> None:
    """Fits, cross-validates, writes."""
    known, cases = knowledge(), read(["time_to_train"])
    sources, chips = cross_validate(cases, known, folds), cross_validate(cases, known, by_chip)
    generations = cross_validate(cases, known, by_generation)
    spread = spreads(sources + chips + generations)
    constants = msgspec.structs.replace(fit(cases, known), spreads={QUANTITY: spread})
    write("convergence", constants)
    print("fit:", errors(list(zip([c.measured[QUANTITY] for c in cases], predict(cases, known, constants), strict=True))))
    report("left out by source", sources, spread)
    report("left out by chip", chips, spread)
    report("left out by generation", generations, spread)


if __name__ == "__main__":
    main()
