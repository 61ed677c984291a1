"""One row as of a moment: the lookup behind `Features.at({...})`, made for services that are asked about a moment of their own.

Per entity, the moments at which a better row became known, ascending, beside the row that is best from then on: one binary search
per question. Moments are whole numbers in the unit of the dtype that they are compared in.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import polars as pl

from bedplate.core.errors import UserError
from bedplate.core.features import FeatureSpec

_PER_MICROSECOND: Final = {"us": 1, "ns": 1000}


class RowLookup:
    """Built from rows of (entity..., known, time, best), their moments of type `moment`, and the table's values by place."""

    def __init__(self, rows: pl.DataFrame, values: pl.DataFrame, spec: FeatureSpec, moment: pl.DataType) -> None:
        known, time, best = rows.columns[-3:]
        rows = rows.sort([*spec.entity, known], nulls_last=True, maintain_order=True)
        self._spec = spec
        self._aware = isinstance(moment, pl.Datetime) and moment.time_zone is not None
        self._unit = _PER_MICROSECOND[moment.time_unit] if isinstance(moment, pl.Datetime) else 0
        self._known, self._time, self._best = (array("q", rows.get_column(name).to_physical().to_list()) for name in (known, time, best))
        keys = rows.select(spec.entity)
        self._span: dict[Any, tuple[int, int]] = {}
        for place, key in enumerate(keys.to_series().to_list() if len(spec.entity) == 1 else keys.rows()):
            self._span[key] = (self._span.get(key, (place, place))[0], place + 1)
        self._columns = {name: values.get_column(name) for name in values.columns}
        self._ttl = int(spec.ttl_s * 1_000_000) * self._unit

    def find(self, label: Mapping[str, Any]) -> dict[str, Any]:
        """The features known at the label's time; nulls where there are none. Raises UserError for a missing or unfit key."""
        for name in (*self._spec.entity, self._spec.time):
            if name not in label:
                raise UserError(f"the row has no '{name}'", why=f"it has {', '.join(label)}")
        entity = tuple(label[name] for name in self._spec.entity)
        place = self._place(entity[0] if len(entity) == 1 else entity, label[self._spec.time])
        return {name: None if place is None else column[place] for name, column in self._columns.items()}

    def _place(self, entity: Any, time: Any) -> int | None:
        span = self._span.get(entity)
        if span is None or time is None:
            return None
        asked = self._whole(time)
        at = bisect_right(self._known, asked, *span) - 1
        if at < span[0] or (self._ttl and asked - self._time[at] > self._ttl):
            return None
        return int(self._best[at])

    def _whole(self, time: Any) -> int:
        """A moment as a whole number. Raises UserError where it cannot be compared with the table's."""
        if not self._unit and isinstance(time, int):
            return time
        zone = UTC if self._aware else None
        if self._unit and isinstance(time, date):
            if not isinstance(time, datetime):
                time = datetime(time.year, time.month, time.day, tzinfo=zone)
            if (time.tzinfo is not None) == self._aware:
                return int((time - datetime(1970, 1, 1, tzinfo=zone)) // timedelta(microseconds=1)) * self._unit
        raise UserError(
            f"'{self._spec.time}' is {time!r}, and cannot be compared with the table's",
            why="those are whole numbers" if not self._unit else "those have a time zone" if self._aware else "those have no time zone",
        )
