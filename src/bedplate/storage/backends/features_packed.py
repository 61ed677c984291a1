"""Packed rows: what an online store keeps of an entity, one MessagePack value, and how it is read as of now.

A value is a list of [known, time, values]. Of a plain view: the row to take at the moment of publication (its `known` is null, as it counts
whatever the reader's clock says), then those that become known later. Of a windowed view: every event that a window may still hold, by
time, with the columns that it adds up. Moments are whole numbers of the index's unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import GenericAlias
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl

from bedplate.core.features import FeatureSpec

from .features_index import Found, Index, Ints
from .features_window import Windows

_TYPES: Final[tuple[tuple[type[pl.DataType], Any], ...]] = (
    (pl.Boolean, bool), (pl.String, str), (pl.Categorical, str), (pl.Enum, str), (pl.Date, date), (pl.Datetime, datetime),
    (pl.Time, time), (pl.Duration, timedelta), (pl.Binary, bytes), (pl.Decimal, Decimal),
)  # fmt: skip
_BATCH: Final = 50_000
_ENCODER: Final = msgspec.msgpack.Encoder()


class Packing:
    """Packs and reads the rows of one view, whose value columns are `stored`."""

    def __init__(self, spec: FeatureSpec, entities: pl.Schema, stored: pl.Schema, windows: Windows | None) -> None:
        self._entities = [_python(dtype) for dtype in entities.values()]
        self._only = self._entities[0] if len(self._entities) == 1 else None
        self._stored = stored
        self._windows = windows
        self._zones = {
            at: dtype.time_zone for at, dtype in enumerate(stored.values()) if isinstance(dtype, pl.Datetime) and dtype.time_zone
        }
        values = (
            GenericAlias(tuple, tuple(_python(dtype) | None for dtype in stored.values())) if stored else GenericAlias(list, type(None))
        )
        row: Any = GenericAlias(tuple, (int | None, int, values))
        self._decode = msgspec.msgpack.Decoder(GenericAlias(list, row)).decode
        self.names = list(stored) if windows is None else list(windows.schema)
        self._nulls = dict.fromkeys(self.names)
        self._spec = spec

    def key(self, entity: Any) -> bytes | None:
        """The key of an entity; None for what cannot be one (then nobody knows it)."""
        if type(entity) is self._only:
            return _ENCODER.encode((entity,))
        parts = entity if isinstance(entity, tuple) else (entity,)
        if len(parts) != len(self._entities):
            return None
        plain = [part if type(part) is kind else _plain(part, kind) for part, kind in zip(parts, self._entities, strict=True)]
        return None if None in plain else _ENCODER.encode(plain)

    def rows(self, index: Index, now: int, oldest: int) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of every entity that has something known now or later: rows since `now`, or events after `oldest`."""
        count = index.entities.height
        for start in range(0, count, _BATCH):
            codes = np.arange(start, min(start + _BATCH, count), dtype=np.int64)
            yield from self._some(index, codes, now, oldest)

    def _some(self, index: Index, codes: Ints, now: int, oldest: int) -> Iterator[tuple[bytes, bytes]]:
        first = index.first()
        cut = now if self._windows is None else oldest
        last = index.last(codes, np.full(len(codes), cut)).by_question()
        begin = np.where(last < 0, first[codes], last if self._windows is None else last + 1)
        count = first[codes + 1] - begin
        ends = np.cumsum(count)
        rows: Ints = np.arange(int(count.sum())) + np.repeat(begin - (ends - count), count)
        series = index.take(list(self._stored), Found(np.arange(len(rows)), rows))
        values = pl.DataFrame(series).rows() if series else [()] * len(rows)
        known, times = (index.moment, index.other) if self._windows is None else (index.other, index.moment)
        packed = [*zip(known[rows].tolist(), times[rows].tolist(), values, strict=True)]
        entities = index.entities[codes[0] : codes[-1] + 1].rows() if len(codes) else []
        for at, (entity, end, number) in enumerate(zip(entities, ends.tolist(), count.tolist(), strict=True)):
            mine: list[Any] = packed[end - number : end]
            if self._windows is None and last[at] >= 0:
                mine[0] = (None, *mine[0][1:])
            if mine and (key := self.key(entity)) is not None:
                yield key, _ENCODER.encode(mine)

    def read(self, packed: bytes | None, clock: Callable[[], int], ttl: int, window: int) -> dict[str, Any]:
        """The features of an entity as of now, from what is kept of it; the clock is asked where it matters."""
        if self._windows is not None:
            return self._add_up([] if packed is None else self._decode(packed), clock(), window)
        if packed is None:
            return self._nulls.copy()
        kept: list[Any] = self._decode(packed)
        known, time, values = kept[0]
        if len(kept) > 1 or known is not None:
            now = clock()
            found = [row for row in kept if row[0] is None or row[0] <= now]
            if not found:
                return self._nulls.copy()
            known, time, values = found[-1]
        if ttl and clock() - time > ttl:
            return self._nulls.copy()
        if self._zones:
            values = [self._zoned(at, value) for at, value in enumerate(values)]
        return dict(zip(self.names, values, strict=True))

    def _zoned(self, at: int, value: Any) -> Any:
        return value.astimezone(ZoneInfo(self._zones[at])) if value is not None and at in self._zones else value

    def _add_up(self, kept: list[Any], now: int, window: int) -> dict[str, Any]:
        assert self._windows is not None
        seen = [row for row in kept if now - window < row[1] <= now and row[0] <= now]
        known = np.array([row[0] for row in seen], np.int64)
        places = {name: at for at, name in enumerate(self._stored)}

        def take(name: str) -> pl.Series:
            return pl.Series(name, [row[2][places[name]] for row in seen], self._stored[name])

        figures = self._windows.reduce(1, np.zeros(len(seen), np.int64), known, take)
        return {series.name: series[0] for series in figures}


def _python(dtype: pl.DataType) -> Any:
    """The type of a column's values in Python; Any for nested ones."""
    if dtype.is_integer():
        return int
    return float if dtype.is_float() else next((kind for base, kind in _TYPES if isinstance(dtype, base)), Any)


def _plain(value: Any, kind: Any) -> Any:
    """A value as an entity of that type; None where it cannot be one."""
    value = value.value if isinstance(value, Enum) else value.item() if hasattr(value, "item") else value
    if kind is int and isinstance(value, bool | float):
        return int(value) if float(value).is_integer() else None
    return value if isinstance(value, kind) else None
