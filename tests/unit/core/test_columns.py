"""Columns of a version are told in words that people use, whatever wrote its schema."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import polars as pl
import pytest

from bedplate.core.columns import Column, columns
from bedplate.core.model import Field, Signature
from bedplate.core.records import Version
from bedplate.storage.backends.table_types import Codec

TYPES = {
    "text": pl.String(),
    "float64": pl.Float64(),
    "int8": pl.Int8(),
    "uint32": pl.UInt32(),
    "bool": pl.Boolean(),
    "date": pl.Date(),
    "bytes": pl.Binary(),
    "time of day": pl.Time(),
    "time (us)": pl.Datetime("us"),
    "time (ns, UTC)": pl.Datetime("ns", "UTC"),
    "duration (ms)": pl.Duration("ms"),
    "decimal (10, 2)": pl.Decimal(10, 2),
    "list of float32": pl.List(pl.Float32),
    "3 of int64": pl.Array(pl.Int64, 3),
    "struct (a: text, b: list of bool)": pl.Struct({"a": pl.String, "b": pl.List(pl.Boolean)}),
}


@pytest.mark.parametrize("words", TYPES)
def test_each_type_of_a_table_has_its_words(words: str) -> None:
    assert columns(Codec.of(pl.Schema({"x": TYPES[words]})).text()) == (Column(name="x", type=words),)


def test_an_enum_names_its_values_and_a_model_what_it_takes_and_gives() -> None:
    assert columns(Codec.of(pl.Schema({"x": pl.Enum(["a", "b"])})).text())[0].categories == ("a", "b")
    model = {"signature": Signature((Field("x", "FP32"), Field("y", "INT16")), (Field("p", "BYTES", ("no", "yes")),)), "flavour": "f"}
    assert [(one.name, one.type, one.role, one.categories) for one in columns(msgspec.json.encode(model).decode())] == [
        ("x", "float32", "input", ()),
        ("y", "int16", "input", ()),
        ("p", "text", "output", ("no", "yes")),
    ]


@pytest.mark.parametrize("schema", ["", "{}", "[1]", '{"columns": [{"name": 1}]}', '{"columns": [{"name": "a", "type": {"kind": 1}}]}'])
def test_what_describes_no_columns_has_none(schema: str) -> None:
    assert columns(schema) == ()


def test_a_version_is_short_to_look_at() -> None:
    """A notebook prints a list of them: no bytes of a schema."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    version = Version(
        artifact="late", kind="table", digest="sha256:" + "ab" * 32, schema="x" * 5000, number=7, created_at=at, attempt="a-1"
    )
    assert repr(version) == "<late@7: table, ababababab>"
