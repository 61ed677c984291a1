"""What a view of features is asked for: one entity, or many in whatever holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from bedplate.core.features import entities


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("UA", "UA"),
        (7, 7),
        (None, None),
        (("UA", "EWR"), ("UA", "EWR")),
        (np.str_("UA"), "UA"),
        (np.int64(7), 7),
        (["UA", "AA"], ["UA", "AA"]),
        (np.array(["UA", None], dtype=object), ["UA", None]),
        (pl.Series(["UA", "AA"]), ["UA", "AA"]),
        ((np.array([1, 2]), pl.Series(["EWR", "JFK"])), [(1, "EWR"), (2, "JFK")]),
    ],
)
def test_many_are_a_list_and_one_is_itself(asked: Any, expected: Any) -> None:
    made = entities(asked)
    assert made == expected
    assert isinstance(made, type(expected))
