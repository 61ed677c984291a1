"""One row as of a moment: the lookup behind `Features.at({...})` and `features[entity]`, made for services.

Two binary searches per question: the entity in a dictionary, the moment among the entity's rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import numpy as np

from bedplate.core.features import FeatureSpec

from .features_index import Index
from .features_keys import Asking
from .features_window import Windows


class RowLookup:
    """Answers for one entity from an index; `names` are the columns that it gives."""

    def __init__(self, index: Index, spec: FeatureSpec, asking: Asking, names: list[str], windows: Windows | None) -> None:
        self._index = index
        self._spec = spec
        self._asking = asking
        self._names = names
        self._windows = windows
        keys = index.entities
        self._codes: dict[Any, int] = {
            key: code for code, key in enumerate(keys.to_series().to_list() if len(spec.entity) == 1 else keys.rows())
        }
        self._first = index.first().data
        self._moment, self._other = index.moment.data, index.other.data
        self._ttl = asking.seconds(spec.ttl_s)

    def find(self, label: Mapping[str, Any]) -> dict[str, Any]:
        """The features known at the label's time; nulls where there are none. Raises UserError for a missing or unfit key."""
        entity = self._asking.entity(label)
        time = label[self._spec.time]
        return self.row(entity, None if time is None else self._asking.one(time))

    def row(self, entity: tuple[Any, ...], asked: int | None) -> dict[str, Any]:
        """The features of an entity known at a moment of the index's unit."""
        code = self._codes.get(entity[0] if len(entity) == 1 else entity)
        if self._windows is not None:
            return self._window(-1 if code is None or asked is None else code, asked or 0)
        place = None if code is None or asked is None else self._place(code, asked)
        if place is None:
            return dict.fromkeys(self._names)
        columns = self._index.columns
        return {name: columns[name].at(place) for name in self._names}

    def _place(self, code: int, asked: int) -> int | None:
        low = self._first[code]
        at = bisect_right(self._moment, asked, low, self._first[code + 1]) - 1
        if at < low or (self._ttl and asked - self._other[at] > self._ttl):
            return None
        return at

    def _window(self, code: int, asked: int) -> dict[str, Any]:
        assert self._windows is not None
        codes, moments = np.array([code]), np.array([asked])
        before = moments - self._asking.seconds(self._spec.window_s)
        return {series.name: series[0] for series in self._windows.over(self._index, codes, moments, before)}
