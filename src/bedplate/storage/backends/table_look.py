"""Looks at a few rows of tables, for `storage/table_look.py`: which gives pieces that are small enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl

from bedplate.core.columns import columns as told
from bedplate.core.errors import CorruptError, UserError
from bedplate.storage.table_look import COLUMNS, SHOWN, Cell, Change, ColumnLook, RowDiff, Rows, TableLook

from . import parquet
from .table_types import Codec

_BINS: Final = 24
_TOP: Final = 6
_LONGEST: Final = 200
_ITEMS: Final = 20
_CHANGES: Final = 60
_HASH: Final = "\0hash"
_TIES: Final = "\0again"
_KEYS_TRIED: Final = 8


def sample(parts: Sequence[pl.LazyFrame], names: Sequence[str], of: int) -> Rows:
    """These pieces as plain cells."""
    return Rows(names=tuple(names), rows=plain_rows(_read(parts, names)), of=of)


def rejected(path: Path, count: int) -> Rows:
    """The first rows of a file of rows that were not as expected. Raises StoreError."""
    with parquet.guard("read", path):
        found = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        names = list(found.collect_schema())[:COLUMNS]
        of = int(found.select(pl.len()).collect().item())
        return Rows(names=tuple(names), rows=plain_rows(found.select(names).head(count).collect()), of=of)


def profile(parts: Sequence[pl.LazyFrame], names: Sequence[str], of: int) -> TableLook:
    """What the columns of these pieces hold."""
    frame = _read(parts, names)
    words = {one.name: one.type for one in told(Codec(frame.schema).text())}
    return TableLook(rows=frame.height, of=of, columns=tuple(_column(one, words.get(one.name, "")) for one in frame.iter_columns()))


def compare(old: Sequence[pl.LazyFrame], new: Sequence[pl.LazyFrame], key: tuple[str, ...], same: int, whole: bool) -> RowDiff:
    """How the rows of these pieces differ, by the columns that both have in one type."""
    types = pl.concat([old[0].head(0)]).collect_schema(), pl.concat([new[0].head(0)]).collect_schema()
    names = [name for name, dtype in types[0].items() if types[1].get(name) == dtype]
    before, after = (_hashed(_read(parts, names)) for parts in (old, new))
    base = RowDiff(same=same, before=before.height, after=after.height, whole=whole, added=0, removed=0, compared=tuple(names))
    removed, added = _unmatched(before, after), _unmatched(after, before)
    chosen = _key(before, after, removed, added, key, names)
    if not chosen:
        return _replaced(base, added, removed, names)
    by = list(chosen)
    changed = removed.join(added, on=by, how="inner", suffix="\0new")
    found = _replaced(base, added.join(removed, on=by, how="anti"), removed.join(added, on=by, how="anti"), names)
    return RowDiff(
        same=same,
        before=base.before,
        after=base.after,
        whole=whole,
        added=found.added,
        removed=found.removed,
        changed=changed.height,
        key=chosen,
        compared=base.compared,
        added_rows=found.added_rows,
        removed_rows=found.removed_rows,
        **_changes(changed, by, names),
    )


def _read(parts: Sequence[pl.LazyFrame], names: Sequence[str]) -> pl.DataFrame:
    try:
        return pl.concat([part.select(names).collect() for part in parts])
    except pl.exceptions.PolarsError as error:
        raise CorruptError("the rows cannot be read", why=str(error), next="bedplate doctor reads every byte again") from error


def _replaced(base: RowDiff, added: pl.DataFrame, removed: pl.DataFrame, names: Sequence[str]) -> RowDiff:
    return RowDiff(
        same=base.same,
        before=base.before,
        after=base.after,
        whole=base.whole,
        added=added.height,
        removed=removed.height,
        compared=base.compared,
        added_rows=plain_rows(added.select(names).head(SHOWN)),
        removed_rows=plain_rows(removed.select(names).head(SHOWN)),
    )


def _hashed(frame: pl.DataFrame) -> pl.DataFrame:
    """With a digest of each row, and which of equal rows it is."""
    digest = frame.hash_rows() if frame.width else pl.Series([0] * frame.height, dtype=pl.UInt64)
    return frame.with_columns(digest.alias(_HASH)).with_columns(pl.int_range(pl.len()).over(_HASH).alias(_TIES))


def _unmatched(mine: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """My rows that they do not have, each as often as it is missing there."""
    return mine.join(theirs.select(_HASH, _TIES), on=[_HASH, _TIES], how="anti", maintain_order="left")


def _key(
    before: pl.DataFrame, after: pl.DataFrame, removed: pl.DataFrame, added: pl.DataFrame, key: tuple[str, ...], names: Sequence[str]
) -> tuple[str, ...]:
    """The columns that name a row in both: those asked for, else the first that do; none where none do. Raises UserError."""
    if key:
        lost = [name for name in key if name not in names]
        if lost:
            raise UserError(f"both versions have no column '{lost[0]}' of one type", next=f"one of {', '.join(names[:SHOWN])}")
        if not all(_names_rows(frame, key) for frame in (before, after)):
            raise UserError(f"{', '.join(key)} does not name a row", why="values are missing or there more than once", next="add a column")
        return key
    if not (removed.height and added.height):
        return ()
    for name in names[:_KEYS_TRIED]:
        plain = not before.schema[name].is_nested() and not before.schema[name].is_float()
        if plain and _names_rows(before, (name,)) and _names_rows(after, (name,)):
            return (name,)
    return ()


def _names_rows(frame: pl.DataFrame, key: Sequence[str]) -> bool:
    keys = frame.select(key)
    return not keys.height or (not sum(keys.null_count().row(0)) and keys.n_unique() == keys.height)


def _changes(changed: pl.DataFrame, key: list[str], names: Sequence[str]) -> dict[str, Any]:
    """How often each column changed, and some of the cells."""
    values = [name for name in names if name not in key]
    differs = {name: ~changed.get_column(name).eq_missing(changed.get_column(f"{name}\0new")) for name in values}
    counts = {name: int(mask.sum()) for name, mask in differs.items()}
    kept = {name: count for name, count in sorted(counts.items(), key=lambda one: -one[1]) if count}
    cells: list[Change] = []
    each = max(_CHANGES // max(len(kept), 1), 3)
    for name in kept:
        some = changed.filter(differs[name]).head(each)
        label = some.select(key).rows()
        pairs = plain_rows(some.select(name, f"{name}\0new"))
        cells += [Change(", ".join(str(_cell(one)) for one in at), name, *pair) for at, pair in zip(label, pairs, strict=True)]
    return {"columns": kept, "changes": tuple(cells[:_CHANGES])}


def _column(series: pl.Series, words: str) -> ColumnLook:
    dtype, nulls = series.dtype, series.null_count()
    if dtype.is_nested() or dtype == pl.Binary:
        return ColumnLook(name=series.name, type=words, nulls=nulls)
    there = series.drop_nulls()
    distinct = there.n_unique()
    if dtype.is_numeric() or (dtype.is_temporal() and not isinstance(dtype, pl.Duration)):
        return _numbers(there, ColumnLook(name=series.name, type=words, nulls=nulls, distinct=distinct))
    counted = there.cast(pl.String).value_counts(sort=True, name="\0n").head(_TOP)
    top = tuple((str(name)[:_LONGEST], int(count)) for name, count in counted.rows())
    texts = there.cast(pl.String) if dtype != pl.String else there
    low, high = (_cell(texts.min()), _cell(texts.max())) if dtype == pl.String else (None, None)
    return ColumnLook(name=series.name, type=words, nulls=nulls, distinct=distinct, top=top, low=low, high=high)


def _numbers(there: pl.Series, base: ColumnLook) -> ColumnLook:
    """Extremes, mean and bins; times count as seconds since 1970."""
    dtype = there.dtype
    if dtype.is_temporal():
        per = {"ms": 1e3, "us": 1e6, "ns": 1e9}[getattr(dtype, "time_unit", None) or "us"]
        floats = (
            there.cast(pl.Datetime("us")).cast(pl.Int64) / 1e6
            if dtype == pl.Date
            else there.cast(pl.Int64) / (1e9 if dtype == pl.Time else per)
        )
    else:
        floats = there.cast(pl.Float64)
    floats = floats.filter(floats.is_finite())
    if floats.is_empty():
        return base
    edges, counts = _bins(floats)
    mean = None if dtype.is_temporal() else _float(floats.mean())
    return ColumnLook(
        name=base.name,
        type=base.type,
        nulls=base.nulls,
        distinct=base.distinct,
        low=_cell(there.min()),
        high=_cell(there.max()),
        mean=mean,
        edges=edges,
        counts=counts,
    )


def _as_floats(there: pl.Series) -> pl.Series:
    """Numbers as floats, times as seconds."""
    if there.dtype == pl.Date:
        return there.cast(pl.Int64) * 86400.0
    if there.dtype == pl.Time:
        return there.cast(pl.Int64) / 1e9
    if isinstance(there.dtype, pl.Datetime):
        return there.cast(pl.Int64) / {"ms": 1e3, "us": 1e6, "ns": 1e9}[there.dtype.time_unit]
    return there.cast(pl.Float64)


def _bins(floats: pl.Series) -> tuple[tuple[float, ...], tuple[int, ...]]:
    low, high = _float(floats.quantile(0.01)), _float(floats.quantile(0.99))
    if low >= high:
        low, high = _float(floats.min()), _float(floats.max())
    if low >= high or high - low == float("inf"):
        return (low, high), (len(floats),)
    count = min(_BINS, max(floats.n_unique(), 2))
    edges = [low + (high - low) * at / count for at in range(count + 1)]
    below = [0, *(int((floats < edge).sum()) for edge in edges[1:-1]), len(floats)]
    return tuple(edges), tuple(after - before for before, after in pairwise(below))


def _float(value: Any) -> float:
    return float(value)


def plain_rows(frame: pl.DataFrame) -> tuple[tuple[Cell, ...], ...]:
    """The rows with plain cells, long ones cut."""
    lists = [pl.col(name).list.head(_ITEMS) for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    cut = frame.with_columns(pl.col(pl.String).str.slice(0, _LONGEST + 1), pl.col(pl.Binary).bin.size(), *lists)
    return tuple(tuple(_cell(one) for one in row) for row in cut.rows())


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, (date, time, Decimal)):
        return str(value)
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\N{HORIZONTAL ELLIPSIS}"
