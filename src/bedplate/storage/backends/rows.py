"""Named columns as rows of numbers, quickly: what every model that computes on a matrix does with a request before its library sees it.

One row is the usual request, and a numpy array for each of its columns would cost more than the model does: its numbers are packed at once.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import numpy as np

from bedplate.core.model import Field

from . import columns as cols

_NUMBERS: Final = frozenset({float, int, bool})
_KINDS: Final = frozenset("biuf")


def _refused(_values: Mapping[str, Any]) -> Any:
    raise TypeError


class Encoder:
    """The inputs of one model, in their order; categories become their codes, what is missing or was never seen not-a-number."""

    def __init__(self, inputs: Sequence[Field]) -> None:
        self.inputs = tuple(inputs)
        self.codes = [cols.category_codes(field) for field in inputs]
        pairs = list(zip(inputs, self.codes, strict=True))
        self._one = [(field.name, codes or None, field.datatype == "BYTES") for field, codes in pairs]
        plain = len(self.inputs) > 1 and all(field.datatype[:1] in "FIU" and not codes for field, codes in pairs)
        self._get = itemgetter(*(field.name for field in self.inputs)) if plain else _refused
        self._row = struct.Struct(f"{len(self.inputs)}d")

    @property
    def numeric(self) -> bool:
        """Whether every input has a number for each of its values: text has one by its categories."""
        return all(field.datatype != "BYTES" or field.categories for field in self.inputs)

    def numbers(self, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """One row of plain numbers in the order of the inputs; None where they need a closer look."""
        try:
            given: tuple[Any, ...] = self._get(values)
            return given if _NUMBERS.issuperset(map(type, given)) else None
        except (KeyError, TypeError):
            return None

    def packed(self, numbers: Sequence[Any]) -> bytes:
        """The bytes of one row of plain numbers as float64. Raises OverflowError for one that no float holds."""
        try:
            return self._row.pack(*numbers)
        except struct.error:
            raise OverflowError from None

    def row(self, values: Mapping[str, Any]) -> cols.Floats | None:
        """One row of scalars as an array of one row; None where they need a closer look."""
        given = self.numbers(values)
        try:
            return None if given is None else np.array((given,), dtype=np.float64)
        except OverflowError:
            return None

    def pack(self, columns: Mapping[str, Any]) -> bytes | None:
        """The bytes of a single row of float64; None where there are more rows, or a value needs a closer look."""
        row = []
        try:
            for name, codes, is_text in self._one:
                (value,) = columns[name]
                if codes is not None:
                    value = math.nan if is_text and type(value) is str and value not in codes else codes[value]
                row.append(math.nan if value is None else value)
            return self._row.pack(*row)
        except (KeyError, ValueError, TypeError, OverflowError, struct.error):
            return None

    def stacked(self, columns: Mapping[str, Any]) -> cols.Floats | None:
        """Columns that are arrays of numbers as float64, a row per row, at once; None where they need a closer look."""
        try:
            given: tuple[Any, ...] = self._get(columns)
        except (KeyError, TypeError):
            return None
        shape = getattr(given[0], "shape", ())
        if len(shape) != 1 or any(type(one) is not np.ndarray or one.shape != shape or one.dtype.kind not in _KINDS for one in given):
            return None
        return np.ascontiguousarray(np.concatenate(given, dtype=np.float64, casting="unsafe").reshape(len(given), -1).T)

    def matrix(self, columns: Mapping[str, Any]) -> cols.Floats:
        """The columns as float64, a row per row. Raises UserError for unfit columns."""
        if (made := self.stacked(columns)) is not None:
            return made
        packed = self.pack(columns)
        if packed is None:
            return cols.matrix(self.inputs, self.codes, columns)
        return np.frombuffer(packed, dtype=np.float64).reshape(1, -1)
