"""Stored types in the words of the Delta protocol: the JSON text in which a commit says which columns a table has.

Only the types that `table_types.Codec` stores have such a form here; a column of any other is refused.
"""

from __future__ import annotations

import json
from typing import Any, Final

import polars as pl

from bedplate.core.errors import CorruptError

_PLAIN: Final[dict[str, pl.DataType]] = {
    "byte": pl.Int8(), "short": pl.Int16(), "integer": pl.Int32(), "long": pl.Int64(), "float": pl.Float32(), "double": pl.Float64(),
    "boolean": pl.Boolean(), "string": pl.String(), "binary": pl.Binary(), "date": pl.Date(), "timestamp": pl.Datetime("us", "UTC"),
    "timestamp_ntz": pl.Datetime("us"),
}  # fmt: skip
_WORDS: Final = {dtype: word for word, dtype in _PLAIN.items()}


def text_of(schema: pl.Schema) -> str:
    """The text for stored types. Raises TypeError for a type that is none."""
    return json.dumps({"type": "struct", "fields": fields_of(schema)}, separators=(",", ":"))


def fields_of(schema: pl.Schema) -> list[dict[str, Any]]:
    """The columns, each as the protocol has it: all may be null."""
    return [{"name": name, "type": _form(dtype), "nullable": True, "metadata": {}} for name, dtype in schema.items()]


def schema_of(text: str) -> pl.Schema:
    """The types that a text names. Raises CorruptError for one that this room does not write."""
    try:
        return pl.Schema({field["name"]: _type(field["type"]) for field in json.loads(text)["fields"]})
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptError("the columns of a log are not readable", why=repr(error), next="bedplate doctor") from error


def _form(dtype: pl.DataType) -> Any:
    match dtype:
        case pl.Decimal():
            return f"decimal({dtype.precision},{dtype.scale})"
        case pl.List():
            return {"type": "array", "elementType": _form(_instance(dtype.inner)), "containsNull": True}
        case pl.Struct():
            return {"type": "struct", "fields": fields_of(pl.Schema({field.name: _instance(field.dtype) for field in dtype.fields}))}
        case _ if dtype in _WORDS:
            return _WORDS[dtype]
    raise TypeError(f"a log has no form for {dtype}")


def _type(form: Any) -> pl.DataType:
    if isinstance(form, str):
        if form.startswith("decimal("):
            precision, scale = form.removeprefix("decimal(").removesuffix(")").split(",")
            return pl.Decimal(int(precision), int(scale))
        return _PLAIN[form]
    if form["type"] == "array":
        return pl.List(_type(form["elementType"]))
    if form["type"] == "struct":
        return pl.Struct({field["name"]: _type(field["type"]) for field in form["fields"]})
    raise ValueError(f"no type {form['type']}")


def _instance(dtype: Any) -> pl.DataType:
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made
