"""Features over a table version: the as-of join, exact for rows that became known late.

To a label at time t belongs the row with the latest `time` among the entity's rows *known* at t: `time` <= t and, where declared,
`created` <= t; among equal times the one created last, then the last in the table. `ttl` then drops a row that is too old: any other would
be older still. A look-up of the row now is the same question as of now, so what training never saw, a service does not see.

Limits: time zones must match (both or neither has one). See `features_index` for what is held in memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bedplate.core.clock import SystemClock
from bedplate.core.errors import UserError
from bedplate.core.features import Features, FeatureSpec, entities

from .features_build import Source, index_of, key_type
from .features_index import Found, Index, Ints
from .features_keys import Asking, common_moment, same_sort
from .features_rows import RowLookup
from .features_window import Windows

_CLOCK = SystemClock()


class TableFeatures:
    """Implements `core.features.Features` over one committed version; `now` says the time to a look-up, `home` where indexes are kept."""

    def __init__(
        self,
        table: pl.LazyFrame,
        spec: FeatureSpec,
        artifact: str = "features",
        now: Callable[[], datetime] = _CLOCK.now,
        home: Path | None = None,
    ) -> None:
        self.spec = spec
        self.artifact = artifact
        self._schema = table.collect_schema()
        keys = {*spec.entity, spec.time, spec.created}
        kept = [name for name in self._schema if name not in keys]
        if spec.window_s:
            kept = list(dict.fromkeys([*(one.column for one in spec.gives if one.column), *spec.event]))
        own = common_moment([self._schema[name] for name in (spec.time, spec.created) if name])
        assert own is not None, "check_spec has passed"
        self.asking = Asking(spec, own)
        self.moment = own
        self._source = Source(table=table, spec=spec, names=kept, moment=own, by_moment=not spec.window_s)
        self._home = home
        self._made: Index | None = None
        self._now = now
        self._lookup: RowLookup | None = None
        self.windows = Windows(spec, self._schema, artifact) if spec.window_s else None
        self.stored = pl.Schema({name: self._schema[name] for name in kept})
        self.entity_schema = pl.Schema({name: key_type(self._schema[name]) for name in spec.entity})
        self.names = kept if self.windows is None else list(self.windows.schema)
        self.schema = self.stored if self.windows is None else pl.Schema(self.windows.schema)

    def by(self, now: Callable[[], datetime]) -> TableFeatures:
        """This view, which asks `now` what time it is from here on."""
        self._now = now
        return self

    def at(self, labels: Any, *more: Features) -> Any:
        """`labels` (a frame with the entity columns and `time`) with the features known then; the same rows in the same order.

        Lazy labels give a lazy frame, which streams; pandas' a pandas frame with its index, one row mapping a mapping. Rows without known
        features, and labels whose key is null, have nulls. Raises UserError where a key column is missing or of another sort, or a feature
        has the name of a label column.
        """
        if isinstance(labels, Mapping):
            joined: Any = self._at_row(labels)
        elif type(labels).__module__.split(".")[0] == "pandas":
            joined = self._at_pandas(labels)
        elif isinstance(labels, pl.DataFrame):
            self._check(labels.schema)
            joined = labels.hstack(self._found(labels))
        elif isinstance(labels, pl.LazyFrame):
            given = labels.collect_schema()
            self._check(given)
            schema = {**given, **self.schema}
            joined = labels.map_batches(lambda batch: batch.hstack(self._found(batch)), schema=schema, streamable=True)
        else:
            raise UserError(f"{self.artifact}.at() takes a frame or one row, not a {type(labels).__name__}", next="pl.DataFrame(labels)")
        for view in more:
            joined = view.at(joined)
        return joined

    def __getitem__(self, entity: Any) -> Any:
        """The entity's values now, or those of each in a list; nulls for an unknown one, and where they are older than `ttl`."""
        entity = entities(entity)
        if isinstance(entity, list):
            return [self[one] for one in entity]
        lookup = self.lookup()
        return lookup.row(entity if isinstance(entity, tuple) else (entity,), self.asking.of_clock(self._now()))

    def places(self, labels: pl.DataFrame) -> pl.DataFrame:
        """When the row that each label gets holds (`time`) and since when it was known, in the index's unit; a windowed view's newest."""
        index, found = self.index(), self._last(labels)
        rows = found.by_question()
        there, none = pl.Series(rows >= 0), pl.lit(None, pl.Int64)
        time, known = (index.other, index.moment) if self.windows is None else (index.moment, index.other)
        columns = {"time": time, "known": known}
        if not len(index.key):
            return pl.DataFrame({name: pl.Series([None] * len(rows), dtype=pl.Int64) for name in columns})
        taken = {name: pl.Series(numbers.take(rows, mode="clip")) for name, numbers in columns.items()}
        return pl.select(pl.when(there).then(one).otherwise(none).alias(name) for name, one in taken.items())

    def index(self) -> Index:
        """The sorted rows, made or read when they are first asked for."""
        if self._made is None:
            self._made = index_of(self._source, self._home)
        return self._made

    def lookup(self) -> RowLookup:
        """What answers for one entity."""
        if self._lookup is None:
            self._lookup = RowLookup(self.index(), self.spec, self.asking, self.names, self.windows)
        return self._lookup

    def _at_pandas(self, labels: Any) -> Any:
        """Only the keys are converted: the labels' own columns and index stay what they are."""
        pandas = importlib.import_module(".pandas_view", __package__)
        keys = [name for name in (*self.spec.entity, self.spec.time) if name in labels.columns]
        asked = pandas.to_polars(labels[keys].reset_index(drop=True))
        self._check(pl.Schema({**dict.fromkeys(map(str, labels.columns), pl.Null()), **asked.schema}))
        found = pandas.as_pandas(self.at(asked).select(self.names)).set_axis(labels.index)
        return labels.assign(**found)

    def _at_row(self, label: Mapping[str, Any]) -> dict[str, Any]:
        """One row with its features."""
        if clash := [name for name in self.names if name in label]:
            raise UserError(f"both the row and {self.artifact} have '{clash[0]}'", why="the features are added under their own names")
        return {**label, **self.lookup().find(label)}

    def _found(self, labels: pl.DataFrame) -> list[pl.Series]:
        """The features of each label."""
        index, times = self.index(), labels.get_column(self.spec.time)
        if self.windows is not None:
            before = self.asking.earlier(times, self.spec.window_s)
            return self.windows.over(index, self._codes(labels), self.asking.moments(times), before)
        return index.take(self.names, self._last(labels))

    def _codes(self, labels: pl.DataFrame) -> Ints:
        """The entity of each label in the index; -1 where it has none, or no time."""
        index, times = self.index(), labels.get_column(self.spec.time)
        codes = index.codes(self.asking.entities(labels, index.entities.schema))
        return np.where(times.is_null().to_numpy(), -1, codes) if times.null_count() else codes

    def _last(self, labels: pl.DataFrame) -> Found:
        """The row of the index that each label gets."""
        index, times = self.index(), labels.get_column(self.spec.time)
        found = index.last(self._codes(labels), self.asking.moments(times))
        if self.spec.ttl_s and len(index.key):
            oldest = self.asking.not_before(times, self.spec.ttl_s)[found.order]
            found.rows[index.other.take(found.rows, mode="clip") < oldest] = -1
        return found

    def _check(self, labels: pl.Schema) -> None:
        """Check the labels' columns. Raises UserError."""
        for name in (*self.spec.entity, self.spec.time):
            if name not in labels:
                raise UserError(
                    f"the labels have no column '{name}'",
                    why=f"{self.artifact} is keyed by {', '.join(self.spec.entity)} and {self.spec.time}",
                    next=f"rename one of their columns to '{name}': they have {', '.join(labels)}",
                )
        clash = [name for name in self.names if name in labels]
        if clash:
            raise UserError(
                f"both the labels and {self.artifact} have a column '{clash[0]}'",
                why="the features are added to the labels under their own names",
                next=f"rename '{clash[0]}' in one of them, or labels.drop('{clash[0]}')",
            )
        for name in self.spec.entity:
            if not same_sort(key_type(labels[name]), key_type(self._schema[name])):
                raise UserError(
                    f"the labels' '{name}' is {labels[name]}, that of {self.artifact} is {self._schema[name]}",
                    why="no label would find its entity",
                    next=f"cast one of them: pl.col('{name}').cast(...)",
                )
        own = [self._schema[name] for name in (self.spec.time, self.spec.created) if name]
        if common_moment([*own, labels[self.spec.time]]) is None:
            raise UserError(
                f"the labels' '{self.spec.time}' is {labels[self.spec.time]}, that of {self.artifact} is {own[0]}",
                why="moments can only be compared when both are dates or times, both with or both without a time zone",
                next=f"cast it: pl.col('{self.spec.time}').cast(...) or .dt.replace_time_zone('UTC')",
            )
