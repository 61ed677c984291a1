"""Fits what a pass of an image model or an encoder reaches: `python -m calibration.items` writes it and prints cross-validated errors.

Two constants for each kind of pass (training, answering), by least squares on logarithms, large misfits counted softly: the share of the
attainable matrix rate, and how often every activation is read or written. A chip's rows count as the square root of their number, so that
one desktop card with many models does not decide. Constants are drawn towards PRIORS (value, width in natural logarithms). Rows: items.csv.
Errors are of rows whose chip, and then whose model, was left out. Ranges are equally wide on both sides: most rows are of two desktop
cards, and the side to which those err says nothing of a data centre's.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.kernels.items import Item, Pass, seconds
from bedplate.storage.systems import load_constants
from calibration.common import errors, knowledge, spread_of, write

ROWS = Path(__file__).parent / "items.csv"
PRIORS = {"train": {"share": (0.8, 0.3), "passes": (25.0, 0.5)}, "infer": {"share": (0.8, 0.3), "passes": (8.0, 0.5)}}
"""Large products reach most of the attainable rate; an activation is written once and read twice, again for its normalisation, and all of
it twice over on the way back."""


ROW_SD = 0.2
"""Standard deviation of a chip's one row, natural logarithm."""
FITTED_ON = "published rates of image models (timm, NVIDIA DeepLearningExamples, MLPerf Training v3.0)"


class Row(NamedTuple):
    """One measured rate, images a second on one accelerator with a batch that fills it."""

    model: str
    item: Item
    work: Pass
    chip: str
    rate: float


def rows() -> list[Row]:
    """All rows of items.csv, sources apart."""
    with ROWS.open(newline="") as file:
        found = list(csv.DictReader(file))
    return [
        Row(
            one["model"], Item(flops=2e9 * float(one["gmacs"]), activations=1e6 * float(one["mactivations"])),
            "train" if one["pass"] == "train" else "infer", one["accelerator"], float(one["items_per_s"]),
        )
        for one in found
    ]  # fmt: skip


def residuals(numbers: dict[str, float], measured: Sequence[Row], known: Knowledge) -> list[float]:
    """ln(predicted / measured) of every row's rate."""
    constants, chips = Constants(numbers=numbers), known.systems.accelerators
    kernels = known.constants["kernels"]
    return [-math.log(float(seconds(r.item, r.work, chips[r.chip], "fp16", kernels, constants)) * r.rate) for r in measured]


def fit(measured: Sequence[Row], known: Knowledge) -> dict[str, float]:
    """Both constants of every kind of pass that has rows."""
    numbers: dict[str, float] = {}
    for work in sorted({row.work for row in measured}):
        numbers |= _fitted(work, [row for row in measured if row.work == work], known)
    return numbers


def _fitted(work: Pass, mine: list[Row], known: Knowledge) -> dict[str, float]:
    often = Counter(row.chip for row in mine)
    weight = np.array([often[row.chip] ** -0.5 for row in mine]) / ROW_SD
    names = [f"{work}_{name}" for name in PRIORS[work]]
    middle, width = (np.array([one[i] for one in PRIORS[work].values()]) for i in (0, 1))

    def misfit(logs: np.ndarray) -> np.ndarray:
        found = residuals(dict(zip(names, np.exp(logs), strict=True)), mine, known)
        return np.concatenate([np.array(found) * weight, (logs - np.log(middle)) / width])

    best = least_squares(misfit, np.log(middle), loss="soft_l1")
    return {name: float(f"{math.exp(value):.4g}") for name, value in zip(names, best.x, strict=True)}


def left_out(measured: Sequence[Row], known: Knowledge, field: str) -> list[tuple[Row, float]]:
    """Every row with its residual under constants that did not see its chip or model."""
    found: list[tuple[Row, float]] = []
    for key in sorted({getattr(row, field) for row in measured}):
        numbers = fit([row for row in measured if getattr(row, field) != key], known)
        mine = [row for row in measured if getattr(row, field) == key]
        found += zip(mine, residuals(numbers, mine, known), strict=True)
    return found


def main() -> None:
    """Fit, print, write."""
    measured, known = rows(), knowledge(kernels=load_constants("kernels"))
    numbers = fit(measured, known)
    apart: dict[tuple[str, str], list[float]] = {}
    for field in ("chip", "model"):
        found = left_out(measured, known, field)
        for work in ("train", "infer"):
            mine = [off for row, off in found if row.work == work]
            apart[field, work] = mine
            print(field, work, errors([(1.0, math.exp(off)) for off in mine]))
    both = {
        work: [sign * off for field in ("chip", "model") for off in apart[field, work] for sign in (1, -1)] for work in ("train", "infer")
    }
    spreads = spread_of({"": [off for found in both.values() for off in found]} | both)
    write("items", Constants(numbers=numbers, spreads={"items_per_s": spreads}, fitted_on=FITTED_ON, cases=len(measured)))
    print(numbers, spreads)


if __name__ == "__main__":
    main()
