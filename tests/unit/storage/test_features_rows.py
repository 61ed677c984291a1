"""One row as of a moment gives what the as-of join of a frame gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UserError
from bedplate.core.features import FeatureSpec
from bedplate.storage.backends.features_view import TableFeatures

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTES = st.integers(0, 9)
ROWS = st.lists(st.tuples(st.sampled_from(["a", "b"]), MINUTES, st.none() | MINUTES, st.integers(0, 99)), max_size=12)


def table(rows: list[tuple[str, int, int | None, int]], unit: Any = "us") -> pl.LazyFrame:
    moment = pl.Datetime(unit, "UTC")
    return pl.LazyFrame(
        {
            "who": pl.Series([who for who, *_ in rows], dtype=pl.String),
            "time": pl.Series([START + timedelta(minutes=time) for _, time, _, _ in rows], dtype=moment),
            "known": pl.Series([None if known is None else START + timedelta(minutes=known) for _, _, known, _ in rows], dtype=moment),
            "value": pl.Series([value for *_, value in rows], dtype=pl.Int64),
        }
    )


@given(rows=ROWS, who=st.sampled_from(["a", "b", "c", None]), minute=st.none() | MINUTES, ttl=st.sampled_from([0.0, 120.0]))
def test_a_row_gets_what_a_frame_gets(rows: list[Any], who: str | None, minute: int | None, ttl: float) -> None:
    view = TableFeatures(table(rows), FeatureSpec(("who",), "time", "known", ttl))
    label = {"who": who, "time": None if minute is None else START + timedelta(minutes=minute)}
    frame = pl.DataFrame({"who": [who], "time": [label["time"]]}, schema={"who": pl.String, "time": pl.Datetime("us", "UTC")})
    assert view.at(label) == {**label, "value": view.at(frame).get_column("value")[0]}


def test_nanoseconds_do_not_show_early() -> None:
    """A row known a nanosecond after the question is not known when it is asked."""
    late = pl.LazyFrame({"who": ["a"], "time": pl.Series([1], dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")), "value": [7]})
    view = TableFeatures(late, FeatureSpec(("who",), "time"))
    assert view.at({"who": "a", "time": datetime(1970, 1, 1, tzinfo=UTC)})["value"] is None
    assert view.at({"who": "a", "time": datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)})["value"] == 7


def test_several_entities_and_whole_number_times() -> None:
    frame = pl.LazyFrame({"a": ["x", "x"], "b": [1, 2], "time": [5, 6], "value": [1.5, 2.5]})
    view = TableFeatures(frame, FeatureSpec(("a", "b"), "time"))
    assert view.at({"a": "x", "b": 2, "time": 6})["value"] == 2.5
    assert view.at({"a": "x", "b": 2, "time": 5})["value"] is None


@pytest.mark.parametrize(
    ("label", "what"),
    [
        ({"who": "a"}, "the row has no 'time'"),
        ({"who": "a", "time": datetime(2026, 1, 1)}, "cannot be compared"),
        ({"who": "a", "time": START, "value": 1}, "both the row and features have 'value'"),
    ],
)
def test_an_unfit_row_is_refused(label: dict[str, Any], what: str) -> None:
    view = TableFeatures(table([("a", 0, 0, 1)]), FeatureSpec(("who",), "time", "known"))
    with pytest.raises(UserError, match=what):
        view.at(label)
