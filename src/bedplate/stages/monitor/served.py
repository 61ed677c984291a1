"""Reading what a service predicted: its log, the labels brought for it, and both joined.

    prediction_id request_id at latency_ms status error models request features result    as the server logged them
    label                                                                                 what happened; null where it is not known
    ...                                                                                   the other columns of the labels

Labels are kept as they came, with `brought_at`, the time, and `brought_row`, the place in their file: of several labels for one
prediction the latest counts.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import polars as pl

from bedplate.core.errors import InternalError
from bedplate.core.kinds import View

from .labels import join_labels

BROUGHT_AT: Final = "brought_at"
BROUGHT_ROW: Final = "brought_row"


def joined(predictions: pl.LazyFrame, labels: pl.LazyFrame) -> pl.DataFrame:
    """Every prediction, by time, with the columns of its label; the column `label` is there even where nobody brought any."""
    rows = predictions.sort("at", "prediction_id").collect()
    known = brought(labels)
    if known is None:
        return rows.with_columns(label=pl.lit(None, dtype=pl.Float64))
    return join_labels(rows, known)[0]


def brought(labels: pl.LazyFrame) -> pl.DataFrame | None:
    """The labels of a log, in the order in which they came; None where there are none."""
    frame = labels.collect()
    if "label" not in frame.columns:
        return None
    return frame.sort(BROUGHT_AT, BROUGHT_ROW).drop(BROUGHT_AT, BROUGHT_ROW)


def as_view(frame: pl.DataFrame, view: View, name: str) -> Any:
    """The frame as a consumer wants it: Polars, lazy Polars, pandas, Arrow or DuckDB. Raises UserError where a library is missing."""
    if view == "polars":
        return frame
    if view == "polars.lazy":
        return frame.lazy()
    if view in ("pandas", "arrow"):
        return getattr(importlib.import_module("bedplate.storage.backends.pandas_view"), f"as_{view}")(frame)
    if view == "duckdb":
        return importlib.import_module("bedplate.storage.backends.warehouse").relation_of(name, frame)
    raise InternalError(f"no view '{view}' of what a service predicted")
