"""Named columns as numpy arrays, checked: what every flavour's predictor does before its library sees a value.

Missing values (None, null, not-a-number) are allowed in every column and become not-a-number in numeric ones. Text where a number is
due, a number where text is due, columns of unequal length and missing columns are the caller's mistake and are named.

A number is the number that was sent, whatever type the column had in training: 217.9 is never made 217, because the models compute in
floats anyway. A whole-number column stays one only where every value in it is whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bedplate.core.errors import UserError
from bedplate.core.model import Field

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
_READ_CATEGORY: Final[dict[str, Callable[[str], Any]]] = {"BYTES": str, "BOOL": "True".__eq__}


def length(inputs: Sequence[Field], columns: Mapping[str, Any]) -> int:
    """How many rows the columns have. Raises UserError for a missing column or unequal lengths."""
    missing = [field.name for field in inputs if field.name not in columns]
    if missing:
        raise UserError(f"the model needs {', '.join(missing)}", why="these inputs are not among the columns given")
    lengths = {field.name: _len(field.name, columns[field.name]) for field in inputs}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {rows}" for name, rows in lengths.items())
        raise UserError("the columns are not of equal length", why=shown[:200])
    return next(iter(lengths.values()), 0)


def numbers(field: Field, values: Any) -> Floats:
    """A numeric column as float64, missing values as not-a-number. Raises UserError for anything else."""
    array = _array(values)
    if array.ndim != 1:
        raise UserError(f"'{field.name}' is not a column", why="a column is a list or a 1-d array, with a value for each row")
    if array.dtype.kind in "biuf":
        return array.astype(np.float64, copy=False)
    return np.array([_number(field, value) for value in array.tolist()], dtype=np.float64)


def codes(field: Field, known: Mapping[Any, float], values: Any) -> Floats:
    """A categorical column as the codes of its categories; a value that the model has not seen is missing (not-a-number)."""
    found = values.tolist() if hasattr(values, "tolist") else list(values)
    return np.array([known[value] if _is_known(value, known) else _unseen(field, value) for value in found], dtype=np.float64)


def matrix(inputs: Sequence[Field], known: Sequence[Mapping[Any, float]], columns: Mapping[str, Any]) -> Floats:
    """The columns as float64, a row per row, in the order of `inputs`: `known[i]` are the codes of input i's categories, if it has any."""
    made = np.empty((length(inputs, columns), len(inputs)), dtype=np.float64)
    for at, (field, of) in enumerate(zip(inputs, known, strict=True)):
        values = columns[field.name]
        made[:, at] = codes(field, of, values) if of else numbers(field, values)
    return made


def text_without_categories(inputs: Sequence[Field], taker: str) -> None:
    """Raises UserError for an input that is text without categories, for a `taker` (a booster, a module) that takes numbers."""
    for field in inputs:
        if field.datatype == "BYTES" and not field.categories:
            raise UserError(
                f"column '{field.name}' of the example is text without categories",
                why=f"a {taker} takes numbers, and nothing says which text had which",
                next=f"frame.cast({{'{field.name}': pl.Enum([...])}}), train on Model.codes(frame), and give that frame as the example",
            )


def category_codes(field: Field) -> dict[Any, float]:
    """The code of each of a field's categories, keyed by the value that a caller sends (text, number or truth value); None is missing."""
    if not field.categories:
        return {}
    read = _READ_CATEGORY.get(field.datatype, float)
    return {None: math.nan, **{read(category): float(code) for code, category in enumerate(field.categories)}}


def typed(field: Field, values: Any) -> Array:
    """A column in its own type: text as an object array of str and None; whole numbers as int64 and truth values as bool, but as float64
    where a value is missing or not of that type. No value changes.
    """
    if field.datatype == "BYTES":
        found = values.tolist() if hasattr(values, "tolist") else list(values)
        return np.array([_text(field, value) for value in found] or [], dtype=object)
    array = numbers(field, values)
    if field.datatype.startswith("FP"):
        return array
    with np.errstate(invalid="ignore"):  # what no integer can hold is met by the comparison
        exact = array.astype(np.bool_ if field.datatype == "BOOL" else np.int64)
    return exact if np.array_equal(exact, array) else array


def _array(values: Any) -> Array:
    home = type(values).__module__.split(".")[0]
    if home == "pandas" and getattr(values.dtype, "kind", "O") in "biuf":
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    if home == "polars":
        return np.asarray(values.to_numpy())
    try:
        return np.asarray(values) if len(values) else np.empty(0)
    except (ValueError, OverflowError):  # lists of unequal length inside a list
        return np.empty((0, 0))


def _len(name: str, values: Any) -> int:
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise UserError(f"'{name}' is a {type(values).__name__}", why="a column is a list or a 1-d array, with a value for each row")
    return len(values)


def _number(field: Field, value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, int | float | np.number | np.bool_):
        with suppress(OverflowError):
            return float(value)
    raise UserError(f"'{field.name}' takes numbers ({field.type}), got {value!r}"[:300], next=f"send '{field.name}' as a number")


def _is_known(value: Any, known: Mapping[Any, float]) -> bool:
    try:
        return value in known
    except TypeError:
        return False


def _unseen(field: Field, value: Any) -> float:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.nan
    if isinstance(value, str) == (field.datatype == "BYTES") and isinstance(value, str | int | float | bool):
        return math.nan
    shown = ", ".join(field.categories[:3])
    raise UserError(
        f"'{field.name}' takes its categories ({shown}, ...), got {value!r}"[:300], next="send the category itself, not its code"
    )


def _text(field: Field, value: Any) -> str | None:
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    raise UserError(f"'{field.name}' takes text, got {value!r}"[:300], next=f"send '{field.name}' as text")
