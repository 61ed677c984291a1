"""A model that is asked for columns takes a scalar beside them for the same in each row, where it is served and at the edge alike."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from bedplate.core.errors import UserError
from bedplate.core.model import Field, Model, Signature
from bedplate.stages.deploy.export.caller import Asked
from bedplate.storage.backends.columns import matrix

INPUTS = (Field("area", "FP64"), Field("rooms", "INT64"), Field("kind", "BYTES", ("flat", "house")))
CODES: tuple[dict[str, float], ...] = ({}, {}, {"flat": 0.0, "house": 1.0})


class Sum:
    """A predictor that says area, rooms and ten times the code of the kind together."""

    signature = Signature(INPUTS, (Field("prediction", "FP64"),))

    def predict(self, columns: dict[str, Any]) -> Any:
        return matrix(INPUTS, CODES, columns) @ np.array([1.0, 1.0, 10.0])


def at_the_edge(rows: Any) -> Any:
    def values(given: list[Mapping[str, Any]]) -> list[float]:
        return [row["area"] + row["rooms"] + 10 * CODES[2][row["kind"]] for row in given]

    about = {"ref": "price@1", "inputs": [{"name": field.name} for field in INPUTS]}
    return Asked(SimpleNamespace(about=about, values=values)).predict(rows)


AREA = np.array([80.0, 90.0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"area": AREA, "rooms": 3, "kind": "house"}, [93.0, 103.0]),
        ({"area": 80.0, "rooms": pl.Series([3, 4]), "kind": ["flat", "house"]}, [83.0, 94.0]),
        ({"area": AREA, "rooms": np.int64(3), "kind": np.array("flat")}, [83.0, 93.0]),
        ({"area": AREA[:0], "rooms": 3, "kind": "house"}, []),
        ({"area": AREA[:1], "rooms": 3, "kind": "house"}, [93.0]),
        ({"area": np.float64(80.0), "rooms": np.int64(3), "kind": "flat"}, 83.0),
        ({"area": 80.0, "rooms": 3, "kind": "flat"}, 83.0),
    ],
)
def test_a_scalar_beside_columns_is_the_same_in_each_row(rows: dict[str, Any], expected: Any) -> None:
    """One row of scalars still gives its single value."""
    assert np.asarray(Model(predictor=Sum()).predict(rows)).tolist() == expected
    assert np.asarray(at_the_edge(rows)).tolist() == expected


def test_what_is_missing_is_still_said() -> None:
    with pytest.raises(UserError, match="the model needs kind"):
        Model(predictor=Sum()).predict({"area": AREA, "rooms": 3})
