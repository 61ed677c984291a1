"""Profiles: the sketches of a frame's columns, made fast with Polars.

The table that a model was trained on is profiled once and kept beside the model; a window of served rows is profiled with the
reference's edges, so that the two compare bin by bin. Struct columns are opened (`features.carrier_delay.mean` becomes a column
of that name); lists, binary and objects have no distribution in one dimension and are named in `skipped`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from bedplate.storage.sketch import FINE, CategorySketch, ColumnSketch, NumericSketch, Profile, category, join

_BATCH = 262_144

Floats = npt.NDArray[np.float64]

FARTHEST: Final = 1e100
"""What lies beyond counts as that: squares and sums of values stay finite, whatever one caller sent."""


def profile(frame: pl.DataFrame | pl.LazyFrame, edges: Profile | None = None, columns: Sequence[str] | None = None) -> Profile:
    """The profile of `frame`; with `edges` (the reference's profile) it can be compared with it and merged.

    `columns` names those wanted (after structs are opened). A lazy frame with `edges` is read in batches, so memory does not grow with
    its rows; without edges it is collected, because quantiles need all values.
    """
    if isinstance(frame, pl.LazyFrame):
        if edges is None:
            return profile(frame.collect(), None, columns)
        whole: Profile | None = None
        for batch in frame.collect_batches(chunk_size=_BATCH):
            part = profile(batch, whole_edges(edges, whole), columns)
            whole = part if whole is None else join(whole, part)
        return whole or profile(frame.head(0).collect(), edges, columns)
    opened = open_structs(frame)
    sketches: dict[str, ColumnSketch] = {}
    skipped: dict[str, str] = {}
    for series in opened.iter_columns():
        if columns is not None and series.name not in columns:
            continue
        sketched = sketch(series, edges.columns.get(series.name) if edges else None)
        if sketched is None:
            skipped[series.name] = f"{series.dtype} has no distribution in one dimension"
        else:
            sketches[series.name] = sketched
    return Profile(rows=opened.height, columns=sketches, skipped=skipped)


def whole_edges(edges: Profile, so_far: Profile | None) -> Profile:
    """The reference's edges, and for columns that it lacks those of the first batch."""
    if so_far is None:
        return edges
    return Profile(rows=0, columns={**so_far.columns, **edges.columns})


def edges_of(ordered: Floats) -> Floats:
    """Edges for sorted finite values (n): at most 2 * FINE + 2 of them, rising."""
    n = len(ordered)
    if n == 0:
        return np.empty(0)
    ranks = np.maximum(np.ceil(np.arange(0, FINE + 1) * (n / FINE)).astype(np.int64) - 1, 0)
    grid = ordered[ranks]
    heavy = grid[1:][np.diff(grid) == 0]
    below = np.nextafter(np.concatenate([grid[:1], heavy]), -np.inf)
    return np.unique(np.concatenate([grid, below]))


def numeric(
    values: Floats, *, nulls: int = 0, odd: int = 0, edges: Floats | None = None, kind: Literal["number", "time"] = "number"
) -> NumericSketch:
    """The sketch of finite values (n), in any order; without `edges` they are taken from the values themselves."""
    ordered = np.sort(np.clip(values, -FARTHEST, FARTHEST))
    edges = edges_of(ordered) if edges is None else edges
    below = np.searchsorted(ordered, edges, side="right")
    counts = np.diff(below, prepend=0, append=len(ordered))
    some = len(ordered) > 0
    mean = float(ordered.mean()) if some else 0.0
    return NumericSketch(
        kind=kind, count=len(ordered), nulls=nulls, odd=odd, mean=mean, m2=float(np.square(ordered - mean).sum()) if some else 0.0,
        low=float(ordered[0]) if some else None, high=float(ordered[-1]) if some else None,
        edges=tuple(edges.tolist()), counts=tuple(counts.tolist()),
    )  # fmt: skip


def open_structs(frame: pl.DataFrame) -> pl.DataFrame:
    """Struct columns as one column per field, named `struct.field`, to any depth."""
    while structs := [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]:
        frame = frame.with_columns(
            pl.col(name).struct.rename_fields([f"{name}.{field.name}" for field in frame.schema[name].fields])  # type: ignore[attr-defined] # only structs are here
            for name in structs
        ).unnest(structs)
    return frame


def sketch(series: pl.Series, known: ColumnSketch | None = None) -> ColumnSketch | None:
    """The sketch of one column, with the edges of `known`; None where its type has none.

    A column of another type than the reference's is read as the reference's: text as numbers where it can be, numbers as text.
    """
    dtype = series.dtype
    if isinstance(known, NumericSketch):
        return _numbers(_as_float(series), series.null_count(), known.kind, np.asarray(known.edges))
    if isinstance(known, CategorySketch):
        return _categories(series, known.kind, known)
    if dtype.is_numeric() or dtype == pl.Null:
        return _numbers(_as_float(series), series.null_count(), "number", None)
    if dtype.is_temporal():
        return _numbers(_as_float(series), series.null_count(), "time", None)
    if dtype == pl.Boolean:
        return _categories(series, "bool", None)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return _categories(series, "text", None)
    return None


def _as_float(series: pl.Series) -> pl.Series:
    """Values as floats, times as seconds; what cannot be read becomes null."""
    dtype = series.dtype
    if dtype == pl.Date:
        return series.cast(pl.Int64).cast(pl.Float64) * 86400.0
    if isinstance(dtype, pl.Datetime | pl.Duration):
        per_second = {"ns": 1e9, "us": 1e6, "ms": 1e3}[dtype.time_unit or "us"]
        return series.cast(pl.Int64).cast(pl.Float64) / per_second
    if dtype == pl.Time:
        return series.cast(pl.Int64).cast(pl.Float64) / 1e9
    if dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    return series.cast(pl.Float64, strict=False)


def _numbers(floats: pl.Series, nulls: int, kind: Literal["number", "time"], edges: Floats | None) -> NumericSketch:
    values = floats.drop_nulls().to_numpy()
    finite = np.isfinite(values)
    if not finite.all():
        values = values[finite]
    odd = len(floats) - nulls - len(values)
    return numeric(values, nulls=nulls, odd=odd, edges=edges, kind=kind)


def _categories(series: pl.Series, kind: Literal["text", "bool"], known: CategorySketch | None) -> CategorySketch:
    nulls = series.null_count()
    counted = series.drop_nulls().value_counts(name="n")
    names = counted.get_column(series.name).cast(pl.String).to_list()
    return category(dict(zip(names, counted.get_column("n").to_list(), strict=True)), nulls=nulls, known=known, kind=kind)
