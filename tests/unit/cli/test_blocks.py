"""Bars and lines of bars: their width is fixed, their length is the value's share, and nothing is drawn that is not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.interfaces.cli.blocks import bar, sparkline

sizes = st.floats(0, 1e9)


@given(sizes, sizes, st.integers(1, 40), st.one_of(st.none(), sizes))
def test_a_bar_has_its_width_whatever_it_shows(value: float, most: float, width: int, tick: float | None) -> None:
    assert len(bar(value, most, width, tick)) == width


@pytest.mark.parametrize(
    ("value", "drawn"), [(0, "    "), (1, "██  "), (1.0625, "██▎ ".replace("▎", "▏")), (2, "████"), (3, "███▶"), (-1, "    ")]
)
def test_a_bar_is_as_long_as_its_share_and_says_when_it_goes_on(value: float, drawn: str) -> None:
    assert bar(value, 2, 4) == drawn


def test_the_tick_is_seen_on_a_bar_and_beside_it() -> None:
    assert bar(0, 2, 4, 1) == "  │ "
    assert bar(2, 2, 4, 1) == "██┃█"
    assert bar(0, 2, 4, 5) == "    "


@given(st.lists(st.floats(0, 1e6), max_size=200))
def test_a_line_has_a_column_per_value_and_shows_each_that_is_not_zero(values: list[float]) -> None:
    drawn = sparkline(values)
    assert len(drawn) == len(values)
    assert [mark == "·" for mark in drawn] == [value == 0 for value in values]


def test_many_values_are_added_up_to_the_width() -> None:
    assert sparkline([1, 1, 2, 2], 2) == "▅█"
    assert len(sparkline(range(1, 1001), 60)) == 60
    assert sparkline([]) == ""
