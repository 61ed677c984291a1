"""The reference of a model: how the table that it was trained on is distributed, and what it says of it.

The table comes as the model's example. What the model says is asked of at most `SAMPLE` rows, evenly spaced, through the predictor that
serves: the bytes just written are read back as a server will read them. Equal tables give equal references, byte for byte.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from bedplate.core.model import Model, Predictor
from bedplate.storage.sketch import ColumnSketch, Reference

from .profile import profile, sketch

SAMPLE: Final = 10_000
"""How many rows the model is asked about."""


def reference(example: Any, predictor: Predictor) -> Reference:
    """The reference of a model whose training table is `example` (a Polars or pandas frame, or a list of row mappings)."""
    rows = _every(example, -(-len(example) // SAMPLE))
    known = Reference(profile=profile(_polars(example)))
    try:
        prediction = _sketch(Model(predictor=predictor).predict(rows))
    except Exception as error:  # the user's function or estimator may raise anything; the training stands, and `watch` shows the reason
        reason = f"the model could not predict its own training rows: {type(error).__name__}: {error}"
        return Reference(profile=known.profile, unpredicted=reason[:300])
    if prediction is None:
        return Reference(profile=known.profile, unpredicted="the model gives several values per row")
    return Reference(profile=known.profile, prediction=prediction, predicted=len(rows))


def _every(example: Any, step: int) -> Any:
    if isinstance(example, pl.DataFrame):
        return example.gather_every(step)
    return example[::step] if isinstance(example, list) else example.iloc[::step]


def _sketch(answer: Any) -> ColumnSketch | None:
    values = np.asarray(answer)
    if values.ndim != 1:
        return None
    return sketch(pl.Series("prediction", values if values.dtype.kind in "biuf" else [str(value) for value in values.tolist()]))


def _polars(example: Any) -> pl.DataFrame:
    if isinstance(example, pl.DataFrame):
        return example
    if isinstance(example, list):
        return pl.DataFrame(example, strict=False, infer_schema_length=None)
    return pl.DataFrame([_series(str(name), example[name]) for name in example.columns])


def _series(name: str, column: Any) -> pl.Series:
    """A pandas column; its missing values become nulls."""
    if getattr(column.dtype, "kind", "O") in "iufb":
        missing = bool(column.isna().any())
        values = column.to_numpy(dtype=np.float64, na_value=np.nan) if missing else column.to_numpy()
        return pl.Series(name, values, nan_to_null=True)
    return pl.Series(name, column.astype(object).where(column.notna(), None).tolist(), strict=False)
