"""Feature rows kept sorted by entity and moment, so that a question as of a moment is one binary search.

An index is a few flat arrays, one number per row and column: in memory, or memory-mapped from the folder that `features_build` writes, so
that a table may be larger than memory and processes share it. Row i has a *moment* (from then on it is the one to take), and a key of one
64-bit number: the entity's code, then the moment, as finely as fits. The questions are sorted by the same key, so that the search walks
through memory once; where the key was too coarse to tell, a second search among the few rows of equal key does.

Limits: entities, and columns of text or nested values, are held in memory; numbers, dates and times are not.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
KEY_BITS: Final = 62
DENSE: Final = 8
"""An integer entity is looked up in a table of this many places per entity at most, else by a hash join."""


class Column(msgspec.Struct, frozen=True):
    """One value column: numbers as they lie on disk, with a mask of nulls where there are any; or a series, in memory."""

    dtype: pl.DataType
    numbers: npt.NDArray[Any] | None = None
    present: Mask | None = None
    series: pl.Series | None = None

    def take(self, name: str, rows: Ints, order: Ints, found: Mask) -> pl.Series:
        """Its values at `rows` (none below 0), each put at its place in `order`; null where nothing was found."""
        if self.series is not None:
            back = np.empty(len(rows), np.int64)
            back[order] = rows
            places = pl.select(pl.when(pl.Series(found)).then(pl.Series(back))).to_series()
            return self.series.gather(places).alias(name)
        assert self.numbers is not None
        values = np.empty(len(rows), self.numbers.dtype)
        values[order] = self.numbers[rows] if len(self.numbers) else 0
        taken = pl.Series(name, values)
        here = found
        if self.present is not None and len(self.present):
            valid = np.empty(len(rows), np.bool_)
            valid[order] = self.present[rows]
            here = found & valid
        if len(absent := np.flatnonzero(~here)):
            taken = taken.scatter(pl.Series(absent), None)
        return taken.cast(self.dtype)

    def at(self, row: int) -> Any:
        """One value as Python has it."""
        if self.series is not None:
            value = self.series[row]
            return value.to_list() if isinstance(value, pl.Series) else value
        assert self.numbers is not None
        if self.present is not None and not self.present[row]:
            return None
        number = self.numbers[row].item()
        return pl.Series([number]).cast(self.dtype)[0] if self.dtype.is_temporal() or self.dtype == pl.Boolean else number


class Scale(msgspec.Struct, frozen=True):
    """How a moment becomes part of a key: `(moment - base) >> shift`, in `bits` bits; `top` is the latest moment."""

    base: int
    top: int
    bits: int
    shift: int

    @classmethod
    def of(cls, least: int, most: int, entities: int) -> Scale:
        """The finest scale for moments from `least` to `most` of so many entities."""
        whole = max((most - least).bit_length(), 1)
        bits = max(min(whole, KEY_BITS - max(entities, 1).bit_length()), 1)
        return cls(least, most, bits, whole - bits)

    def keys(self, codes: Ints, moments: Ints) -> Ints:
        """The keys; a moment before the first one gives the key before the entity's first."""
        near: Ints = np.clip(moments, self.base - 1, self.top)
        return (codes << self.bits) + ((near - self.base) >> self.shift)


class Found(msgspec.Struct, frozen=True):
    """The row for each question, by rising key: question `order[i]` gets `rows[i]`, -1 where there is none."""

    order: Ints
    rows: Ints

    def by_question(self) -> Ints:
        """The rows in the order of the questions."""
        back = np.empty(len(self.rows), np.int64)
        back[self.order] = self.rows
        return back


class Index:
    """The sorted rows of one features table: `moment` sorts an entity's rows, `other` is a second moment of each row."""

    def __init__(self, entities: pl.DataFrame, scale: Scale, key: Ints, moment: Ints, other: Ints, columns: dict[str, Column]) -> None:
        self.entities = entities
        self.scale = scale
        self.key, self.moment, self.other = key, moment, other
        self.columns = columns
        self._dense: tuple[int, Ints] | None = None
        self._first: Ints | None = None
        if entities.width == 1 and entities.height and entities.dtypes[0] == pl.Int64:
            self._dense = _table(entities.to_series().to_numpy())

    def codes(self, keys: pl.DataFrame) -> Ints:
        """The code of each entity, columns as those of `entities`; -1 for one that is unknown or null."""
        if self._dense is not None and not keys.to_series().null_count():
            least, table = self._dense
            wanted = keys.to_series().to_numpy()
            inside = (wanted >= least) & (wanted <= least + len(table) - 1)  # a difference of far numbers would wrap around
            found: Ints = np.where(inside, table.take(np.where(inside, wanted - least, 0)), -1)
            return found
        coded = self.entities.with_row_index("__code")
        joined = keys.join(coded, on=self.entities.columns, how="left", maintain_order="left").get_column("__code")
        return joined.cast(pl.Int64).fill_null(-1).to_numpy()

    def first(self) -> Ints:
        """The first row of each entity, and after the last one how many rows there are."""
        if self._first is None:
            self._first = np.searchsorted(self.key, np.arange(self.entities.height + 1, dtype=np.int64) << self.scale.bits)
        return self._first

    def last(self, codes: Ints, asked: Ints) -> Found:
        """For each question the last row of its entity whose moment is not after `asked`."""
        wanted = self.scale.keys(codes, asked)
        order: Ints = np.argsort(wanted)
        wanted = wanted[order]
        rows: Ints = np.searchsorted(self.key, wanted, side="right") - 1
        if not len(self.key):
            return Found(order, rows)
        own = codes[order]
        start = np.where(own < 0, len(self.key), self.first().take(own, mode="clip"))
        mine = rows >= start
        if self.scale.shift:
            late: Ints = np.flatnonzero(mine & (self.moment.take(rows, mode="clip") > asked[order]))
            if len(late):
                low: Ints = np.searchsorted(self.key, wanted[late], side="left")
                rows[late] = _step(self.moment, low, rows[late], asked[order][late])
                mine[late] = rows[late] >= start[late]
        rows[~mine] = -1
        return Found(order, rows)

    def take(self, names: list[str], found: Found) -> list[pl.Series]:
        """The values of these columns for each question."""
        there = np.empty(len(found.rows), np.bool_)
        there[found.order] = found.rows >= 0
        rows = np.maximum(found.rows, 0)
        return [self.columns[name].take(name, rows, found.order, there) for name in names]


def _table(entities: Ints) -> tuple[int, Ints] | None:
    """A table from integer entity, less the least, to its code; None where it would be mostly empty."""
    least, most = int(entities.min()), int(entities.max())
    if most - least > DENSE * len(entities):
        return None
    table = np.full(most - least + 1, -1, np.int64)
    table[entities - least] = np.arange(len(entities))
    return least, table


def _step(moment: Ints, low: Ints, high: Ints, asked: Ints) -> Ints:
    """Among rows `low` to `high` of each question the last whose moment is not after `asked`; `low - 1` where none is."""
    rows, step = low - 1, 1 << int((high - low).max() + 1).bit_length()
    while step:
        ahead = rows + step
        fits = (ahead <= high) & (moment.take(ahead, mode="clip") <= asked)
        rows = np.where(fits, ahead, rows)
        step >>= 1
    return rows
