"""Drift: the measures agree with their definitions, and chance alone raises no alarm."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.stages.monitor.drift import ENOUGH, Drift, coarse, column_drift, compare, js, ks, psi, psi_chance, psi_expected
from bedplate.storage.backends.profile import numeric, profile
from bedplate.storage.sketch import NumericSketch, category

counts = st.integers(2, 12).flatmap(lambda k: st.tuples(*[st.lists(st.integers(0, 500), min_size=k, max_size=k)] * 2))
samples = st.lists(st.one_of(st.floats(-100, 100), st.sampled_from([0.0, 1.0])), min_size=1, max_size=80)


def drift_of(before: pl.Series, now: pl.Series, **options: float) -> Drift:
    reference = profile(pl.DataFrame({"x": before}))
    return compare(reference, profile(pl.DataFrame({"x": now}), reference), **options)[0]


@given(counts)
def test_psi_and_js_keep_their_bounds_and_are_zero_for_equal_counts(pair: tuple[list[int], list[int]]) -> None:
    p, q = pair
    assert psi(p, q) >= 0
    assert psi(p, q) == pytest.approx(psi(q, p))
    assert psi(p, p) == 0
    assert 0 <= js(p, q) <= 1
    assert js(p, q) == pytest.approx(js(q, p), abs=1e-9)
    assert js(p, p) == pytest.approx(0, abs=1e-7)


def test_psi_and_js_worked_by_hand() -> None:
    p, q = [0.75, 0.25], [0.25, 0.75]
    assert psi([75_000_000, 25_000_000], [25_000_000, 75_000_000]) == pytest.approx(2 * 0.5 * math.log(3), rel=1e-6)
    divergence = sum(a * math.log2(2 * a / (a + b)) for a, b in zip(p, q, strict=True))
    assert js(p, q) == pytest.approx(math.sqrt(divergence))
    assert js([1, 0], [0, 1]) == 1.0


def exact_ks(a: list[float], b: list[float]) -> float:
    points = np.array(sorted({*a, *b}))
    f, g = (np.searchsorted(np.sort(v), points, side="right") / len(v) for v in (a, b))
    return float(np.abs(f - g).max())


@given(samples, samples)
def test_ks_lies_within_its_stated_error_of_the_exact_statistic(a: list[float], b: list[float]) -> None:
    before = numeric(np.asarray(a))
    low, error = ks(before, numeric(np.asarray(b), edges=np.asarray(before.edges)))
    assert 0 <= low <= 1
    assert low - 1e-9 <= exact_ks(a, b) <= low + error + 1e-9
    assert ks(before, before)[0] == 0


def test_ks_of_large_samples_is_within_a_quarter_percent_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    dice = np.random.default_rng(7)
    for a, b in [(dice.normal(size=20_000), dice.normal(0.3, 1.2, 9_000)), (dice.poisson(3, 20_000), dice.poisson(4, 5_000))]:
        before = numeric(a.astype(float))
        low, error = ks(before, numeric(b.astype(float), edges=np.asarray(before.edges)))
        assert error <= 0.004
        assert low <= stats.ks_2samp(a, b).statistic + 1e-12 <= low + 0.0025


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200))
def test_coarse_bins_keep_the_order_and_are_few(fine: list[int]) -> None:
    groups = coarse(fine)
    assert len(groups) == len(fine)
    assert list(groups) == sorted(groups)
    assert set(groups) == set(range(int(groups.max()) + 1))
    assert groups.max() <= 20


def test_a_continuous_column_has_twenty_coarse_bins_of_equal_share() -> None:
    one = numeric(np.random.default_rng(0).normal(size=50_000))
    shares = np.bincount(coarse(one.counts), weights=one.counts) / one.count
    assert len(shares) == 20
    assert shares.min() > 0.045
    assert shares.max() < 0.055


def test_psi_without_drift_is_about_what_is_expected_and_alarms_once_in_a_thousand() -> None:
    dice = np.random.default_rng(3)
    p = np.full(20, 0.05)
    values = np.array([psi(dice.multinomial(5_000, p), dice.multinomial(800, p)) for _ in range(4000)])
    assert values.mean() == pytest.approx(psi_expected(20, 5_000, 800), rel=0.05)
    assert np.mean(values > psi_chance(20, 5_000, 800)) <= 0.004


def test_a_small_window_raises_no_alarm_by_chance() -> None:
    dice = np.random.default_rng(4)
    reference = pl.Series(dice.normal(size=20_000))
    windows = [drift_of(reference, pl.Series(dice.normal(size=40))) for _ in range(40)]
    assert max(d.psi or 0 for d in windows) > 0.2, "the plain threshold would have cried wolf"
    assert not any(d.drifted for d in windows)
    assert all(d.psi_expected > 0.2 for d in windows)


def test_below_two_hundred_values_shares_are_not_judged_and_from_there_on_they_are() -> None:
    """Numbers and categories alike, however far they lie; missing values are, by their own law."""
    numbers, words = pl.Series([float(i) for i in range(2000)]), pl.Series(["a", "b"] * 1000)
    for reference, far in ((numbers, 5000.0), (words, "new")):
        few, enough = (drift_of(reference, pl.Series([far] * rows)) for rows in (ENOUGH - 1, ENOUGH))
        assert (few.drifted, few.few, few.too_few) == (False, 199, "too few rows to judge (199)")
        assert (enough.drifted, enough.few, enough.too_few) == (True, 0, "")
    gone = drift_of(numbers, pl.Series([1.0] * 30 + [None] * 30))
    assert gone.reasons == ("missing values went from 0.0% to 50.0%",)
    assert gone.few == 30


def test_a_shift_is_drift_and_the_worst_column_comes_first() -> None:
    dice = np.random.default_rng(5)
    before = pl.DataFrame({"a": dice.normal(size=9000), "b": dice.normal(size=9000), "c": ["x", "y", "z"] * 3000})
    now = pl.DataFrame({"a": dice.normal(size=3000), "b": dice.normal(1.0, 1, 3000), "c": ["x", "x", "new"] * 1000})
    reference = profile(before)
    drifts = compare(reference, profile(now, reference))
    assert [d.column for d in drifts] == ["c", "b", "a"]
    assert [d.drifted for d in drifts] == [True, True, False]
    c, b, _ = drifts
    assert (c.new, c.vanished, c.outside) == (("new",), ("y", "z"), pytest.approx(1 / 3))
    assert "33.3% of values are of new categories" in c.reasons
    assert b.ks == pytest.approx(0.383, abs=0.03)
    assert b.outside < 0.02
    for one in drifts:
        assert sum(bar.before for bar in one.shape) == pytest.approx(1.0, abs=0.02)
        assert sum(bar.now for bar in one.shape) == pytest.approx(1.0, abs=0.02)


def test_more_missing_values_are_drift_even_where_the_values_are_as_before() -> None:
    before = pl.Series([1.0, 2.0, 3.0, 4.0] * 500)
    now = pl.Series([1.0, 2.0, 3.0, 4.0, None] * 200)
    assert drift_of(before, now).reasons == ("missing values went from 0.0% to 20.0%",)


def test_values_beyond_the_range_are_counted() -> None:
    one = drift_of(pl.Series([float(i) for i in range(100)]), pl.Series([-5.0, 50.0, 120.0, 99.0]))
    assert one.outside == 0.5


def test_the_drawn_shape_reaches_to_what_lies_beyond_the_range_and_whole_numbers_get_a_bin_each() -> None:
    one = drift_of(pl.Series([1, 2, 3, 4, 5] * 200), pl.Series([11, 12] * 300))
    bars = {bar.label: (bar.before, bar.now) for bar in one.shape}
    assert [bars[str(i)][0] for i in range(1, 6)] == pytest.approx([0.2] * 5)
    assert sum(bar.now for bar in one.shape) == pytest.approx(1.0)
    assert sum(now for label, (_, now) in bars.items() if float(label) <= 5) == 0


def test_time_always_moves_and_is_no_alarm() -> None:
    before = pl.Series(range(5000)).cast(pl.Datetime("us", "UTC"))
    one = drift_of(before, pl.Series(range(9000, 14000)).cast(pl.Datetime("us", "UTC")))
    assert one.ks == 1.0
    assert not one.drifted


def test_constant_empty_and_all_missing_columns_are_compared_without_fault() -> None:
    same = drift_of(pl.Series([2.0] * 50), pl.Series([2.0] * 50))
    assert (same.psi, same.ks, same.js, same.drifted) == (0.0, 0.0, 0.0, False)
    moved = drift_of(pl.Series([2.0] * 5000), pl.Series([3.0] * 5000))
    assert moved.ks == 1.0
    assert moved.outside == 1.0
    gone = drift_of(pl.Series([2.0] * 50), pl.Series([None] * 50, dtype=pl.Float64))
    assert gone.psi is None
    assert gone.reasons == ("missing values went from 0.0% to 100.0%",)
    empty = drift_of(pl.Series([2.0] * 50), pl.Series([], dtype=pl.Float64))
    assert not empty.drifted


def test_a_window_with_other_edges_is_refused() -> None:
    one = numeric(np.array([1.0, 2.0]))
    for other in (numeric(np.array([5.0])), category({"a": 1})):
        with pytest.raises(ValueError, match="edges"):
            column_drift("x", one, other)


def test_the_threshold_is_the_callers() -> None:
    dice = np.random.default_rng(8)
    before, now = pl.Series(dice.normal(size=20_000)), pl.Series(dice.normal(0.3, 1, 20_000))
    assert not drift_of(before, now).drifted
    assert drift_of(before, now, threshold=0.05).drifted


def test_no_columns_is_no_drift() -> None:
    empty = NumericSketch(count=0)
    assert column_drift("x", empty, empty).psi is None
