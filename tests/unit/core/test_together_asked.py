"""A function of arrays or of a frame: what a row of it is asked and answered, and how many rows become one call."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from bedplate.core.errors import AnswerError
from bedplate.core.together import Together, Unfit, alone, answer_of, answers, apart, fields_of, form_of

UNSET = msgspec.UNSET


class Flight(TypedDict):
    """A row by a TypedDict."""

    distance: float
    carrier: str | None


@dataclasses.dataclass
class Home:
    """A row by a dataclass, with a default."""

    area: float
    kind: Literal["flat", "house"] = "flat"


class Parcel(msgspec.Struct):
    """A row by a Struct, with a default."""

    grams: Annotated[int, msgspec.Meta(ge=0)]
    sent: datetime | None = None


class Loose(TypedDict):
    """A row that may lack a column."""

    distance: NotRequired[float]


def test_arrays_have_the_type_that_their_annotation_says() -> None:
    """Missing numbers are not-a-number; text and lists stay objects, so that no text takes the width of the longest."""
    asked = [
        ("a", np.ndarray, UNSET), ("b", npt.NDArray[np.int64], UNSET), ("c", npt.NDArray[np.bool_], UNSET),
        ("d", npt.NDArray[np.str_], UNSET), ("e", Annotated[np.ndarray, float | None], None),
        ("f", Annotated[np.ndarray, list[int]], UNSET), ("g", Annotated[np.ndarray, int | None], UNSET),
    ]  # fmt: skip
    assert [kind for _, kind, _ in fields_of(asked)] == [float, int, bool, str, float | None, list[int], int | None]
    given = Together(asked).given([(1.0, 2**62, True, "x", None, [1], None), (2.0, 3, False, "yy", 4.0, [2], 5)])
    assert {name: str(values.dtype) for name, values in given.items()} == {
        "a": "float64", "b": "int64", "c": "bool", "d": "object", "e": "float64", "f": "object", "g": "object",
    }  # fmt: skip
    assert given["b"].tolist() == [2**62, 3]
    assert given["f"].tolist() == [[1], [2]]
    assert np.isnan(given["e"][0])
    assert all(values.shape == (2,) and values.flags.writeable and values.flags.c_contiguous for values in given.values())


def test_arrays_of_floats_alone_are_made_at_once_and_are_equal() -> None:
    rows = [(1.0, -0.0), (5e-324, 1e308), (0.1, 2.0)]
    given = Together([("a", np.ndarray, UNSET), ("b", npt.NDArray[np.float64], UNSET)]).given(rows)
    assert [values.tolist() for values in given.values()] == [[1.0, 5e-324, 0.1], [-0.0, 1e308, 2.0]]


def test_a_frame_has_the_columns_of_its_row_whatever_is_in_them() -> None:
    """The types are those declared, in every call: also where all values are missing, and times are in UTC."""
    together = Together([("rows", Annotated[pl.DataFrame, Flight], UNSET)])
    frame = together.given([(1.0, None), (2.0, None)])["rows"]
    assert frame.schema == {"distance": pl.Float64, "carrier": pl.String}
    assert (together.parameters, together.names) == (("rows",), ("distance", "carrier"))
    assert fields_of([("rows", Annotated[pl.DataFrame, Home], UNSET)]) == [
        ("area", float, UNSET), ("kind", Literal["flat", "house"], "flat"),
    ]  # fmt: skip
    sent = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    parcels = Together([("rows", Annotated[pl.DataFrame, Parcel], UNSET)]).given([(1, None), (2, sent), (3, datetime(2026, 1, 1))])["rows"]
    assert parcels.schema == {"grams": pl.Int64, "sent": pl.Datetime("us", "UTC")}
    assert parcels["sent"].to_list() == [None, sent, datetime(2026, 1, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([("x", np.ndarray, UNSET), ("y", float, UNSET)], "'x' is asked for many rows at once, and 'y' for one"),
        ([("rows", Annotated[pl.DataFrame, Flight], UNSET), ("x", np.ndarray, UNSET)], "there is more than it"),
        ([("rows", pl.DataFrame, UNSET)], "nothing says what a row holds"),
        ([("rows", Annotated[pl.DataFrame, float], UNSET)], "is no row"),
        ([("rows", Annotated[pl.DataFrame, Loose], UNSET)], "a row may lack 'distance'"),
        ([("rows", Annotated[pl.DataFrame, Flight], {})], "has no default"),
        ([("x", npt.NDArray[np.float32], UNSET)], "is an array of what no request has"),
        ([("x", np.ndarray | None, None)], "may be None"),
    ],
)
def test_what_nobody_could_be_asked_is_said(asked: list[tuple[str, Any, Any]], said: str) -> None:
    with pytest.raises(Unfit, match=said) as error:
        fields_of(asked)
    assert error.value.next


def test_only_arrays_and_frames_of_polars_take_many_rows() -> None:
    many = (np.ndarray, npt.NDArray[np.int64], Annotated[np.ndarray, str], pl.DataFrame, Annotated[pl.DataFrame, Flight])
    assert all(map(form_of, many))
    assert not any(map(form_of, (float, list[float], pl.LazyFrame, pl.Series, Flight, Any, Annotated[float, "x"])))


def test_a_return_annotation_says_what_a_row_is_answered() -> None:
    said: dict[Any, Any] = {
        np.ndarray: float, npt.NDArray[np.int64]: int, Annotated[np.ndarray, float | None]: float | None, list[str]: str, list: Any,
        dict[str, np.ndarray]: dict[str, float], pl.DataFrame: dict[str, Any], Annotated[pl.DataFrame, Flight]: Flight, Any: Any,
    }  # fmt: skip
    assert {kind: answer_of(kind) for kind in said} == said
    with pytest.raises(Unfit, match="answers them all"):
        answer_of(float)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (np.array([1.0, 2.0]), [1.0, 2.0]),
        (pl.Series([1, None]), [1, None]),
        ((True, "x"), [True, "x"]),
        (np.ones((2, 2)), [[1.0, 1.0], [1.0, 1.0]]),
        ({"a": np.array([1, 2]), "b": ["x", "y"]}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        (pl.DataFrame({"a": [1, 2]}), [{"a": 1}, {"a": 2}]),
    ],
)
def test_what_many_rows_were_answered_is_told_apart(made: Any, expected: list[Any]) -> None:
    assert answers(made, 2, ValueError) == expected


@pytest.mark.parametrize("made", [3.0, np.float64(3), np.ones(3), [1], {"a": [1], "b": [1, 2]}, {}, {"a": 1}, "ab", None, pl.DataFrame()])
def test_as_many_answers_as_rows_or_none(made: Any) -> None:
    with pytest.raises(AnswerError, match="2 rows") as raised:
        answers(made, 2, AnswerError)
    assert "each of them" in raised.value.why
    assert "as long as" in raised.value.next


def test_one_row_that_raises_takes_no_other_with_it() -> None:
    """A call that raises is made again for each of its rows; at most so many are in one call."""
    asked: list[Sequence[int]] = []

    def call(rows: Sequence[int]) -> list[int]:
        asked.append(rows)
        if 3 in rows:
            raise SystemExit(3)
        return [-row for row in rows]

    found = apart(call, [1, 2, 3, 4, 5], most=4)
    assert [str(one) for one in found] == ["-1", "-2", "3", "-4", "-5"]
    assert isinstance(found[2], SystemExit)
    assert asked == [[1, 2, 3, 4], [1], [2], [3], [4], [5]]


def test_asked_for_one_row_it_gives_that_rows_answer() -> None:
    def double(model: float, area: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return area * model

    assert alone(double, Together([("area", np.ndarray, UNSET)]), ValueError)(model=2.0, area=3.0) == 6.0
