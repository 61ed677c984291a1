"""Examples of inputs as Polars frames: from what a stored model keeps of its own, or from a file, with the categories known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from bedplate.core.errors import UserError
from bedplate.core.model import Field

_TYPES: Final[dict[str, Any]] = {
    "BOOL": pl.Boolean, "BYTES": pl.String, "INT8": pl.Int8, "INT16": pl.Int16, "INT32": pl.Int32, "INT64": pl.Int64, "UINT8": pl.UInt8,
    "UINT16": pl.UInt16, "UINT32": pl.UInt32, "UINT64": pl.UInt64, "FP32": pl.Float32, "FP64": pl.Float64,
}  # fmt: skip


def frame(inputs: Sequence[Field], rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a frame of the inputs' types."""
    return pl.DataFrame([pl.Series(field.name, [row.get(field.name) for row in rows], dtype=_type(field)) for field in inputs])


def fitted(example: pl.LazyFrame | pl.DataFrame, inputs: Sequence[Field]) -> pl.DataFrame:
    """The columns that are inputs, in their order and types. Raises UserError for a missing column, or a value that has no such type."""
    found = example.lazy().collect()
    missing = [field.name for field in inputs if field.name not in found.columns]
    if missing:
        raise UserError(f"the example has no column {', '.join(missing)}", why=f"it has {', '.join(found.columns)}"[:300])
    try:
        return found.select(pl.col(field.name).cast(_type(field)) for field in inputs)
    except pl.exceptions.PolarsError as error:
        raise UserError("the example does not fit the inputs", why=str(error).splitlines()[0][:300]) from error


def _type(field: Field) -> Any:
    if field.categories and field.datatype == "BYTES":
        return pl.Enum(list(field.categories))
    return _TYPES[field.datatype]
