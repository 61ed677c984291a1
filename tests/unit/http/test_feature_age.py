"""How old features are, and how a drawing of bars is made: in words and numbers that hold."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from bedplate.core.features import FeatureSpec
from bedplate.interfaces.http.console.stored.artifact_facts import plain, stand, to_ref
from bedplate.interfaces.http.console.stored.feature_facts import age
from bedplate.interfaces.http.console.stored.version_look import bars
from bedplate.stages.monitor.valued import Fresh

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "ttl_hours", "word"), [(1, 2, "fresh"), (3, 2, "stale"), (3, 0, "no end"), (-1, 2, "fresh"), (None, 2, "no times")]
)
def test_values_are_fresh_as_long_as_they_are_worth_something(hours: float | None, ttl_hours: float, word: str) -> None:
    """Against the time to live; without one they are worth something for ever; times ahead of now are not stale."""
    newest = None if hours is None else NOW - timedelta(hours=hours)
    state, said = age(Fresh(newest=newest, known=None, read=1, of=1), FeatureSpec(("who",), "at", ttl_s=ttl_hours * 3600), NOW)
    assert state.word == word
    assert said


def test_bars_fill_the_drawing_and_say_their_range() -> None:
    """The fullest bar is as high as the drawing, an empty one has no height, and all lie side by side."""
    drawn = bars((0.0, 1.0, 2.0, 3.0), (4, 0, 1))
    assert [bar.height for bar in drawn] == [48, 0, 12]
    assert [bar.x for bar in drawn] == [0, 80, 160]
    assert drawn[0].words == "0 to 1: 4"
    assert bars((), ()) == ()


def test_cells_and_links_of_odd_values() -> None:
    """Not-a-number is told in words, what is no reference stays a text, what never ran is told so."""
    assert plain(math.nan) == "not a number"
    assert plain(None) is None
    assert to_ref("late@production") == "late@production"
    assert stand(None).word == "not lately"
