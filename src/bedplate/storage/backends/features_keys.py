"""Entities and moments of labels in the types of an index, exactly; and the checks of a features table that is about to be kept.

Moments are whole numbers of the index's own unit: nanoseconds or microseconds since 1970, or plain integers. A question in a finer unit is
rounded down, which changes no comparison with a coarser one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from bedplate.core.errors import UserError
from bedplate.core.features import FeatureSpec

from .features_build import canonical, key_type
from .features_index import Ints
from .features_window import Windows

_PER_MICROSECOND: Final = {"us": 1, "ns": 1000}
_FAR: Final = 9_000_000_000_000_000
"""Microseconds: the year 2255, beyond which nanoseconds do not fit."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EVER: Final = 2**62


class Asking:
    """Reads labels for an index whose moments are of the type `moment`."""

    def __init__(self, spec: FeatureSpec, moment: pl.DataType) -> None:
        self._spec = spec
        self.aware = isinstance(moment, pl.Datetime) and moment.time_zone is not None
        self.unit = _PER_MICROSECOND[moment.time_unit] if isinstance(moment, pl.Datetime) else 0
        """How many of the index's units are a microsecond; 0 for integers."""

    def entities(self, labels: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
        """The entity columns as the index has them; null where a value cannot be one of its entities."""
        keys = canonical(labels.select(self._spec.entity))
        return keys.select(_exactly(name, keys.schema[name], dtype) for name, dtype in schema.items())

    def moments(self, times: pl.Series) -> Ints:
        """The moments asked for; 0 for a null."""
        return self._floor(*self._whole(times))

    def earlier(self, times: pl.Series, seconds: float) -> Ints:
        """The last moment that is at least so many seconds before each."""
        whole, unit = self._whole(times)
        return self._floor(whole - _whole_seconds(seconds, unit), unit)

    def not_before(self, times: pl.Series, seconds: float) -> Ints:
        """The first moment that is at most so many seconds before each."""
        whole, unit = self._whole(times)
        return -self._floor(-(whole - _whole_seconds(seconds, unit)), unit)

    def one(self, time: Any) -> int:
        """One moment, a number of microseconds or an integer. Raises UserError where it cannot be compared with the table's."""
        if not self.unit and isinstance(time, int):
            return time
        zone = UTC if self.aware else None
        if self.unit and isinstance(time, date):
            if not isinstance(time, datetime):
                time = datetime(time.year, time.month, time.day, tzinfo=zone)
            if (time.tzinfo is not None) == self.aware:
                return int((time - datetime(1970, 1, 1, tzinfo=zone)) // timedelta(microseconds=1)) * self.unit
        raise UserError(
            f"'{self._spec.time}' is {time!r}, and cannot be compared with the table's",
            why="those are whole numbers" if not self.unit else "those have a time zone" if self.aware else "those have no time zone",
        )

    def of_clock(self, now: datetime) -> int:
        """A time of the clock; where moments are plain integers there is no now, and it is after every one of them."""
        if not self.unit:
            return _EVER
        since = now - _EPOCH
        return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * self.unit

    def seconds(self, seconds: float) -> int:
        """A span in the index's unit."""
        return _whole_seconds(seconds, self.unit)

    def entity(self, label: Mapping[str, Any]) -> tuple[Any, ...]:
        """The entity of one row. Raises UserError where a column is missing."""
        for name in (*self._spec.entity, self._spec.time):
            if name not in label:
                raise UserError(f"the row has no '{name}'", why=f"it has {', '.join(label)}")
        return tuple(label[name] for name in self._spec.entity)

    def _whole(self, times: pl.Series) -> tuple[Ints, int]:
        """The times as whole numbers, and how many of them are a microsecond."""
        dtype = times.dtype
        if not dtype.is_temporal():
            return times.cast(pl.Int64).fill_null(0).to_numpy(), 0
        unit: Literal["ns", "us"] = "ns" if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns" else "us"
        numbers = times.cast(pl.Datetime(unit, getattr(dtype, "time_zone", None))).to_physical().fill_null(0).to_numpy()
        return numbers, _PER_MICROSECOND[unit]

    def _floor(self, whole: Ints, unit: int) -> Ints:
        if unit == self.unit:
            return whole
        return whole // unit if unit > self.unit else np.clip(whole, -_FAR, _FAR) * self.unit


def _whole_seconds(seconds: float, unit: int) -> int:
    return round(seconds * 1_000_000) * unit if unit else round(seconds)


def _exactly(name: str, given: pl.DataType, dtype: pl.DataType) -> pl.Expr:
    """A column cast to an entity's type; null where the cast changed its value."""
    cast = pl.col(name).cast(dtype, strict=False)
    return pl.when(cast.cast(given, strict=False) == pl.col(name)).then(cast).alias(name) if given != dtype else cast


def same_sort(asked: pl.DataType, kept: pl.DataType) -> bool:
    """Whether entities of these types can be equal; a column of nothing but nulls equals none, and is no mistake."""
    if asked in (kept, pl.Null) or (asked.is_numeric() and kept.is_numeric()):
        return True
    return asked.is_temporal() and kept.is_temporal() and type(asked) is type(kept)


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
    roles = [*(("entity", name) for name in spec.entity), ("time", spec.time), ("created", spec.created)]
    roles += [*(("event", name) for name in spec.event), *(("gives", one.column) for one in spec.gives)]
    for role, name in roles:
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
    for word, seconds in (("ttl", spec.ttl_s), ("window", spec.window_s)):
        if seconds and not schema[spec.time].is_temporal():
            raise UserError(f"{artifact}: {word} needs a time column of dates or times", why=f"'{spec.time}' is {schema[spec.time]}")
    for name in spec.entity:
        if not (key_type(schema[name]).is_integer() or key_type(schema[name]) in _ENTITIES):
            raise UserError(
                f"{artifact}: the entity column '{name}' is {schema[name]}",
                why="an entity is named by text, a whole number, a date, a time or a yes or no",
                next=f"cast it: pl.col('{name}').cast(pl.String)",
            )
    if spec.window_s:
        Windows(spec, schema, artifact)


_ENTITIES: Final = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Binary)


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
