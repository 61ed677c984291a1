"""Features over a table version: the as-of join, exact for rows that became known late.

To a label at time t belongs the row with the latest `time` among the entity's rows *known* at t: `time` <= t and, where declared,
`created` <= t. A row is known from max(time, created) on. Sorted by that moment, the running maximum of (time, created, place in the
table) is the best row so far; so one backward as-of join on the moment finds it, and a late row neither shows early nor hides an older
one that was known. `ttl` then drops a best row that is too old: any other would be older still. A look-up of the row now drops it too,
by the clock: what training never saw, a service does not see.

Limits: the features table is held in memory while it is used. Time zones must match (both or neither has one).
"""

from __future__ import annotations

import importlib
from array import array
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import polars as pl

from bedplate.core.clock import SystemClock
from bedplate.core.errors import UserError
from bedplate.core.features import FeatureSpec

from .features_rows import RowLookup

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
_KNOWN, _BEST, _ROW, _AT, _TIME = "__known", "__best", "__row", "__at", "__time"
_CLOCK = SystemClock()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TableFeatures:
    """Implements `core.features.Features` over one committed version; `now` says the time to a look-up where rows age (`ttl`)."""

    def __init__(
        self, table: pl.LazyFrame, spec: FeatureSpec, artifact: str = "features", now: Callable[[], datetime] = _CLOCK.now
    ) -> None:
        self.spec = spec
        self.artifact = artifact
        self._table = table
        self._schema = table.collect_schema()
        keys = {*spec.entity, spec.time, spec.created}
        self.names = [name for name in self._schema if name not in keys]
        self._sorted: pl.DataFrame | None = None
        self._now = now
        self._latest: tuple[dict[Any, int], pl.DataFrame, array[int]] | None = None
        self._lookup: RowLookup | None = None

    def at(self, labels: Any) -> Any:
        """`labels` (a frame with the entity columns and `time`) with the features known then; the same rows in the same order.

        Lazy labels give a lazy frame, pandas' a pandas frame with its index, one row mapping a mapping. Rows without known features, and
        labels whose key is null, have nulls. Raises UserError where a key column is missing or of another sort, or a feature has the name
        of a label column.
        """
        if isinstance(labels, Mapping):
            return self._at_row(labels)
        if type(labels).__module__.split(".")[0] == "pandas":
            return self._at_pandas(labels)
        if not isinstance(labels, pl.DataFrame | pl.LazyFrame):
            raise UserError(f"{self.artifact}.at() takes a frame or one row, not a {type(labels).__name__}", next="pl.DataFrame(labels)")
        lazy = labels.lazy()
        moment = self._check(lazy.collect_schema())
        joined = self._join(lazy, moment)
        return joined if isinstance(labels, pl.LazyFrame) else joined.collect()

    def __getitem__(self, entity: Any) -> dict[str, Any]:
        """The entity's latest values; nulls for an unknown one, and where they are older than `ttl`."""
        rows, values, times = self._newest()
        row = rows.get(entity)
        if row is None or (times and self._now() - _EPOCH > timedelta(microseconds=times[row], seconds=self.spec.ttl_s)):
            return dict.fromkeys(self.names)
        return values.row(row, named=True)

    def _at_pandas(self, labels: Any) -> Any:
        """Only the keys are converted: the labels' own columns and index stay what they are."""
        pandas = importlib.import_module(".pandas_view", __package__)
        keys = [name for name in (*self.spec.entity, self.spec.time) if name in labels.columns]
        asked = pandas.to_polars(labels[keys].reset_index(drop=True))
        self._check(pl.Schema({**dict.fromkeys(map(str, labels.columns), pl.Null()), **asked.schema}))
        found = pandas.as_pandas(self.at(asked).select(self.names)).set_axis(labels.index)
        return labels.assign(**found)

    def _at_row(self, label: Mapping[str, Any]) -> dict[str, Any]:
        """One row with its features; the index is built when it is first asked for."""
        if clash := [name for name in self.names if name in label]:
            raise UserError(f"both the row and {self.artifact} have '{clash[0]}'", why="the features are added under their own names")
        if self._lookup is None:
            zone = getattr(self._schema[self.spec.time], "time_zone", None)
            moment = self._moment(pl.Datetime("us", zone) if self._schema[self.spec.time].is_temporal() else pl.Int64())
            self._lookup = RowLookup(
                self._by_moment(moment).select(*self.spec.entity, _KNOWN, _TIME, _BEST), self._values(), self.spec, moment
            )
        return {**label, **self._lookup.find(label)}

    def _join(self, labels: pl.LazyFrame, moment: pl.DataType) -> pl.LazyFrame:
        entity = [f"__entity{number}" for number in range(len(self.spec.entity))]
        keys = [pl.col(name).cast(self._schema[name]).alias(key) for name, key in zip(self.spec.entity, entity, strict=True)]
        numbered = labels.with_row_index(_ROW)
        asked = numbered.select(_ROW, *keys, pl.col(self.spec.time).cast(moment).alias(_AT)).drop_nulls().sort(_AT, maintain_order=True)
        table = self._by_moment(moment).lazy().rename(dict(zip(self.spec.entity, entity, strict=True)))
        found = asked.join_asof(table, left_on=_AT, right_on=_KNOWN, by=entity, strategy="backward", check_sortedness=False)
        if self.spec.ttl_s:
            fresh = pl.col(_TIME) >= pl.col(_AT) - timedelta(seconds=self.spec.ttl_s)
            found = found.with_columns(pl.when(fresh).then(pl.col(_BEST)).alias(_BEST))
        values = self._values().lazy().with_row_index(_BEST)
        found = found.select(_ROW, _BEST).join(values, on=_BEST, how="left", maintain_order="left").drop(_BEST)
        return numbered.join(found, on=_ROW, how="left", maintain_order="left").drop(_ROW)

    def _rows(self) -> pl.DataFrame:
        """The table sorted by (time, created, place in the table): the later the better. Read once."""
        if self._sorted is None:
            order = [self.spec.time, *([self.spec.created] if self.spec.created else [])]
            self._sorted = self._table.collect().sort(order, maintain_order=True, nulls_last=True)
        return self._sorted

    def _values(self) -> pl.DataFrame:
        return self._rows().select(self.names)

    def _by_moment(self, moment: pl.DataType) -> pl.DataFrame:
        """Per entity and moment at which something became known, which row of `_rows` is the best from then on, and its time."""
        time, created = pl.col(self.spec.time).cast(moment), pl.col(self.spec.created or self.spec.time).cast(moment)
        known = pl.when(created.is_not_null()).then(pl.max_horizontal(time, created))
        rows = self._rows().with_row_index(_BEST).select(*self.spec.entity, _BEST, known.alias(_KNOWN))
        rows = rows.drop_nulls().sort(_KNOWN, maintain_order=True)
        rows = rows.with_columns(pl.col(_BEST).cum_max().over(self.spec.entity))
        rows = rows.unique([*self.spec.entity, _KNOWN], keep="last", maintain_order=True)
        times = self._rows().select(time.alias(_TIME)).with_row_index(_BEST)
        return rows.join(times, on=_BEST, how="left", maintain_order="left")

    def _newest(self) -> tuple[dict[Any, int], pl.DataFrame, array[int]]:
        """Each entity's latest row, the values by row, and where rows age their times in microseconds since 1970 (a time without a zone
        is taken to be in UTC). Built when it is first asked for. A later row overwrites an earlier one.
        """
        if self._latest is None:
            keys = self._rows().select(self.spec.entity)
            one = len(self.spec.entity) == 1
            entities = keys.to_series().to_list() if one else keys.rows()
            times = self._rows().get_column(self.spec.time).dt.timestamp("us").to_list() if self.spec.ttl_s else ()
            self._latest = {entity: row for row, entity in enumerate(entities)}, self._values(), array("q", times)
        return self._latest

    def _check(self, labels: pl.Schema) -> pl.DataType:
        """Check the labels' columns; the type in which moments are compared."""
        for name in (*self.spec.entity, self.spec.time):
            if name not in labels:
                raise UserError(
                    f"the labels have no column '{name}'",
                    why=f"{self.artifact} is keyed by {', '.join(self.spec.entity)} and {self.spec.time}",
                    next=f"they have {', '.join(labels)}",
                )
        clash = [name for name in self.names if name in labels]
        if clash:
            raise UserError(
                f"both the labels and {self.artifact} have a column '{clash[0]}'",
                why="the features are added to the labels under their own names",
                next=f"rename '{clash[0]}' in one of them, or labels.drop('{clash[0]}')",
            )
        return self._moment(labels[self.spec.time])

    def _moment(self, asked: pl.DataType) -> pl.DataType:
        own = [self._schema[name] for name in (self.spec.time, self.spec.created) if name]
        moment = common_moment([*own, asked])
        if moment is None:
            raise UserError(
                f"the labels' '{self.spec.time}' is {asked}, that of {self.artifact} is {own[0]}",
                why="moments can only be compared when both are dates or times, both with or both without a time zone",
                next=f"cast it: pl.col('{self.spec.time}').cast(...) or .dt.replace_time_zone('UTC')",
            )
        return moment


