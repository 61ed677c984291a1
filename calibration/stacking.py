"""Many records of numbers as one record of arrays, so that a fit evaluates all its cases in one call.

A number becomes an array over the cases; a column of an operation table (shape (operations, 1)) is padded with rows that weigh nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

NEUTRAL = {"inp": 1.0, "out": 1.0, "width": 128.0, "heads": 1.0, "window": np.inf}
"""What stands in a padded row where 0 would divide; `layers` is 0 there, so that the row counts for nothing."""


def stacked(cases: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Tuples of records, one a case, as one tuple of records over all cases."""
    return tuple(_stack([case[i] for case in cases], "") for i in range(len(cases[0])))


def _stack(values: Sequence[Any], name: str) -> Any:
    first = values[0]
    if isinstance(first, msgspec.Struct):
        fields = type(first).__struct_fields__
        return type(first)(**{field: _stack([getattr(value, field) for value in values], field) for field in fields})
    if isinstance(first, np.ndarray) and first.ndim == 2:
        deep = max(value.shape[0] for value in values)
        out = np.full((deep, len(values)), NEUTRAL.get(name, 0.0))
        for i, value in enumerate(values):
            out[: value.shape[0], i] = value[:, 0]
        return out
    return np.array([float(np.asarray(value).reshape(-1)[0]) for value in values])
