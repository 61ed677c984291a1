"""Column types: kept exactly, though Delta and Parquet do not know all of them.

A `Codec` maps a frame's types (the *logical* ones) to those that a Delta table holds (the *stored* ones) and back:

    UInt8, UInt16 -> Int16, Int32      UInt32 -> Int64            UInt64 -> Decimal(20, 0)     Int128, UInt128 -> String
    Float16 -> Float32                 Time, Duration -> Int64    Datetime ms -> us, ns -> Int64    other time zones -> UTC
    Enum, Categorical -> String        Array -> List              Map -> List of key and value      Null -> Boolean

at any depth. Stored columns keep their names and mean the same to a reader without bedplate, but for Time, Duration and nanoseconds,
which are counts of the unit that the schema names. The schema is kept with the version as JSON: our own description of each type,
which is what is read back, and the Arrow schema message for other tools.

Refused by column name: Object and extension types, structs without fields, milliseconds that do not fit into microseconds, frames
without columns, and names of columns or of a struct's fields that differ only in case (Delta takes them for one) or hold a NUL character
(a name ends there for other tools).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import Any

import msgspec
import polars as pl

from bedplate.core.errors import CorruptError, UserError

_PLAIN: dict[str, pl.DataType] = {
    cls.__name__: cls()
    for cls in (
        pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128, pl.Float16, pl.Float32,
        pl.Float64, pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Time, pl.Null,
    )
}  # fmt: skip
_STORED: dict[str, pl.DataType] = {
    "UInt8": pl.Int16(), "UInt16": pl.Int32(), "UInt32": pl.Int64(), "UInt64": pl.Decimal(20, 0), "Int128": pl.String(),
    "UInt128": pl.String(), "Float16": pl.Float32(), "Time": pl.Int64(), "Null": pl.Boolean(),
}  # fmt: skip


class Codec:
    """Encodes frames of one schema to stored types and decodes them again."""

    def __init__(self, schema: pl.Schema) -> None:
        self.schema = schema
        self.stored = pl.Schema({name: _stored(dtype, name) for name, dtype in schema.items()})
        self._risky = [name for name, dtype in schema.items() if self.stored[name] != dtype and _is_risky(dtype)]

    @classmethod
    def of(cls, schema: pl.Schema) -> Codec:
        """The codec of a frame about to be kept. Raises UserError, naming the column, where it cannot be."""
        if not schema:
            raise UserError("a table without columns cannot be kept", why="the frame has no columns", next="return at least one column")
        _check_names("columns", schema)
        for name, dtype in schema.items():
            _check_fields(name, dtype)
        return cls(schema)

    @classmethod
    def read(cls, text: str) -> Codec:
        """The codec of a committed version, from its schema text. Raises CorruptError."""
        try:
            columns = msgspec.json.decode(text)["columns"]
            return cls(pl.Schema({column["name"]: parse(column["type"]) for column in columns}))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise CorruptError("the schema of a table is not readable", why=repr(error), next="bedplate doctor") from error

    def text(self) -> str:
        """The schema as the catalog keeps it."""
        columns = [{"name": name, "type": describe(dtype), "shown": str(dtype)} for name, dtype in self.schema.items()]
        return msgspec.json.encode({"columns": columns, "arrow": _arrow(self.schema)}).decode()

    def encode(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame in stored types. Raises UserError, naming the column, for values that do not fit."""
        if frame.schema == self.stored and not self._risky:
            return frame
        stored = frame.select(
            pl.col(name).cast(self.stored[name], strict=False) for name in self.schema if self.stored[name] != frame.schema[name]
        )
        stored = frame.with_columns(stored.get_columns()).select(list(self.schema))
        for name in self._risky:
            if not stored.select(self._decoder(name)).to_series().equals(frame.get_column(name), null_equal=True):
                raise _unkept(name, self.schema[name])
        return stored

    def decode(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The frame in logical types, lazily; columns that are stored as they are stay bare, so that filters reach the files."""
        return frame.select(self._decoder(name) for name in self.schema)

    def _decoder(self, name: str) -> pl.Expr:
        dtype, column = self.schema[name], pl.col(name)
        if self.stored[name] == dtype:
            return column
        if _holds(dtype, lambda inner: isinstance(inner, pl.Null)):
            return column.map_batches(lambda values: _with_nulls(values, dtype), return_dtype=dtype)
        return column.cast(dtype, strict=not children(dtype))


def _check_names(what: str, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if "\0" in name:
            shown = name.replace("\0", "\\0")
            why = "a name ends at a NUL character for the tools that read open formats"
            raise UserError(f"{what}: the name '{shown}' cannot be kept", why=why, next=f"rename '{shown}'")
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise UserError(
                f"{what} '{other}' and '{name}' cannot be kept in one table",
                why="Delta tables take names that differ only in case for one",
                next=f"rename '{name}'",
            )


def _check_fields(column: str, dtype: pl.DataType) -> None:
    """The names inside a column, at any depth."""
    if isinstance(dtype, pl.Struct):
        _check_names(f"in column '{column}': the fields", [field.name for field in dtype.fields])
    for inner in children(dtype):
        _check_fields(column, inner)


def describe(dtype: pl.DataType) -> Any:
    """Our own JSON form of a type, the same for every Polars version. Raises TypeError for a type that has none."""
    match dtype:
        case pl.Datetime():
            return {"type": "Datetime", "unit": dtype.time_unit, "zone": dtype.time_zone}
        case pl.Duration():
            return {"type": "Duration", "unit": dtype.time_unit}
        case pl.Decimal():
            return {"type": "Decimal", "precision": dtype.precision, "scale": dtype.scale}
        case pl.Enum():
            return {"type": "Enum", "categories": dtype.categories.to_list()}
        case pl.Categorical():
            return {"type": "Categorical", **_categories(dtype.categories)}
        case pl.List():
            return {"type": "List", "inner": describe(_instance(dtype.inner))}
        case pl.Array():
            return {"type": "Array", "inner": describe(_instance(dtype.inner)), "width": dtype.size}
        case pl.Map():
            return {"type": "Map", "key": describe(_instance(dtype.key)), "value": describe(_instance(dtype.value))}
        case pl.Struct():
            return {"type": "Struct", "fields": [[field.name, describe(_instance(field.dtype))] for field in dtype.fields]}
        case _ if type(dtype).__name__ in _PLAIN:
            return type(dtype).__name__
    raise TypeError(f"no form for {dtype}")


def parse(form: Any) -> pl.DataType:
    """The type that `describe` described. Raises KeyError or ValueError for what is no form."""
    if isinstance(form, str):
        return _PLAIN[form]
    match form["type"]:
        case "Datetime":
            return pl.Datetime(form["unit"], form["zone"])
        case "Duration":
            return pl.Duration(form["unit"])
        case "Decimal":
            return pl.Decimal(form["precision"], form["scale"])
        case "Enum":
            return pl.Enum(form["categories"])
        case "Categorical":
            return pl.Categorical(pl.Categories(form["name"], form["namespace"], _PLAIN[form["physical"]]) if len(form) > 1 else None)
        case "List":
            return pl.List(parse(form["inner"]))
        case "Array":
            return pl.Array(parse(form["inner"]), form["width"])
        case "Map":
            return pl.Map(parse(form["key"]), parse(form["value"]))
        case "Struct":
            return pl.Struct({name: parse(inner) for name, inner in form["fields"]})
    raise ValueError(f"no type {form['type']}")


def children(dtype: pl.DataType) -> list[pl.DataType]:
    """The types directly inside a type."""
    match dtype:
        case pl.List() | pl.Array():
            return [_instance(dtype.inner)]
        case pl.Map():
            return [_instance(dtype.key), _instance(dtype.value)]
        case pl.Struct():
            return [_instance(field.dtype) for field in dtype.fields]
    return []


def _stored(dtype: pl.DataType, column: str) -> pl.DataType:
    match dtype:
        case pl.Datetime(time_unit="ns"):
            return pl.Int64()
        case pl.Datetime():
            return pl.Datetime("us", "UTC" if dtype.time_zone else None)
        case pl.Duration():
            return pl.Int64()
        case pl.Enum() | pl.Categorical():
            return pl.String()
        case pl.List() | pl.Array():
            return pl.List(_stored(_instance(dtype.inner), column))
        case pl.Map():
            entry = {"key": _stored(_instance(dtype.key), column), "value": _stored(_instance(dtype.value), column)}
            return pl.List(pl.Struct(entry))
        case pl.Struct() if dtype.fields:
            return pl.Struct({field.name: _stored(_instance(field.dtype), column) for field in dtype.fields})
        case pl.Decimal():
            return dtype
        case _ if type(dtype).__name__ in _PLAIN:
            return _STORED.get(type(dtype).__name__, dtype)
    raise UserError(
        f"column '{column}' cannot be kept",
        why=f"a table has no place for {'structs without fields' if isinstance(dtype, pl.Struct) else dtype}",
        next=f"cast or drop '{column}'; for any Python object return Pickle[...] from a step of its own",
    )


def _categories(categories: pl.Categories) -> dict[str, str]:
    if categories.is_global():
        return {}
    physical = categories.physical()
    return {"name": categories.name(), "namespace": categories.namespace(), "physical": type(_instance(physical)).__name__}


def _instance(dtype: Any) -> pl.DataType:
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made


def _holds(dtype: pl.DataType, wanted: Any) -> bool:
    return bool(wanted(dtype)) or any(_holds(inner, wanted) for inner in children(dtype))


def _is_risky(dtype: pl.DataType) -> bool:
    """Whether values may not survive: milliseconds can be too far away, and casts of nested types are not trusted but looked at."""
    return bool(children(dtype)) or (isinstance(dtype, pl.Datetime) and dtype.time_unit == "ms")


def _unkept(name: str, dtype: pl.DataType) -> UserError:
    if isinstance(dtype, pl.Datetime):
        return UserError(
            f"column '{name}' has times too far away to be kept",
            why="milliseconds are stored as microseconds, which end in the year 294247",
            next=f"clip or drop them, or keep '{name}' as an integer",
        )
    return UserError(
        f"column '{name}' cannot be kept",
        why=f"its values do not come back equal from storage as {dtype}",
        next=f"cast '{name}' to a type of lists and structs of plain values",
    )


def _with_nulls(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The values as `dtype`, which holds Null inside: casts leave an inner Boolean as it is, so the values are built anew."""
    return values.cast(dtype) if isinstance(dtype, pl.Null) else pl.Series(values.name, values.to_list(), dtype=dtype)


def _arrow(schema: pl.Schema) -> str:
    buffer = io.BytesIO()
    pl.DataFrame(schema=schema).write_ipc(buffer)
    return base64.b64encode(buffer.getvalue()).decode()
