"""What pages are told of a view of features, as records of bounded size. `valuing.py` reads the table for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from bedplate.core.records import Record


class Fresh(Record, frozen=True, kw_only=True):
    """The newest moment that rows hold for, and since when the newest is known; `read` of `of` rows were looked at, the last ones.

    None where a time is no moment (a whole number), or there is no row.
    """

    newest: datetime | None
    known: datetime | None
    read: int
    of: int


class Curve(Record, frozen=True, kw_only=True):
    """One feature of an entity as it was known at each of `Valued.times`; None where nothing was."""

    name: str
    values: tuple[float | None, ...]


class Valued(Record, frozen=True, kw_only=True):
    """What was known of one entity: `times` are seconds since 1970, `now` the row that a service would get; `rows` it has, of `read`."""

    times: tuple[float, ...]
    curves: tuple[Curve, ...]
    now: dict[str, Any]
    rows: int
    read: int
    of: int
    kept: tuple[tuple[Any, ...], ...] = ()
    names: tuple[str, ...] = ()


class Moved(Record, frozen=True, kw_only=True):
    """How the values of features are spread now against before: a `drift.Drift` for each, by `before` and `now` rows."""

    drifts: tuple[Any, ...]
    before: int
    now: int
    words: str


class Known(Record, frozen=True, kw_only=True):
    """How a view is keyed, and who told it: the newest step that looked rows up (`step`, in `run`), or the version itself."""

    spec: dict[str, Any] = msgspec.field(default_factory=dict)
    step: str = ""
    run: str = ""
