"""Ways to make a lighter model of one that is stored: fewer trees, a small student, weights in int8. Each gives a Model like a trained one.

* *Prune*: the first trees only; boosting puts the coarse ones first.
* *Distil*: a small LightGBM model that has learned what the model says of a table's rows, not what their labels are.
* *Quantise*: the model as ONNX with its weights in int8, and the scale of its values found for each batch; or found before on rows of a
  table, and fixed (*static*), which spares finding it.

Nothing is judged here: each way lists candidates, lightest first where that is known, and `gate.py` says which may be kept. Limits: pruning
takes LightGBM and XGBoost; a student tells one number a row; trees have no weights to quantise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from bedplate.core import extras
from bedplate.core.errors import UserError
from bedplate.core.model import Model
from bedplate.storage.runtimes import Source

SHARES: Final = (0.1, 0.2, 0.35, 0.5, 0.75)
"""The shares of its trees that are tried, fewest first."""
ROUNDS: Final = (25, 50, 100, 200)
"""The trees that a student is tried with, fewest first."""
MOST_ROWS: Final = 200_000
"""A student learns from at most so many rows."""
CALIBRATION_ROWS: Final = 2_000
"""Scales are found on at most so many rows."""


def pruned(source: Source, example: Any) -> Iterator[tuple[str, Model]]:
    """The model with a share of its trees, fewest first, and what that is in words. Raises UserError for another kind of model."""
    flavour = source.stored.flavour
    if flavour not in ("lightgbm", "xgboost"):
        raise UserError(
            f"a {flavour} model cannot be pruned", why="the first of its trees are kept, and only boosted trees have an order",
            next="bedplate optimise NAME --distil, or --quantise int8 for a network",
        )  # fmt: skip
    booster: Any = source.native
    if flavour == "lightgbm":
        booster = extras.load("lightgbm", "pruning trees", "lightgbm").Booster(model_file=source.files["model.txt"])
    rounds = booster.current_iteration() if flavour == "lightgbm" else booster.num_boosted_rounds()
    for count in sorted({max(1, round(rounds * share)) for share in SHARES}):
        if count < rounds:
            yield f"{count} of {rounds} rounds of trees", Model(_first(booster, count, flavour), example=example)


def _first(booster: Any, count: int, flavour: str) -> Any:
    if flavour == "xgboost":
        return booster[:count]
    kept: Any = type(booster)(model_str=booster.model_to_string(num_iteration=count))
    kept.pandas_categorical = booster.pandas_categorical
    return kept


def distilled(source: Source, rows: pl.DataFrame) -> Iterator[tuple[str, Model]]:
    """Students that learned from what the model says of `rows`, smallest first. Raises UserError where it tells several numbers a row."""
    lightgbm = extras.load("lightgbm", "distilling a model", "lightgbm")
    inputs = source.stored.signature.inputs
    rows = rows.sample(MOST_ROWS, seed=0) if len(rows) > MOST_ROWS else rows
    matrix = source.predictor.matrix({field.name: rows[field.name].to_list() for field in inputs})
    said = np.asarray(source.predictor.rows(matrix), dtype=np.float64)
    if said.ndim != 1 or len(said) < 2:
        raise UserError("the model cannot be distilled", why="a student learns one number a row, from two rows or more")
    chances = bool(np.all((said >= 0) & (said <= 1)))
    settings = {
        "objective": "cross_entropy" if chances else "regression", "num_leaves": 31, "learning_rate": 0.1, "deterministic": True,
        "force_row_wise": True, "num_threads": 1, "seed": 0, "verbosity": -1,
    }  # fmt: skip
    categories = [field.name for field in inputs if field.categories]
    codes = Model.codes(rows.select([field.name for field in inputs])).to_numpy()
    for rounds in ROUNDS:
        names = [field.name for field in inputs]
        data = lightgbm.Dataset(codes, label=said, feature_name=names, categorical_feature=categories, free_raw_data=False)
        yield f"{rounds} trees taught by {len(rows):,} rows", Model(lightgbm.train(settings, data, rounds), example=rows)


def quantised(source: Source, example: Any) -> Iterator[tuple[str, Model]]:
    """The model as ONNX with weights in int8. Raises UserError for one that has none."""
    to_onnx, data = _network(source)
    with tempfile.TemporaryDirectory() as folder:
        made = to_onnx.quantised(data, Path(folder))
    yield "weights in int8, activations quantised as they come", Model(made, example=example, flavour="onnx")


def calibrated(source: Source, rows: pl.DataFrame) -> Iterator[tuple[str, Model]]:
    """The model as ONNX with weights and values in int8, their scales from `rows`; then in 7 bits, which no processor's sums overflow.

    Raises UserError for one that has no weights, and for rows of which none is whole.
    """
    to_onnx, data = _network(source)
    rows = rows.sample(CALIBRATION_ROWS, seed=0) if len(rows) > CALIBRATION_ROWS else rows
    matrix = source.predictor.matrix({field.name: rows[field.name].to_list() for field in source.stored.signature.inputs})
    whole = matrix[np.isfinite(matrix).all(axis=1)]
    if not len(whole):
        raise UserError("there is nothing to calibrate on", why="in every row a value is missing", next="--rows TABLE, with whole rows")
    for bits in (8, 7):
        with tempfile.TemporaryDirectory() as folder:
            made = to_onnx.calibrated(data, whole, Path(folder), narrow=bits == 7)
        what = f"weights in {bits} bits, activations in 8, their scales from {len(whole):,} rows"
        yield what, Model(made, example=rows, flavour="onnx")


def _network(source: Source) -> tuple[Any, bytes]:
    """What quantises, and the model as ONNX. Raises UserError for one that has no weights."""
    if source.stored.flavour in ("lightgbm", "xgboost"):
        raise UserError(
            f"a {source.stored.flavour} model cannot be quantised", why="trees have thresholds, not weights that are multiplied",
            next="bedplate optimise NAME --compile, --prune or --distil",
        )  # fmt: skip
    to_onnx = extras.load("bedplate.storage.backends.to_onnx", "quantising a model", "runtimes")
    data = source.files["model.onnx"].read_bytes() if source.stored.flavour == "onnx" else to_onnx.exported(source)
    return to_onnx, data
