"""Labels: what really happened, read from a file and joined to the predictions.

A labels file is CSV, Parquet or JSON lines with a column `label` and a column `prediction_id` or `request_id`; other columns are kept
(a time column can slice the report). Where a prediction has several labels the latest counts: by the column `at` if there is one, else the
last row. Rows without a label say nothing and are left out. A label that is a number is a float, so that 5200 in one file does not bar
5200.5 in the next.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bedplate.core.errors import UserError
from bedplate.core.records import Record

KEYS = ("prediction_id", "request_id")
_WORDS = {pl.String(): "text", pl.Boolean(): "true or false", pl.Float64(): "a number", pl.Int64(): "a whole number"}
_FORMATS = ".csv, .parquet, .jsonl or .ndjson"


class LabelCounts(Record, frozen=True, kw_only=True):
    """What became of the labels: `given` rows, `empty` without a label, `duplicates` replaced by a later one, `unmatched` without a
    prediction, and `predictions` that now have a label.
    """

    given: int = 0
    empty: int = 0
    duplicates: int = 0
    unmatched: int = 0
    predictions: int = 0


def read_labels(path: Path) -> pl.DataFrame:
    """The labels in a file, checked. Raises UserError for a missing, unreadable or wrongly shaped file."""
    if not path.is_file():
        raise UserError(f"there is no labels file '{path}'", why="nothing is at that path", next="bedplate labels FILE")
    try:
        frame = _read(path)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"'{path.name}' cannot be read as {path.suffix[1:]}", why=reason, next=f"write {_FORMATS}") from error
    return check_labels(frame, path.name)


def check_labels(frame: pl.DataFrame, name: str = "the labels") -> pl.DataFrame:
    """The frame with its key as text, and labels that are numbers as floats. Raises UserError where the columns are not those of labels."""
    columns = ", ".join(frame.columns[:12]) or "none"
    key = key_of(frame)
    if "label" not in frame.columns:
        raise UserError(f"{name} has no column 'label'", why=f"its columns are {columns}", next="name the column of the truth 'label'")
    if key is None:
        raise UserError(
            f"{name} has neither 'prediction_id' nor 'request_id'",
            why=f"its columns are {columns}; without one of them a label belongs to no prediction",
            next="keep the request_id that the service answers (X-Request-Id), or send your own",
        )
    if isinstance(frame.schema["label"], pl.List | pl.Struct | pl.Array):
        raise UserError(f"{name}: 'label' holds {frame.schema['label']}", why="a label is one number, text or true/false")
    return frame.with_columns(pl.col(key).cast(pl.String), *([pl.col("label").cast(pl.Float64)] if _is_number(frame) else []))


def as_before(labels: pl.DataFrame, known: pl.DataFrame | None, name: str) -> pl.DataFrame:
    """The labels in the type of those known already (0 and 1 are also true and false). Raises UserError where that would change one."""
    if known is None or (given := labels.schema["label"]) == (kept := known.schema["label"]):
        return labels
    label = labels.get_column("label")
    cast = label.cast(kept, strict=False) if pl.String not in (given, kept) else label.clear(labels.height)
    changed = label.filter(label.ne_missing(cast.cast(given)))
    if changed.len():
        raise UserError(
            f"{name}: the label {changed[0]!r} is {_WORDS.get(given, given)}, and those known are {_WORDS.get(kept, kept)}",
            why="the labels of a service are of one sort, that of its predictions, or they could not be compared",
            next="write them as the first file had them; a label that is not known is left empty",
        )
    return labels.with_columns(cast)


def _is_number(frame: pl.DataFrame) -> bool:
    return frame.schema["label"].is_numeric()


def key_of(frame: pl.DataFrame) -> str | None:
    """The column that labels are joined on."""
    return next((key for key in KEYS if key in frame.columns), None)


def join_labels(predictions: pl.DataFrame, labels: pl.DataFrame) -> tuple[pl.DataFrame, LabelCounts]:
    """Predictions with the labels' columns (nulls where there is none): same rows, same order.

    A label belongs to its `prediction_id`, and without one to every prediction of its `request_id`; where a prediction has both, that of
    the prediction counts. A column that both have keeps the prediction's value; the label's is named `label.<column>`.
    """
    if key_of(labels) is None:
        raise UserError("the labels have neither 'prediction_id' nor 'request_id'", next="bedplate labels FILE")
    known, parts = latest(labels)
    ids = predictions.select(KEYS).with_row_index("place")
    found = [ids.join(part, on=key, how="inner", maintain_order="right").drop(*KEYS, strict=False) for key, part in parts.items()]
    placed = pl.concat(found).unique("place", keep="last")
    clash = {c: f"label.{c}" for c in placed.columns if c != "place" and c in predictions.columns}
    rows = predictions.with_row_index("place").join(placed.rename(clash), on="place", how="left", maintain_order="left").drop("place")
    counts = LabelCounts(
        given=labels.height,
        empty=labels.height - known,
        duplicates=known - sum(part.height for part in parts.values()),
        unmatched=sum(part.join(ids, on=key, how="anti").height for key, part in parts.items()),
        predictions=rows.height - rows.get_column("label").null_count(),
    )
    return rows, counts


def latest(labels: pl.DataFrame) -> tuple[int, dict[str, pl.DataFrame]]:
    """How many rows say something, and the latest of each: by key, those of a `request_id` first."""
    keys = [key for key in KEYS if key in labels.columns]
    known = labels.filter(pl.col("label").is_not_null() & pl.any_horizontal(pl.col(keys).is_not_null()))
    if "at" in known.columns:
        known = known.sort("at", maintain_order=True)
    found = {}
    rest = known
    for key in keys:
        mine = rest.filter(pl.col(key).is_not_null()).drop([other for other in keys if other != key])
        found[key] = mine.unique(key, keep="last", maintain_order=True)
        rest = rest.filter(pl.col(key).is_null())
    return known.height, dict(reversed(found.items()))


def _read(path: Path) -> pl.DataFrame:
    keys = dict.fromkeys(KEYS, pl.String)
    match path.suffix.lower():
        case ".csv":
            return pl.read_csv(path, schema_overrides=keys, try_parse_dates=True, infer_schema_length=None)
        case ".parquet":
            return pl.read_parquet(path)
        case ".jsonl" | ".ndjson" | ".json":
            return pl.read_ndjson(path, infer_schema_length=None)
        case other:
            raise UserError(f"'{path.name}' is no labels file", why=f"its name ends in '{other}'", next=f"write {_FORMATS}")
