"""Batches of predictions as frames: types come from the service, never from the values."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import polars as pl

from bedplate.stages.deploy.frames import Shape, feature_columns, frame, service_shape
from bedplate.stages.deploy.recorder import Cells, Prediction
from bedplate.stages.deploy.service import Asked, service
from bedplate.testing.serving import START


def late(**fields: Any) -> float:
    return 0.5


SERVICE = service(
    "late",
    late,
    [],
    [
        Asked(name="carrier", annotation=str),
        Asked(name="at", annotation=datetime | None, default=None),
        Asked(name="via", annotation=list[str], default=[]),
    ],
    float,
)
SHAPE = service_shape(SERVICE, {"delays": {"mean": "float", "name": "text"}})


def prediction(request: Any, features: Any, result: Any, error: str = "") -> Prediction:
    return Prediction("p-1", "q-1", START, 0.25, 500 if error else 200, error, '{"late":3}', request, features, result)


def test_every_batch_of_a_service_has_the_same_types_even_one_of_nulls() -> None:
    empty = frame([prediction(None, None, None, "ValueError")], SHAPE)
    request = SERVICE.request(carrier="UA", at=datetime(2026, 1, 1), via=["JFK"])
    whole = frame([prediction(request, {"delays": {"mean": 1, "name": "x"}}, 0.5)], SHAPE)
    assert empty.schema == whole.schema
    assert whole.schema["request"] == pl.Struct({"carrier": pl.String, "at": pl.Datetime("us", "UTC"), "via": pl.String})
    assert whole.schema["features"] == pl.Struct({"delays": pl.Struct({"mean": pl.Float64, "name": pl.String})})
    assert whole.schema["result"] == pl.Float64
    assert whole.schema["at"] == pl.Datetime("us", "UTC")


def test_values_come_back_as_they_were_and_absent_structs_are_null() -> None:
    rows = frame(
        [
            prediction(SERVICE.request(carrier="UA", via=["JFK"]), {"delays": {"mean": 1.5, "name": None}}, 0.5),
            prediction(None, None, None, "ValueError: x"),
        ],
        SHAPE,
    ).rows(named=True)
    assert rows[0]["request"] == {"carrier": "UA", "at": None, "via": '["JFK"]'}
    assert rows[0]["features"] == {"delays": {"mean": 1.5, "name": None}}
    assert (rows[0]["error"], rows[0]["models"], rows[0]["result"]) == (None, '{"late":3}', 0.5)
    assert (rows[1]["request"], rows[1]["features"], rows[1]["error"], rows[1]["result"]) == (None, None, "ValueError: x", None)


def test_feature_columns_keep_numbers_as_floats() -> None:
    schema = pl.Schema({"flights": pl.Int32, "mean": pl.Float32, "name": pl.Enum(["a"])})
    assert feature_columns(schema) == {"flights": "float", "mean": "float", "name": "text"}


def test_requests_kept_as_arrays_records_or_mappings_make_the_same_frame() -> None:
    """However the rows are mixed, and where only some rows of an array are in a batch."""
    shape = Shape(request={"a": "float", "b": "float"}, result="float")
    array = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])
    other = np.array([[7.0, 8.0]])
    record = msgspec.defstruct("Pair", [("a", float), ("b", float)])
    cells = [Cells(array, 0), Cells(array, 2), Cells(other, 0), Cells(array, 1)]
    values = [[1.0, 2.0], [5.0, 6.0], [7.0, 8.0], [3.0, np.nan]]
    mappings = [dict(zip("ab", one, strict=True)) for one in values]
    records = [record(*one) for one in values]
    expected = frame([prediction(one, None, 0.5) for one in mappings], shape)
    for given in (cells, records, [*cells[:2], *records[2:]], [*mappings[:3], *cells[3:]]):
        made = frame([prediction(one, None, 0.5) for one in given], shape)
        assert made.schema == expected.schema
        assert made.equals(expected, null_equal=True)