def common_moment(dtypes: list[pl.DataType]) -> pl.DataType | None:
    """The type in which moments of these types compare exactly: Int64, or Datetime in the finest unit; None where there is none.

    A date is its midnight.
    """
    if all(dtype.is_integer() for dtype in dtypes):
        return pl.Int64()
    times = [dtype for dtype in dtypes if isinstance(dtype, pl.Datetime)]
    if not all(isinstance(dtype, pl.Date | pl.Datetime) for dtype in dtypes):
        return None
    zones = [dtype.time_zone for dtype in times]
    if any(zones) and not (all(zones) and len(times) == len(dtypes)):
        return None
    units = {dtype.time_unit for dtype in times}
    zone = zones[0] if zones else None
    return pl.Datetime("ns", zone) if "ns" in units else pl.Datetime("us", zone)


def check_spec(artifact: str, schema: pl.Schema, spec: FeatureSpec) -> None:
    """Whether a frame about to be kept has the columns that it is keyed by. Raises UserError."""
    for role, name in (*(("entity", name) for name in spec.entity), ("time", spec.time), ("created", spec.created)):
        if name and name not in schema:
            raise UserError(
                f"{artifact}: the {role} column '{name}' is not in the frame",
                why=f"it has {', '.join(schema)}",
                next=f"return it, or change {role}= in the declaration",
            )
    for role, name in (("time", spec.time), ("created", spec.created)):
        if name and not (schema[name].is_integer() or schema[name] in (pl.Date, pl.Datetime)):
            raise UserError(f"{artifact}: the {role} column '{name}' is {schema[name]}", why="it must be a date, a time or an integer")
    if common_moment([schema[name] for name in (spec.time, spec.created or spec.time)]) is None:
        raise UserError(
            f"{artifact}: '{spec.time}' and '{spec.created}' cannot be compared",
            why=f"one is {schema[spec.time]}, the other {schema[spec.created]}",
            next="make both dates or times, both with or both without a time zone",
        )
    if spec.ttl_s and not schema[spec.time].is_temporal():
        raise UserError(f"{artifact}: ttl needs a time column of dates or times", why=f"'{spec.time}' is {schema[spec.time]}")


def check_rows(artifact: str, rows: pl.DataFrame, spec: FeatureSpec) -> pl.DataFrame:
    """The rows, when each has a time. Raises UserError."""
    nulls = rows.get_column(spec.time).null_count()
    if nulls:
        raise UserError(
            f"{artifact}: {nulls} rows have no '{spec.time}'",
            why="a feature without a time cannot be joined as of a moment",
            next=f"drop them: .drop_nulls('{spec.time}')",
        )
    return rows
