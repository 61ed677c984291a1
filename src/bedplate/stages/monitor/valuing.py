"""Looks at the values of a view of features, for pages: how fresh, over time, now against before.

Choices: what an entity's values were is worked out by the same as-of join that training and services use, over its rows alone. Read are the
last files of the table, up to `MOST_ROWS` rows or `MOST_BYTES` (what was appended last lies there), for distributions a few rows from all
over it; each figure says of how many. Limits: an entity whose rows all lie further back is not found in a table beyond these limits.
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec
import polars as pl
import polars.selectors as cs

from bedplate.catalog.catalog import Catalog
from bedplate.core.features import FeatureSpec
from bedplate.core.records import Version
from bedplate.pipeline.served import PREDICTIONS, log_name
from bedplate.storage import table_look
from bedplate.storage.backends.features_view import TableFeatures
from bedplate.storage.backends.profile import profile
from bedplate.storage.backends.table_look import plain_rows
from bedplate.storage.store import Store

from .drift import compare
from .parity import Parity, parity
from .valued import Curve, Fresh, Moved, Valued

MOST_ROWS: Final = 5_000_000
MOST_BYTES: Final = 100_000_000
SERVED: Final = 20_000
_MOMENTS: Final = 240
_CURVES: Final = 8
_KEPT: Final = 100
_SPREAD: Final = 20_000
_ENTITY_ROWS: Final = 100_000


def fresh(store: Store, version: Version, spec: dict[str, Any]) -> Fresh:
    """The newest moments of its last rows."""
    keyed = _spec(spec)
    frame, read = _last(store, version)
    names = [keyed.time, *([keyed.created] if keyed.created else [])]
    found = frame.select(pl.col(name).max() for name in names).collect().row(0)
    moments = [_moment(one) for one in found]
    return Fresh(newest=moments[0], known=moments[1] if keyed.created else None, read=read, of=version.rows or 0)


def entities(store: Store, version: Version, spec: dict[str, Any], count: int = 50) -> list[tuple[str, ...]]:
    """Entities of the last rows, those with most rows first."""
    keyed = _spec(spec)
    frame, _ = _last(store, version)
    counted = frame.select(keyed.entity).tail(200_000).group_by(keyed.entity).len("\0n").top_k(count, by="\0n").collect()
    texts = (
        counted.drop_nulls()
        .sort("\0n", *keyed.entity, descending=[True, *[False] * len(keyed.entity)])
        .select(pl.col(keyed.entity).cast(pl.String))
    )
    return [tuple(row) for row in texts.rows()]


def values(store: Store, version: Version, spec: dict[str, Any], entity: tuple[str, ...], now: datetime) -> Valued | None:
    """What was known of an entity, given as texts, over time and now; None where none of the rows read is of it."""
    keyed = _spec(spec)
    frame, read = _last(store, version)
    mine = pl.all_horizontal(pl.col(name).cast(pl.String) == text for name, text in zip(keyed.entity, entity, strict=True))
    rows = frame.filter(mine).tail(_ENTITY_ROWS).collect()
    if not rows.height:
        return None
    view = TableFeatures(rows.lazy(), keyed, version.artifact)
    moments = _moments(rows.get_column(keyed.time), keyed, now)
    found = view.at(_labels(rows, keyed, moments)).select(view.names)
    latest = view.at(_labels(rows, keyed, _at(now, rows.schema[keyed.time]))).select(view.names)
    numbers = [name for name, dtype in found.schema.items() if dtype.is_numeric() or dtype == pl.Boolean][:_CURVES]
    curves = [Curve(name=name, values=tuple(_finite(found.get_column(name)))) for name in numbers]
    kept = rows.sort(keyed.time).tail(_KEPT).reverse()
    return Valued(
        times=tuple(_seconds(moments)),
        curves=tuple(curves),
        now=dict(zip(latest.columns, plain_rows(latest)[0], strict=True)),
        rows=rows.height,
        read=read,
        of=version.rows or 0,
        kept=plain_rows(kept),
        names=tuple(kept.columns),
    )


def moved(store: Store, version: Version, before: Version | None, spec: dict[str, Any], threshold: float) -> Moved:
    """How its values are spread against those of a version before it, else its newest quarter against the rest; moments always move."""
    keyed = _spec(spec)
    now = _sample(store, version)
    if before is not None and store.exists(before):
        then, words = _sample(store, before), f"{version.ref} against {before.ref}"
    else:
        border = now.get_column(keyed.time).rank("ordinal") > now.height * 3 // 4
        then, now, words = now.filter(~border), now.filter(border), f"the newest quarter of {version.ref} against the rest"
    apart = {*keyed.entity, keyed.time, keyed.created, *now.select(cs.date(), cs.datetime()).columns}
    names = [name for name in now.columns if name in then.columns and name not in apart]
    reference = profile(then.select(names))
    drifts = compare(reference, profile(now.select(names), reference), threshold=threshold)
    return Moved(drifts=drifts, before=then.height, now=now.height, words=words)


def served(store: Store, catalog: Catalog, service: str, version: Version, spec: dict[str, Any]) -> list[Parity]:
    """What a service was served of a view, beside what the version says was known then: the newest `SERVED` predictions, by parameter."""
    log: pl.LazyFrame = store.log(log_name(PREDICTIONS, service)).scan()
    if not {"at", "features", "looked"} <= set(log.collect_schema().names()):
        return []
    rows = log.select("at", "features", "looked").filter(pl.col("looked").is_not_null()).top_k(SERVED, by="at").collect()
    asked: dict[str, Any] = msgspec.json.decode(rows.get_column("looked")[0]) if rows.height else {}
    mine = [name for name, one in asked.items() if str(one.get("features", "")).rpartition("@")[0] == version.artifact]

    @functools.cache
    def of(ref: str) -> Any:
        found = catalog.artifacts.find(ref)
        return store.load(found, "features", spec) if found is not None and store.exists(found) else None

    return [parity(rows, name, of(version.ref), version.ref, of) for name in mine]


def _spec(spec: dict[str, Any]) -> FeatureSpec:
    return msgspec.convert(spec, FeatureSpec, strict=False)


def _last(store: Store, version: Version) -> tuple[pl.LazyFrame, int]:
    frames, read = table_look.newest(store, version, MOST_ROWS, MOST_BYTES)
    return pl.concat(frames), read


def _sample(store: Store, version: Version) -> pl.DataFrame:
    parts: list[pl.LazyFrame] = table_look.pieces(store, version, _SPREAD)
    return pl.concat(parts).collect()


def _moments(times: pl.Series, spec: FeatureSpec, now: datetime) -> pl.Series:
    """Moments from the first row to a little after the last, in the type of the times."""
    first, last = times.min(), times.max()
    reach = max(spec.ttl_s, spec.window_s)
    if isinstance(first, datetime) and isinstance(last, datetime):
        end = min(last + timedelta(seconds=reach), _like(now, last)) if reach else last
        step = max((max(end, last) - first) / _MOMENTS, timedelta(microseconds=1))
        return pl.Series(spec.time, [first + step * at for at in range(_MOMENTS + 1)], times.dtype)
    if isinstance(first, date) and isinstance(last, date):
        days = (last - first).days
        return (
            pl.Series(spec.time, [first + timedelta(days=days * at // _MOMENTS) for at in range(_MOMENTS + 1)], times.dtype).unique().sort()
        )
    unique = times.unique().sort()
    return unique.gather_every(max(len(unique) // _MOMENTS, 1)).alias(spec.time)


def _labels(rows: pl.DataFrame, spec: FeatureSpec, moments: pl.Series) -> pl.DataFrame:
    return rows.select(spec.entity).head(1).join(moments.alias(spec.time).to_frame(), how="cross")


def _at(now: datetime, dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.Datetime):
        return pl.Series([now if dtype.time_zone else now.astimezone(UTC).replace(tzinfo=None)], dtype=dtype)
    if dtype == pl.Date:
        return pl.Series([now.date()], dtype=dtype)
    return pl.Series([int(now.timestamp())], dtype=dtype)


def _like(now: datetime, other: datetime) -> datetime:
    return now if other.tzinfo else now.astimezone(UTC).replace(tzinfo=None)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None


def _seconds(moments: pl.Series) -> list[float]:
    if isinstance(moments.dtype, pl.Datetime):
        return (moments.dt.epoch("us").cast(pl.Float64) / 1e6).to_list()
    return (moments.cast(pl.Int64) * 86400 if moments.dtype == pl.Date else moments).cast(pl.Float64).to_list()


def _finite(series: pl.Series) -> list[float | None]:
    numbers = series.cast(pl.Float64)
    return pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series().to_list()
