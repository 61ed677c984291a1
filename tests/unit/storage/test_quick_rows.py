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
