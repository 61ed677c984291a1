"""Features: a view of a features artifact, seen as of a moment.

`features.at(labels)` is the only as-of join: to each label row it adds the entity's latest values known at the label's
time (`time` <= label time, and `created` <= label time where declared). `features[entity]` is the row now, by the same rule.

A *windowed* view keeps events and adds them up when it is asked: over the events of the `window_s` seconds up to the moment that are
known then. There is nothing to bring up to date, so history and the newest moment cannot differ.
"""

from __future__ import annotations

import re
from typing import Any, Final, Protocol

import msgspec

from .errors import ProjectError

AGGREGATES: Final = ("count", "sum", "mean", "min", "max", "last", "distinct")
"""What a windowed view can say of the events in its window; all but `count` of a column of theirs."""
_GIVES: Final = re.compile(r"(\w+)\((.*)\)")


class Aggregate(msgspec.Struct, frozen=True):
    """One column that a windowed view gives: its name, one of AGGREGATES, and the events' column (empty for `count`)."""

    name: str
    of: str
    column: str = ""

    @classmethod
    def read(cls, name: str, text: str) -> Aggregate:
        """Read `mean(delay)` or `count()`. Raises ProjectError."""
        match = _GIVES.fullmatch(text.strip())
        of, column = (match[1], match[2].strip()) if match else ("", "")
        if of not in AGGREGATES or bool(column) != (of != "count"):
            raise ProjectError(
                f"gives: '{name}' is {text!r}, which is nothing that a window can give",
                why=f"a window gives {', '.join(f'{one}(COLUMN)' if one != 'count' else 'count()' for one in AGGREGATES)}",
                next=f'write gives={{"{name}": "mean(COLUMN)"}}',
            )
        return cls(name, of, column)


class FeatureSpec(msgspec.Struct, frozen=True):
    """How a features table is keyed: entity columns, event time, when a row became known, how long it is worth anything.

    With `window_s` the rows are events: `gives` says what is given of those in the window, `event` which columns tell one event of an
    entity from another (empty: every row is one).
    """

    entity: tuple[str, ...]
    time: str
    created: str = ""
    ttl_s: float = 0.0
    online: bool = False
    window_s: float = 0.0
    gives: tuple[Aggregate, ...] = ()
    event: tuple[str, ...] = ()


class Features(Protocol):
    """What a function annotated `Features` receives."""

    spec: FeatureSpec

    def at(self, labels: Any, *more: Features) -> Any:
        """`labels` (a frame with the entity columns and `time`) with the features known then: same rows, same order.

        The frame is a Polars frame, eager or lazy, or a pandas frame. Rows without known features have nulls: an unknown entity, a null
        entity or time, values older than `ttl`. No label is lost, none is doubled; labels without one of the columns are refused. `more`
        are other views to add, each as of the same moment. One row mapping (`{"carrier": "UA", "time": then}`) gives a mapping: the row
        with its features, from memory and fast enough for a service that is asked about a past or later moment.
        """
        ...

    def __getitem__(self, entity: Any) -> Any:
        """The entity's values known now, by name; a tuple for several entity columns. A list, array or Series of entities gives a list,
        read at once (for several entity columns, a tuple of arrays too).

        Nulls for an unknown entity, and for values older than `ttl`.
        """
        ...


def entities(asked: Any) -> Any:
    """What a view is asked for: an entity as it is, and as a list those that come in an array, a Series, or a tuple of either."""
    if isinstance(asked, str | int | list):
        return asked
    if isinstance(asked, tuple):
        columns = [entities(part) for part in asked]
        return list(zip(*columns, strict=True)) if columns and all(isinstance(one, list) for one in columns) else asked
    for name in ("tolist", "to_list"):
        if hasattr(asked, name):
            return getattr(asked, name)()
    return asked
