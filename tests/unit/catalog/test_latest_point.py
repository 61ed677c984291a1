"""Which of a batch's points is the latest of its curve."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bedplate.catalog.tracking.curves import _latest
from bedplate.catalog.tracking.tracked import all_bits_of, bits_of, rank_of

PLACES = st.tuples(st.integers(-1, 1), st.integers(0, 1))


@given(st.lists(st.tuples(PLACES, st.floats()), min_size=1))
def test_the_latest_is_of_the_highest_step_then_time_then_value(points: list[tuple[tuple[int, int], float]]) -> None:
    """Negative values, zeros of both signs and not-a-number among them: found by comparing bits, it is what comparing values finds."""
    some = [(*place, bits_of(value)) for place, value in points]
    assert _latest(some) == max(some, key=lambda at: (at[0], at[1], rank_of(at[2])))


@given(st.lists(st.floats()))
def test_values_packed_at_once_have_the_bits_that_each_has_alone(values: list[float]) -> None:
    """Every not-a-number is the same one either way."""
    assert list(all_bits_of(values)) == [bits_of(value) for value in values]
