"""What a model takes is read off its example: names, types and categories in order; what no model takes is refused by name."""

from __future__ import annotations

import datetime

import polars as pl
import pytest

from bedplate.core.errors import UserError
from bedplate.core.model import Field, Model
from bedplate.storage import signatures

FRAME = pl.DataFrame({"n": [1, None], "x": [0.5, float("nan")], "t": ["a", None], "b": [True, None], "e": ["q", "p"]}).cast(
    {"n": pl.Int16, "e": pl.Enum(["p", "q"])}
)


def test_a_frame_gives_its_types_and_an_enum_its_categories():
    """Eager and lazy alike."""
    expected = (Field("n", "INT16"), Field("x", "FP64"), Field("t", "BYTES"), Field("b", "BOOL"), Field("e", "BYTES", ("p", "q")))
    assert signatures.fields(FRAME) == signatures.fields(FRAME.lazy()) == expected


def test_example_rows_are_json_and_at_most_five():
    """Not-a-number and missing values are null."""
    assert signatures.rows(FRAME.lazy())[1] == {"n": None, "x": None, "t": None, "b": None, "e": "p"}
    assert len(signatures.rows(pl.DataFrame({"n": range(100)}))) == 5


def test_rows_give_the_widest_type_that_they_hold():
    """Whole numbers beside decimals are decimals; a missing value says nothing."""
    rows = [{"n": 1, "x": 1, "t": None, "b": True}, {"n": 2, "x": 0.5, "t": "a", "b": False}]
    assert signatures.fields(rows) == (Field("n", "INT64"), Field("x", "FP64"), Field("t", "BYTES"), Field("b", "BOOL"))


@pytest.mark.parametrize(
    "example",
    [
        pl.DataFrame({"day": [datetime.date(2026, 1, 1)]}),
        [{"day": datetime.date(2026, 1, 1)}],
        [{"day": None}],
        pl.DataFrame({"day": [[1, 2]]}),
    ],
    ids=["date", "date in rows", "only missing", "list"],
)
def test_other_types_are_refused_by_column(example):
    """The message names the column."""
    with pytest.raises(UserError, match="column 'day'"):
        signatures.fields(example)


@pytest.mark.parametrize("example", [None, [], {"a": 1}, "text"])
def test_what_is_no_example_is_refused(example):
    """And says what one is."""
    with pytest.raises(UserError) as caught:
        signatures.library(example)
    assert "Model(native, example=" in caught.value.next


def test_codes_are_the_places_in_the_categories_and_missing_stays_missing():
    """In the order of the type, not of the data."""
    coded = Model.codes(FRAME.select("n", "x", "b", "e").lazy())
    assert coded["e"].to_list() == [1, 0]
    assert coded["b"].to_list() == [1, None]
    assert coded["n"].to_list() == [1, None]


@pytest.mark.parametrize(("dtype", "advice"), [(pl.String, "pl.Enum"), (pl.Categorical, "pl.Enum"), (pl.Date, "leave it out")])
def test_codes_refuse_what_would_differ_from_frame_to_frame(dtype, advice):
    """Text, Categorical, and what is no number."""
    frame = pl.DataFrame({"c": ["2026-01-01"]}).with_columns(pl.col("c").str.to_date() if dtype == pl.Date else pl.col("c").cast(dtype))
    with pytest.raises(UserError, match="column 'c'") as caught:
        Model.codes(frame)
    assert advice in caught.value.next


@pytest.mark.parametrize("column", [pl.Series("late", [1, None, 0]), pl.Series("late", [1.0, float("nan")]), [True, None]])
def test_missing_labels_are_refused_with_their_number(column):
    """LightGBM would take them for zeros."""
    with pytest.raises(UserError, match=r"1 of \d labels are missing"):
        Model.labels(column)
    assert Model.labels(pl.Series([True, False])).tolist() == [True, False]
