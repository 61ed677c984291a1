"""A window of served predictions, summarised: everything that a report needs, in records of bounded size.

Input is a service's prediction log joined with the labels that are known. Answered rows (status below 400, no error) carry the
distributions and latency; traffic and errors count every row. Request fields and features are named as the training table names
them: `carrier`, not `request.carrier`.

Limits: the window is collected into memory, only the columns it needs; results that are lists have no distribution.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
import polars.selectors as cs

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.storage.backends.profile import FARTHEST, Floats, open_structs, profile, sketch
from bedplate.storage.sketch import ColumnSketch, NumericSketch, Profile

from .labels import LabelCounts, join_labels
from .quality import Quality, kind_of, quality
from .sides import Side, sides

_WIDTHS: Final = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400, 28 * 86400)
"""Widths of a bucket of time, in seconds, to choose from."""
_BUCKETS, _SLICES, _LATENCY_BINS = 60, 12, 28
_FOREIGN: Final = 0.5
"""Share of results beyond the model's own predictions from which they are taken for something else than the model's."""
_FIRST_LEAST: Final = 50
"""Rows below which the beginning of a window is no reference for the rest."""


class Bucket(Record, frozen=True, kw_only=True):
    """Traffic of one stretch of time: predictions, those refused (4xx) and failed (5xx or error), and the p95 of latency in ms."""

    at: datetime
    predictions: int
    refused: int
    failed: int
    p95_ms: float | None


class Slice(Record, frozen=True, kw_only=True):
    """One stretch of time for quality: answered rows, those with a label, the mean prediction, and the figures."""

    at: datetime
    n: int
    labelled: int
    predicted: float | None
    metrics: dict[str, float]


class Latency(Record, frozen=True, kw_only=True):
    """Latency in ms of answered predictions: percentiles, and a histogram with bins evenly spaced in logarithm (edges: one more).

    Predictions of one request share its latency.
    """

    p50: float
    p95: float
    p99: float
    most: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Window(Record, frozen=True, kw_only=True):
    """What was served from `start` to `end`.

    `prediction` is the sketch of the results, taken with `prediction_before`'s edges; that is the given reference, or else (also where
    most results lie beyond the reference) the sketch of the window's first fifth: then `prediction_first` is true, and `prediction`
    holds the rest.
    """

    start: datetime | None = None
    end: datetime | None = None
    predictions: int = 0
    requests: int = 0
    refused: int = 0
    failed: int = 0
    bucket_s: int = 1
    traffic: tuple[Bucket, ...] = ()
    latency: Latency | None = None
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    messages: dict[str, int] = msgspec.field(default_factory=dict)
    versions: dict[str, int] = msgspec.field(default_factory=dict)
    inputs: Profile = Profile(rows=0, columns={})
    prediction: ColumnSketch | None = None
    prediction_before: ColumnSketch | None = None
    prediction_first: bool = False
    labels: LabelCounts = LabelCounts()
    quality: Quality | None = None
    slices: tuple[Slice, ...] = ()
    slice_s: int = 1
    sliced_by: str = "at"
    sides: tuple[Side, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def answered(self) -> int:
        """Predictions that got a result."""
        return self.predictions - self.refused - self.failed


def summarise(
    predictions: pl.DataFrame | pl.LazyFrame,
    labels: pl.DataFrame | None = None,
    *,
    reference: Profile | None = None,
    prediction_reference: ColumnSketch | None = None,
    by: str = "at",
) -> Window:
    """The window of these predictions.

    `reference` gives the edges of the inputs; `by` is the time column that slices quality: `at`, a column of the labels, or a request
    field or feature. Raises UserError where `by` is not a time column.
    """
    rows = predictions.collect() if isinstance(predictions, pl.LazyFrame) else predictions
    if not rows.height:
        return Window()
    rows = rows.sort("at", maintain_order=True).with_columns(
        failed=(pl.col("status") >= 500) | ((pl.col("status") < 400) & pl.col("error").is_not_null()),
        refused=pl.col("status").is_between(400, 499),
    )
    answered = rows.filter(~pl.col("failed") & ~pl.col("refused"))
    inputs = served_inputs(answered)
    width = bucket_width(_span(rows.get_column("at")), _BUCKETS)
    window = Window(
        start=rows.get_column("at")[0], end=rows.get_column("at")[-1], predictions=rows.height,
        requests=rows.get_column("request_id").n_unique(),
        refused=int(rows.get_column("refused").sum()), failed=int(rows.get_column("failed").sum()),
        bucket_s=width, traffic=_traffic(rows, width), latency=_latency(answered), statuses=_counted(rows.get_column("status")),
        messages=_messages(rows), versions=answered_by(answered),
        inputs=profile(inputs, reference, [c for c in reference.columns if c in inputs.columns] if reference else None),
    )  # fmt: skip
    window = _with_predictions(window, answered, prediction_reference)
    return _with_quality(window, rows, answered, inputs, labels, by)


def served_inputs(answered: pl.DataFrame) -> pl.DataFrame:
    """Request fields and features as plain columns, named as in the training table.

    A feature keeps its view's name in front (`carrier_delay.mean`) only where two columns would have the same name.
    """
    held = [c for c in ("request", "features") if isinstance(answered.schema.get(c), pl.Struct)]
    opened = open_structs(answered.select(held))
    short = {name: name.split(".", 1)[1] for name in opened.columns}
    last = {name: name.rsplit(".", 1)[1] if name.startswith("features.") else short[name] for name in opened.columns}
    names = list(last.values())
    return opened.rename({name: last[name] if names.count(last[name]) == 1 else short[name] for name in opened.columns}, strict=False)


def bucket_width(span_s: float, most: int) -> int:
    """The smallest width in seconds that cuts a span into at most about `most` buckets."""
    return next((width for width in _WIDTHS if span_s / width <= most), _WIDTHS[-1])


def results(answered: pl.DataFrame) -> tuple[pl.Series | None, str]:
    """The predictions as one column of scalars, and a note where they are none.

    A JSON object with exactly one number gives that number.
    """
    series = answered.get_column("result")
    some = series.drop_nulls()
    first = _decoded(some[0]) if series.dtype == pl.String and len(some) else None
    if isinstance(first, list):
        return None, "results are lists: no drift or quality is computed for them"
    if not isinstance(first, dict):
        return series, ""
    objects = [_decoded(text) for text in series.to_list()]
    fields = [name for name, value in first.items() if isinstance(value, int | float)]
    if len(fields) != 1:
        return None, f"results are objects with {len(fields)} numbers, not one: no drift or quality is computed for them"
    values = [one.get(fields[0]) if isinstance(one, dict) else None for one in objects]
    return pl.Series("result", values, dtype=pl.Float64, strict=False), f"the prediction is the field '{fields[0]}'"


def _decoded(text: str | None) -> Any:
    """The list or object in JSON text; None for anything else."""
    if not text or text[0] not in "{[":
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _with_predictions(window: Window, answered: pl.DataFrame, before: ColumnSketch | None) -> Window:
    series, note = results(answered)
    notes = (note,) if note else ()
    if series is None:
        return msgspec.structs.replace(window, notes=notes)
    now = sketch(series, before) if before is not None else None
    if now is not None:
        beyond = _beyond(now)
        if beyond <= _FOREIGN:
            return msgspec.structs.replace(window, prediction=now, prediction_before=before, notes=notes)
        notes = (*notes, f"{beyond:.0%} of the results lie beyond what the model said in training: the service gives something else")
    first = max(_FIRST_LEAST, len(series) // 5)
    if len(series) < 2 * first:
        return msgspec.structs.replace(window, prediction=sketch(series), notes=notes)
    before = sketch(series.head(first))
    now = sketch(series.slice(first), before)
    return msgspec.structs.replace(window, prediction=now, prediction_before=before, prediction_first=before is not None, notes=notes)


def _beyond(now: ColumnSketch) -> float:
    """The share of values outside the range, or the categories, of the reference that they were sketched with."""
    if isinstance(now, NumericSketch):
        return (now.counts[0] + now.counts[-1] + now.odd) / max(now.count + now.odd, 1) if now.counts else 1.0
    return (now.other + sum(now.extra.values())) / max(now.count, 1)


def _with_quality(
    window: Window, rows: pl.DataFrame, answered: pl.DataFrame, inputs: pl.DataFrame, labels: pl.DataFrame | None, by: str
) -> Window:  # fmt: skip
    series, _ = results(answered)
    joined, counts = join_labels(answered, labels) if labels is not None else (answered, LabelCounts())
    times = _times(joined, inputs, by)
    table = pl.DataFrame({"at": times}).with_columns(
        models=joined.get_column("models"),
        predicted=series if series is not None else pl.lit(None, dtype=pl.Float64),
        actual=joined.get_column("label") if "label" in joined.columns else pl.lit(None, dtype=pl.Float64),
    )
    table = table.with_columns(cs.float().clip(-FARTHEST, FARTHEST))
    both = _usable(table)
    kind = kind_of(both.get_column("predicted"), both.get_column("actual")) if both.height else None
    notes = window.notes
    if both.height and kind is None:
        types = both.schema["predicted"], both.schema["actual"]
        notes = (*notes, f"predictions ({types[0]}) and labels ({types[1]}) cannot be compared")
    width = bucket_width(_span(times), _SLICES)
    return msgspec.structs.replace(
        window, labels=counts, quality=quality(both.get_column("predicted"), both.get_column("actual"), kind) if kind else None,
        sides=sides(rows, table, kind), slices=_slices(table, width, kind), slice_s=width, sliced_by=by, notes=notes,
    )  # fmt: skip


def _times(joined: pl.DataFrame, inputs: pl.DataFrame, by: str) -> pl.Series:
    series = joined.get_column(by) if by in joined.columns else inputs.get_column(by) if by in inputs.columns else None
    if series is None or series.dtype.base_type() not in (pl.Datetime, pl.Date):
        raise _no_time(by, series, joined, inputs)
    series = series.alias("at").cast(pl.Datetime("us")) if series.dtype == pl.Date else series.alias("at")
    zone = getattr(series.dtype, "time_zone", None)
    return series.dt.replace_time_zone("UTC") if zone is None else series.dt.convert_time_zone("UTC")


def _no_time(by: str, series: pl.Series | None, *frames: pl.DataFrame) -> UserError:
    """The error for a column that is no time, with those that are."""
    times = (name for frame in frames for name, dtype in frame.schema.items() if dtype.base_type() in (pl.Datetime, pl.Date))
    known = [name for name in dict.fromkeys(times) if name != "at"]
    where = "neither the request, the features nor the labels have such a column"
    return UserError(
        f"cannot slice by '{by}'",
        why=where if series is None else f"it holds {series.dtype}, not times",
        next=f"--by {known[0]}{''.join(f', or {name}' for name in known[1:])}"
        if known
        else "bring labels with a column of times, or leave --by out",
    )


def _usable(table: pl.DataFrame) -> pl.DataFrame:
    """Rows with both a prediction and a label that are numbers, where they are numbers."""
    both = table.drop_nulls(["predicted", "actual"])
    floats = [name for name in ("predicted", "actual") if both.schema[name].is_float()]
    return both.filter(pl.all_horizontal(pl.col(floats).is_finite())) if floats else both


def _slices(table: pl.DataFrame, width: int, kind: Any) -> tuple[Slice, ...]:
    found = []
    for part in table.drop_nulls("at").with_columns(slot=_slot("at", width)).partition_by("slot", maintain_order=False):
        both = _usable(part)
        figures = quality(both.get_column("predicted"), both.get_column("actual"), kind).metrics if kind and both.height else {}
        mean = part.get_column("predicted").mean() if part.schema["predicted"].is_numeric() else None
        found.append(
            Slice(
                at=part.get_column("slot")[0],
                n=part.height,
                labelled=both.height,
                predicted=float(mean) if isinstance(mean, int | float) else None,
                metrics=figures,
            )
        )
    return tuple(sorted(found, key=lambda one: one.at))


def _traffic(rows: pl.DataFrame, width: int) -> tuple[Bucket, ...]:
    grouped = (
        rows.group_by(at=_slot("at", width))
        .agg(
            predictions=pl.len(),
            refused=pl.col("refused").sum(),
            failed=pl.col("failed").sum(),
            p95_ms=pl.col("latency_ms").quantile(0.95, "linear"),
        )
        .sort("at")
    )
    return tuple(Bucket(**row) for row in grouped.iter_rows(named=True))


def _latency(answered: pl.DataFrame) -> Latency | None:
    values: Floats = answered.get_column("latency_ms").drop_nulls().cast(pl.Float64).to_numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    p50, p95, p99 = (float(v) for v in np.quantile(values, [0.5, 0.95, 0.99]))
    low, high = max(float(values.min()), 1e-3), max(float(values.max()), 2e-3)
    edges = np.geomspace(low, max(high, low * 1.01), _LATENCY_BINS + 1)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return Latency(p50=p50, p95=p95, p99=p99, most=float(values.max()), edges=tuple(edges.tolist()), counts=tuple(counts.tolist()))


def _messages(rows: pl.DataFrame) -> dict[str, int]:
    counted = rows.get_column("error").drop_nulls().value_counts(sort=True).head(5)
    return {str(text)[:200]: int(n) for text, n in counted.iter_rows()}


def answered_by(predictions: pl.DataFrame) -> dict[str, int]:
    """How many predictions each model version took part in: `late@7` -> number."""
    found: dict[str, int] = {}
    if not predictions.height:
        return found
    for text, n in predictions.get_column("models").drop_nulls().value_counts().iter_rows():
        for name, number in msgspec.json.decode(text).items():
            found[f"{name}@{number}"] = found.get(f"{name}@{number}", 0) + n
    return dict(sorted(found.items()))


def _counted(series: pl.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in sorted(series.drop_nulls().value_counts().iter_rows())}


def _slot(column: str, width: int) -> pl.Expr:
    return pl.col(column).dt.truncate("1w" if width == 7 * 86400 else f"{width}s")


def _span(times: pl.Series) -> float:
    low, high = times.min(), times.max()
    if not isinstance(low, datetime) or not isinstance(high, datetime):
        return 0.0
    return (high - low) / timedelta(seconds=1)
