"""Windowed features: what the events of a trailing window add up to, worked out when it is asked.

To a question at time t belong the entity's events with t - window < `time` <= t that are known at t (`created` <= t). Of several rows of
one event (equal in the columns of `event`) the one known last counts: a stream may repeat an event, and a correction takes its place (it
keeps the event's `time`); a row that does not say which event it is stands for itself. Nulls of a column that is added up are left out, as
SQL does; a sum of nothing is 0, any other figure of nothing is null.

A frame of labels, one row and an online value go through `reduce` with the same events in the same order, so their figures are equal to the
last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from bedplate.core.errors import UserError
from bedplate.core.features import Aggregate, FeatureSpec

from .features_index import Column, Index, Ints

_PAIRS: Final = 4_000_000
"""Pairs of a label and an event that are held at once."""

Take = Callable[[str], pl.Series]
"""Gives a column of the events at hand."""


class Windows:
    """What a windowed view gives, from events of the columns `schema`."""

    def __init__(self, spec: FeatureSpec, schema: pl.Schema, artifact: str) -> None:
        self.spec = spec
        self.schema = {one.name: _given(one, schema, artifact) for one in spec.gives}

    def over(self, index: Index, codes: Ints, asked: Ints, before: Ints) -> list[pl.Series]:
        """The figures for each question, from its entity's events after `before` and up to `asked`."""
        end, begin = index.last(codes, asked).by_question() + 1, index.last(codes, before).by_question() + 1
        first = index.first()
        begin = np.where((begin == 0) & (codes >= 0), first.take(codes, mode="clip"), begin)
        count = np.where(end > 0, end - begin, 0)
        made = [self._part(index, begin[a:b], count[a:b], asked[a:b]) for a, b in _chunks(count)]
        return [pl.concat([part[at] for part in made]) for at in range(len(self.schema))]

    def _part(self, index: Index, begin: Ints, count: Ints, asked: Ints) -> list[pl.Series]:
        label: Ints = np.repeat(np.arange(len(count)), count)
        ends = np.cumsum(count)
        rows: Ints = np.arange(len(label)) + np.repeat(begin - (ends - count), count)
        known = index.other[rows]
        seen = known <= asked[label]
        label, rows, known = label[seen], rows[seen], known[seen]
        return self.reduce(len(count), label, known, lambda name: _taken(index.columns[name], rows))

    def reduce(self, questions: int, label: Ints, known: Ints, take: Take) -> list[pl.Series]:
        """The figures for so many questions, of which `label` says to which each event belongs, rising; events in order of time."""
        if self.spec.event:
            kept = self._newest(label, known, take)
            whole, label = take, label[kept]
            places = pl.Series(kept)

            def take(name: str) -> pl.Series:
                return whole(name).gather(places)

        return [_figure(one, questions, label, take).cast(self.schema[one.name]).alias(one.name) for one in self.spec.gives]

    def _newest(self, label: Ints, known: Ints, take: Take) -> Ints:
        """Which events count: of each question and event the row known last."""
        events = {f"e{at}": take(name) for at, name in enumerate(self.spec.event)}
        rows = pl.DataFrame({"label": label, "known": known, **events}).with_row_index("place").sort("known", maintain_order=True)
        untold = pl.any_horizontal(pl.col(events).is_null())
        apart = rows.with_columns(alone=pl.when(untold).then("place"))
        newest = apart.unique(["label", "alone", *events], keep="last").get_column("place").sort()
        return newest.cast(pl.Int64).to_numpy()


def _chunks(count: Ints) -> Iterator[tuple[int, int]]:
    """Slices of the questions that have at most about `_PAIRS` events together; one empty slice for no questions."""
    done = np.cumsum(count)
    start = 0
    while start < len(count):
        stop = int(np.searchsorted(done, (done[start - 1] if start else 0) + _PAIRS, side="right"))
        yield start, max(stop, start + 1)
        start = max(stop, start + 1)
    if not len(count):
        yield 0, 0


def _taken(column: Column, rows: Ints) -> pl.Series:
    return column.take("", rows, np.arange(len(rows)), np.ones(len(rows), np.bool_))


def _figure(one: Aggregate, questions: int, label: Ints, take: Take) -> pl.Series:
    if one.of == "count":
        return pl.Series(np.bincount(label, minlength=questions))
    values = take(one.column)
    if values.null_count():
        there = values.is_not_null()
        label, values = label[there.to_numpy()], values.filter(there)
    if one.of == "distinct":
        apart = pl.DataFrame({"label": label, "value": values}).unique().get_column("label").to_numpy()
        return pl.Series(np.bincount(apart, minlength=questions))
    starts: Ints = np.flatnonzero(np.diff(label, prepend=-1))
    if one.of == "last":
        return _at(questions, label[starts], values.gather(pl.Series(np.append(starts[1:], len(label))[: len(starts)] - 1)))
    figures = _reduced(one.of, values, starts, len(label))
    found = _at(questions, label[starts], figures)
    return found.fill_null(0) if one.of == "sum" else found


def _reduced(of: str, values: pl.Series, starts: Ints, count: int) -> pl.Series:
    """One figure for each run of values that begins at `starts`."""
    numbers: npt.NDArray[Any] = values.to_physical().to_numpy() if values.dtype != pl.Boolean else values.cast(pl.Int64).to_numpy()
    if of in ("min", "max"):
        found = (np.minimum if of == "min" else np.maximum).reduceat(numbers, starts) if len(starts) else numbers[:0]
        return pl.Series(found).cast(values.to_physical().dtype).cast(values.dtype)
    wide = numbers.astype(np.float64 if of == "mean" or numbers.dtype.kind == "f" else np.int64)
    sums = np.add.reduceat(wide, starts) if len(starts) else wide[:0]
    return pl.Series(sums / np.diff(np.append(starts, count)) if of == "mean" else sums)


def _at(questions: int, label: Ints, figures: pl.Series) -> pl.Series:
    """The figures at the places of their questions; null for a question without any."""
    place = np.full(questions, -1, np.int64)
    place[label] = np.arange(len(label))
    return figures.gather(pl.select(pl.when(pl.Series(place >= 0)).then(pl.Series(place))).to_series())


def _given(one: Aggregate, schema: pl.Schema, artifact: str) -> pl.DataType:
    """The type of a figure. Raises UserError where the column has none such."""
    if one.of in ("count", "distinct"):
        return pl.Int64()
    dtype = schema[one.column]
    if one.of == "last":
        return dtype
    numeric = (dtype.is_numeric() and not dtype.is_decimal()) or dtype == pl.Boolean
    if not (numeric or (one.of in ("min", "max") and dtype.is_temporal())):
        raise UserError(
            f"{artifact}: '{one.name}' is the {one.of} of '{one.column}', which is {dtype}",
            why="that takes numbers" if one.of in ("sum", "mean") else "that takes numbers, dates or times",
            next=f"return '{one.column}' as a number, or give its count, last or distinct",
        )
    if one.of in ("min", "max"):
        return dtype
    return pl.Float64() if one.of == "mean" or dtype.is_float() else pl.Int64()
