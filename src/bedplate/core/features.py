"""Features: a view of a features artifact, seen as of a moment.

`features.at(labels)` is the only as-of join: to each label row it adds the entity's latest values known at the label's
time (`time` <= label time, and `created` <= label time where declared). `features[entity]` is the row now.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class FeatureSpec(msgspec.Struct, frozen=True):
    """How a features table is keyed: entity columns, event time, and when a row became known."""

    entity: tuple[str, ...]
    time: str
    created: str = ""
    ttl_s: float = 0.0
    online: bool = False


class Features(Protocol):
    """What a function annotated `Features` receives."""

    spec: FeatureSpec

    def at(self, labels: Any) -> Any:
        """`labels` (a frame with the entity columns and `time`) with the features known then: same rows, same order.

        The frame is a Polars frame, eager or lazy, or a pandas frame. Rows without known features have nulls. No label is lost, none is
        doubled. One row mapping (`{"carrier": "UA", "time": then}`) gives a mapping: the row with its features, from memory and fast
        enough for a service that is asked about a past or later moment.
        """
        ...

    def __getitem__(self, entity: Any) -> dict[str, Any]:
        """The entity's latest values now; a tuple for several entity columns. Nulls for an unknown entity, and for values older than
        `ttl`.
        """
        ...
