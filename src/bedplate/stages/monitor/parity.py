"""Parity: were the features that a service used what its definition says was known then?

Every look-up is in the prediction log: the values served, the version that gave them, the entity, and the moment asked for. Each is worked
out again as known at that moment, by the same as-of join that training uses, from the newest version of the table, which has the late and
corrected events too. Where they differ, the version that served is asked as well, and says why:

* `late`: the served version had no row that the newest one says was known then: it came after the version was made.
* `rewritten`: the same row holds other values now: history was changed without a new `created`.
* `other`: the version does not give what was served.

Limits: at most `MOST` look-ups, the newest; of several of one view in one call the log has the last. A look-up of the row now is taken to
be of the moment at which the call began.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import polars as pl

from bedplate.core.features import FeatureSpec
from bedplate.core.records import Record

MOST: Final = 200_000
Why = Literal["late", "rewritten", "other"]
View = Any
"""A `TableFeatures`: the as-of join over one version, which says where it found each row."""


class Parity(Record, frozen=True, kw_only=True):
    """How the rows of one view that were served compare with what `reference` says was known then; counts are of look-ups.

    `untold` look-ups are in the log without what they were asked for. `example` is one that differs, in words.
    """

    view: str
    reference: str
    compared: int = 0
    equal: int = 0
    late: int = 0
    rewritten: int = 0
    other: int = 0
    untold: int = 0
    example: str = ""

    @property
    def share(self) -> float:
        """The share that is equal; 1 where nothing was compared."""
        return self.equal / self.compared if self.compared else 1.0


class Lookups(msgspec.Struct, frozen=True):
    """Look-ups of one view: a label each, the version that answered, and the values it gave."""

    labels: pl.DataFrame
    versions: pl.Series
    served: pl.DataFrame
    untold: int


def parity(predictions: pl.DataFrame, parameter: str, newest: View, reference: str, of: Callable[[str], View | None]) -> Parity:
    """Compare the rows of the view `parameter`; `newest` is the version `reference`, `of` gives those that served (None: gone)."""
    found = lookups(predictions, parameter, newest)
    compared = Parity(view=newest.artifact, reference=reference, compared=found.labels.height, untold=found.untold)
    if not found.labels.height:
        return compared
    known = newest.at(found.labels).select(newest.names)
    differs = ~_equal(known, found.served)
    if not differs.any():
        return msgspec.structs.replace(compared, equal=compared.compared)
    wrong = Lookups(found.labels.filter(differs), found.versions.filter(differs), found.served.filter(differs), 0)
    reasons = _reasons(wrong, newest, of)
    counts = {why: int((reasons == why).sum()) for why in ("late", "rewritten", "other")}
    first = next(at for why in ("other", "rewritten", "late") if (at := reasons.index_of(why)) is not None)
    said = _example(wrong, first, known.filter(differs), newest, reference, reasons[first])
    return msgspec.structs.replace(compared, equal=compared.compared - int(differs.sum()), example=said, **counts)


def sentence(one: Parity) -> str:
    """What stands out, where something does; empty where all is equal."""
    if one.equal == one.compared:
        return ""
    more = [f"{count:,} {words}" for count, words in (
        (one.other, "are not what the version that served says"),
        (one.rewritten, "were rewritten since, without a new `created`"),
        (one.late, "came to the table after they should have been known"),
    ) if count]  # fmt: skip
    return f"Of {one.compared:,} rows of {one.view} that were served, {', '.join(more)}: {one.example}."


def lookups(predictions: pl.DataFrame, parameter: str, view: View) -> Lookups:
    """The look-ups of a view in a prediction log, the newest `MOST`."""
    column = predictions.schema.get("features")
    fields = column.fields if isinstance(column, pl.Struct) else []
    if parameter not in {field.name for field in fields}:
        return Lookups(_labels([], view), pl.Series([], dtype=pl.String), pl.DataFrame(), 0)
    rows = predictions.filter(pl.col("features").struct.field(parameter).is_not_null()).sort("at").tail(MOST)
    told = rows.get_column("looked") if "looked" in rows.columns else pl.Series([None] * rows.height, dtype=pl.String)
    asked = [_asked(text, parameter) for text in told.to_list()]
    there = pl.Series([one is not None for one in asked], dtype=pl.Boolean)
    served = rows.filter(there).select(pl.col("features").struct.field(parameter)).unnest(parameter)
    times = rows.filter(there).get_column("at").to_list()
    kept = [one for one in asked if one is not None]
    labels = _labels([(*one["entity"], at if one["time"] is None else one["time"]) for one, at in zip(kept, times, strict=True)], view)
    return Lookups(labels, pl.Series([one["features"] for one in kept], dtype=pl.String), served, rows.height - len(kept))


def _asked(text: str | None, parameter: str) -> Any:
    return None if text is None else msgspec.json.decode(text).get(parameter)


def _labels(rows: list[tuple[Any, ...]], view: View) -> pl.DataFrame:
    """The labels that were asked for, in the types of the view."""
    spec: FeatureSpec = view.spec
    columns = [*zip(*rows, strict=True)] if rows else [()] * (len(spec.entity) + 1)
    entities = [_typed(name, list(values), dtype) for (name, dtype), values in zip(view.entity_schema.items(), columns[:-1], strict=True)]
    moment: pl.DataType = view.moment
    times: list[Any] = list(columns[-1])
    if moment.is_temporal():
        aware = getattr(moment, "time_zone", None) is not None
        times = [None if one is None else _moment(one, aware) for one in times]
    return pl.DataFrame([*entities, pl.Series(spec.time, times, moment)])


def _typed(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    if dtype == pl.Date:
        return pl.Series(name, values, pl.String).cast(dtype)
    if isinstance(dtype, pl.Datetime):
        return pl.Series(name, [_moment(value, dtype.time_zone is not None) for value in values], dtype)
    return pl.Series(name, values, dtype, strict=False)


def _moment(value: Any, aware: bool) -> datetime:
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if aware:
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _equal(known: pl.DataFrame, served: pl.DataFrame) -> pl.Series:
    """Whether each row holds the values that were served, as a log keeps values."""
    same = pl.Series([True] * known.height, dtype=pl.Boolean)
    for name in known.columns:
        kept = as_logged(known.get_column(name))
        there = served.get_column(name) if name in served.columns else pl.Series([None] * known.height)
        same &= kept.eq_missing(there.cast(kept.dtype, strict=False))
    return same


def as_logged(series: pl.Series) -> pl.Series:
    """A feature's values as the prediction log keeps them: numbers as floats, times in UTC, what is no scalar as JSON."""
    dtype = series.dtype
    if dtype.is_numeric():
        return series.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime):
        zoned = series.dt.replace_time_zone("UTC") if dtype.time_zone is None else series.dt.convert_time_zone("UTC")
        return zoned.cast(pl.Datetime("us", "UTC"))
    if dtype in (pl.Boolean, pl.Date):
        return series
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    texts = [None if one is None else msgspec.json.encode(one, enc_hook=str).decode() for one in series.to_list()]
    return pl.Series(series.name, texts, pl.String)


