"""Checks: what passes, what does not, and the words in which they say so."""

from __future__ import annotations

import math

import polars as pl
import pytest

from bedplate import Check

NOTHING = pl.Series([], dtype=pl.Float64).mean()


@pytest.mark.parametrize("nothing", [None, math.nan, NOTHING])
def test_a_figure_of_no_rows_never_passes_and_says_that_it_is_no_number(nothing: float | None) -> None:
    """The mean before the first label: at least, at most, compared, and as one slice of several."""
    slices: dict[str, float | None] = {"EWR": 0.9, "JFK": nothing}
    checks = [
        Check.at_least("x", nothing, 0),
        Check.at_most("x", nothing, 9),
        Check.compare("x", nothing, 0.5),
        Check.compare("x", nothing, None),
    ]
    assert [(check.passed, str(check.findings[0]).split(" (")[0]) for check in checks] == [(False, "FAIL x = not a number")] * 4
    assert [finding.passed for finding in Check.at_least("x", slices, 0.5).findings] == [True, False]
    assert Check.at_least("x", slices, 0.5).figures() == {"x[EWR]": 0.9}


def test_a_champion_without_a_figure_bars_nobody() -> None:
    """Neither an absent champion nor a slice of which it has none; the words are true of a first model and of the champion judged again."""
    for champion in (None, math.nan, {"JFK": None}):
        check = Check.compare("mae", {"JFK": 3.0}, champion)
        assert (check.passed, str(check.findings[0])) == (True, "pass mae[JFK] = 3 (no champion before it)")


def test_a_large_figure_is_told_in_full() -> None:
    """As people write it: 11,572 rows, not 1.157e+04."""
    assert str(Check.at_least("rows", 11572, 100_000).findings[0]) == "FAIL rows = 11,572 (>= 100,000)"
    assert str(Check.at_least("auc", 0.92314, 0.5).findings[0]) == "pass auc = 0.9231 (>= 0.5)"
