"""What a model takes, read off the example that its author gives: a signature and a few rows kept as JSON.

Frames are recognised by their module and read through their own methods, so that neither Polars nor pandas is imported here.
Types are those of the Open Inference Protocol. Columns of other types (dates, lists, structs) are refused by name: a model's
inputs are numbers, truth values and text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bedplate.core.errors import UserError
from bedplate.core.model import Field

EXAMPLE_ROWS: Final = 5
"""How many rows of the example are kept."""
REFERENCE_ROWS: Final = 100
"""An example of at least so many rows is the training table: its distribution is kept, for drift."""

_POLARS: Final = {
    "Boolean": "BOOL", "String": "BYTES", "Enum": "BYTES", "Categorical": "BYTES",
    "Int8": "INT8", "Int16": "INT16", "Int32": "INT32", "Int64": "INT64",
    "UInt8": "UINT8", "UInt16": "UINT16", "UInt32": "UINT32", "UInt64": "UINT64",
    "Float32": "FP32", "Float64": "FP64",
}  # fmt: skip
_PANDAS: Final = {
    "bool": "BOOL", "boolean": "BOOL", "object": "BYTES", "str": "BYTES", "string": "BYTES", "category": "BYTES",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "float32": "FP32", "float64": "FP64",
}  # fmt: skip
_PYTHON: Final = ((bool, "BOOL"), (int, "INT64"), (float, "FP64"), (str, "BYTES"))


def library(example: Any) -> str:
    """What the example is: `polars`, `pandas` or `rows` (a list of row mappings). Raises UserError for anything else."""
    home = type(example).__module__.split(".")[0]
    if home in ("polars", "pandas") and type(example).__name__ in ("DataFrame", "LazyFrame"):
        return home
    if isinstance(example, list) and example and all(isinstance(row, Mapping) for row in example):
        return "rows"
    raise UserError(
        "a model needs an example of its inputs" if example is None else f"a {type(example).__name__} is no example of a model's inputs",
        why="from it come the names and types of what the model takes",
        next="Model(native, example=x) with a frame, or a list of row mappings, in the order that the model takes them",
    )


def collected(example: Any) -> Any:
    """The example in memory: a lazy frame is run, once."""
    return example.collect() if hasattr(example, "collect") else example


def fields(example: Any) -> tuple[Field, ...]:
    """The columns of the example as input fields. Raises UserError, naming the column that no model can take."""
    match library(example):
        case "polars":
            return tuple(_polars(name, dtype) for name, dtype in collected(example).schema.items())
        case "pandas":
            return tuple(_pandas(str(name), example.dtypes[name]) for name in example.columns)
        case _:
            return tuple(_python(name, [row.get(name) for row in example]) for name in example[0])


def rows(example: Any) -> list[dict[str, Any]]:
    """The first rows of the example, as JSON: not-a-number and missing values are null."""
    match library(example):
        case "polars":
            found = collected(example).head(EXAMPLE_ROWS).to_dicts()
        case "pandas":
            found = example.head(EXAMPLE_ROWS).to_dict("records")
        case _:
            found = [dict(row) for row in example[:EXAMPLE_ROWS]]
    return [{str(name): _plain(value) for name, value in row.items()} for row in found]


def _polars(name: str, dtype: Any) -> Field:
    kind = type(dtype).__name__
    categories = tuple(dtype.categories.to_list()) if kind == "Enum" else ()
    return Field(name, _known(name, kind, _POLARS), categories)


def _pandas(name: str, dtype: Any) -> Field:
    kind = str(dtype)
    if kind == "category":
        known = dtype.categories.tolist()
        return Field(name, _python(name, known).datatype, tuple(str(value) for value in known))
    return Field(name, _known(name, kind.lower(), _PANDAS))


def _python(name: str, values: Iterable[Any]) -> Field:
    seen = [value for value in values if value is not None]
    for kind, datatype in _PYTHON:
        if seen and all(isinstance(value, kind) or (kind is float and isinstance(value, int)) for value in seen):
            return Field(name, datatype)
    shown = type(seen[0]).__name__ if seen else "missing"
    raise _refused(name, shown)


def _known(name: str, kind: str, table: Mapping[str, str]) -> str:
    if kind not in table:
        raise _refused(name, kind)
    return table[kind]


def _refused(name: str, kind: str) -> UserError:
    return UserError(
        f"column '{name}' of the example is {kind}",
        why="a model's inputs are numbers, truth values and text",
        next=f"make '{name}' one of these before training, or leave it out",
    )


def _plain(value: Any) -> Any:
    """A JSON value: numpy scalars become Python's, not-a-number becomes null."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str | None) else None