def _reasons(wrong: Lookups, newest: View, of: Callable[[str], View | None]) -> pl.Series:
    """Why each look-up differs."""
    made: list[pl.DataFrame] = []
    rows = pl.DataFrame({"row": pl.int_range(wrong.labels.height, eager=True), "version": wrong.versions})
    for (ref,), part in rows.group_by("version", maintain_order=True):
        view, labels = of(str(ref)), wrong.labels[part["row"]]
        if view is None:
            made.append(part.with_columns(why=pl.lit("late")))
            continue
        gave = _equal(view.at(labels).select(view.names), wrong.served[part["row"]])
        same_row = newest.places(labels).select(pl.all().name.prefix("new_")).hstack(view.places(labels))
        rewritten = same_row.select(
            pl.col("new_known").eq_missing(pl.col("known")) & pl.col("new_time").eq_missing(pl.col("time"))
        ).to_series()
        why = pl.when(~gave).then(pl.lit("other")).when(rewritten).then(pl.lit("rewritten")).otherwise(pl.lit("late"))
        made.append(part.with_columns(why=pl.select(why).to_series()))
    return pl.concat(made).sort("row").get_column("why")


def _example(wrong: Lookups, at: int, known: pl.DataFrame, newest: View, reference: str, why: str) -> str:
    label, served, now = wrong.labels.row(at, named=True), wrong.served.row(at, named=True), known.row(at, named=True)
    name = next((name for name in newest.names if _text(served.get(name)) != _text(now[name])), newest.names[0])
    entity = ", ".join(str(label[key]) for key in newest.spec.entity)
    got = f"{entity} at {label[newest.spec.time]} got {name} {_text(served.get(name))} from {wrong.versions[at]}"
    if why == "late" and not newest.spec.created:
        return f"{got}, and by {reference} it was {_text(now[name])}; created= would say since when a row is known"
    return f"{got}, and by {reference} it was {_text(now[name])}"


def _text(value: Any) -> str:
    return "nothing" if value is None else f"{value:.6g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
