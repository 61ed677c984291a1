"""One row of plain numbers goes to a model at once; whatever needs a closer look goes the long way, and both give the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bedplate.core.model import Field
from bedplate.storage.backends.rows import Encoder

INPUTS = [Field("a", "FP64"), Field("b", "INT64"), Field("c", "FP32")]


def test_a_mapping_of_numbers_is_the_row_that_its_columns_are() -> None:
    row = {"c": 1.5, "a": -2.0, "b": 7, "more": "is not looked at"}
    encoder = Encoder(INPUTS)
    found = encoder.row(row)
    assert found is not None
    assert found.tolist() == encoder.matrix({name: [row[name]] for name in "abc"}).tolist() == [[-2.0, 7.0, 1.5]]
    assert found.dtype == np.float64


CLOSER: list[dict[str, Any]] = [
    {"a": 1.0, "b": 2},
    {"a": 1.0, "b": None, "c": 1.0},
    {"a": 1.0, "b": "2", "c": 1.0},
    {"a": [1.0], "b": [2], "c": [1.0]},
    {"a": np.array([1.0]), "b": np.array([2]), "c": np.array([1.0])},
    {"a": 10**400, "b": 2, "c": 1.0},
]


@pytest.mark.parametrize("row", CLOSER)
def test_what_is_no_mapping_of_numbers_needs_a_closer_look(row: dict[str, Any]) -> None:
    assert Encoder(INPUTS).row(row) is None


@pytest.mark.parametrize(
    "field", [Field("c", "BYTES"), Field("c", "BOOL"), Field("c", "BYTES", ("x", "y")), Field("c", "INT64", ("1", "2"))]
)
def test_text_truth_and_categories_need_a_closer_look(field: Field) -> None:
    assert Encoder([*INPUTS[:2], field]).row({"a": 1.0, "b": 2, "c": 1}) is None


ARRAYS: list[dict[str, Any]] = [
    {"a": np.array([1.5, np.nan]), "b": np.array([7, 2**53 + 1]), "c": np.array([0.1, -0.0], dtype=np.float32)},
    {"a": np.array([1.5]), "b": np.array([True]), "c": np.arange(8, dtype=np.float64)[3:4], "more": "is not looked at"},
    {"a": np.zeros(0), "b": np.zeros(0), "c": np.zeros(0)},
]


@pytest.mark.parametrize("columns", ARRAYS)
def test_arrays_of_numbers_are_the_matrix_that_their_lists_are(columns: dict[str, Any]) -> None:
    encoder = Encoder(INPUTS)
    found = encoder.stacked(columns)
    assert found is not None
    assert found.flags.c_contiguous
    lists = {name: columns[name].astype(float).tolist() for name in "abc"}
    assert encoder.stacked(lists) is None
    assert found.tobytes() == encoder.matrix(lists).tobytes()
    assert found.shape == (len(columns["a"]), 3)


@pytest.mark.parametrize(
    "odd", [np.array([1.0]), np.array([["x"]]), np.array(["1", "2"]), np.array([None, 1.0]), np.float64(3), [1.0, 2.0]]
)
def test_arrays_that_are_no_columns_of_numbers_need_a_closer_look(odd: Any) -> None:
    assert Encoder(INPUTS).stacked({"a": np.zeros(2), "b": odd, "c": np.zeros(2)}) is None
