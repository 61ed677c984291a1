"""Sketches: merging is exact, edges are bounded, and the JSON form comes back equal."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.storage.backends.profile import numeric, open_structs, profile
from bedplate.storage.sketch import FINE, CategorySketch, NumericSketch, Profile, category, join, merge

numbers = st.lists(st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 2.0])), max_size=60)
words = st.lists(st.sampled_from([*"abcdefgh", None]), max_size=60)


def counted(values: list[str | None]) -> dict[str, int]:
    return {w: values.count(w) for w in set(values) if w is not None}


@given(numbers, numbers, numbers)
def test_numeric_sketches_of_two_windows_merge_to_that_of_both(reference: list[float], a: list[float], b: list[float]) -> None:
    edges = np.asarray(numeric(np.asarray(reference, dtype=float)).edges)
    one, two = (numeric(np.asarray(v, dtype=float), nulls=1, edges=edges) for v in (a, b))
    both = numeric(np.asarray(a + b, dtype=float), nulls=2, edges=edges)
    merged = merge(one, two)
    assert isinstance(merged, NumericSketch)
    assert msgspec.structs.replace(merged, mean=0.0, m2=0.0) == msgspec.structs.replace(both, mean=0.0, m2=0.0)
    assert merged.mean == pytest.approx(both.mean, rel=1e-9, abs=1e-6)
    assert merged.m2 == pytest.approx(both.m2, rel=1e-9, abs=1e-3)
    assert merge(two, one).counts == merged.counts


@given(words, words, words)
def test_category_sketches_of_two_windows_merge_to_that_of_both(
    reference: list[str | None], a: list[str | None], b: list[str | None]
) -> None:
    known = category(counted(reference))
    one, two = (category(counted(v), nulls=v.count(None), known=known) for v in (a, b))
    assert merge(one, two) == category(counted(a + b), nulls=(a + b).count(None), known=known)


@given(numbers.filter(bool))
def test_every_value_has_one_bin_and_none_of_the_reference_lies_outside(values: list[float]) -> None:
    one = numeric(np.asarray(values))
    assert sum(one.counts) == one.count == len(values)
    assert one.counts[0] == one.counts[-1] == 0
    assert len(one.edges) <= 2 * FINE + 2
    assert (one.low, one.high) == (min(values), max(values))
    assert one.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
    assert one.deviation == pytest.approx(np.std(values, ddof=1) if len(values) > 1 else 0.0, rel=1e-9, abs=1e-6)


def test_no_fine_bin_holds_more_than_its_bound_unless_it_is_a_single_value() -> None:
    dice = np.random.default_rng(1)
    values = np.concatenate([dice.normal(size=30_000), np.zeros(20_000), dice.integers(0, 900, 30_000)])
    one = numeric(values)
    edges = np.asarray(one.edges)
    single = np.concatenate([[False], np.nextafter(edges[1:], -np.inf) <= edges[:-1], [False]])
    counts = np.asarray(one.counts)
    assert counts[~single].max() <= 2 * len(values) / FINE
    assert counts[single].max() >= 20_000


def test_sketches_with_other_edges_do_not_merge() -> None:
    a, b = numeric(np.array([1.0, 2.0])), numeric(np.array([1.0, 3.0]))
    with pytest.raises(ValueError, match="same edges"):
        merge(a, b)
    with pytest.raises(ValueError, match="same edges"):
        merge(a, category({"x": 1}))


def test_only_the_most_frequent_categories_keep_their_names() -> None:
    one = category({f"c{i:04}": 2000 - i for i in range(1500)})
    assert len(one.counts) == 100
    assert one.other == sum(2000 - i for i in range(100, 1500))
    assert one.distinct == 1500
    window = category({f"n{i:04}": 1 for i in range(1200)}, known=one)
    assert (len(window.extra), window.other, window.count) == (1000, 200, 1200)


@pytest.fixture
def mixed() -> pl.DataFrame:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "f": [1.5, None, float("nan"), float("inf")],
            "i": [1, 2, 3, None],
            "s": ["a", "b", None, "a"],
            "b": [True, False, None, True],
            "t": [start + timedelta(hours=i) for i in range(4)],
            "d": [date(2026, 1, 1)] * 4,
            "n": pl.Series([None] * 4, dtype=pl.Null),
            "l": [[1], [2], [], None],
            "x": [{"y": {"z": i}, "w": "q"} for i in range(4)],
        }
    )


def test_a_profile_reads_every_type_and_says_what_it_skips(mixed: pl.DataFrame) -> None:
    one = profile(mixed)
    assert set(one.skipped) == {"l"}
    assert set(one.columns) == {"f", "i", "s", "b", "t", "d", "n", "x.y.z", "x.w"}
    f, s, t = one.columns["f"], one.columns["s"], one.columns["t"]
    assert isinstance(f, NumericSketch)
    assert (f.count, f.nulls, f.odd) == (1, 1, 2)
    assert isinstance(s, CategorySketch)
    assert (s.counts, s.nulls, s.distinct) == ({"a": 2, "b": 1}, 1, 2)
    assert isinstance(t, NumericSketch)
    assert (t.kind, t.low) == ("time", mixed["t"][0].timestamp())
    assert all(column.rows == 4 for column in one.columns.values())


def test_a_profile_comes_back_from_json(mixed: pl.DataFrame) -> None:
    one = profile(mixed)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Profile) == one


def test_profiles_of_two_windows_join_to_that_of_both_and_lazy_equals_eager(mixed: pl.DataFrame) -> None:
    reference = profile(mixed)
    twice = pl.concat([mixed, mixed])
    joined, both = join(profile(mixed, reference), profile(mixed, reference)), profile(twice, reference)
    assert joined == both == profile(twice.lazy(), reference)
    assert profile(mixed.lazy()) == reference
    assert profile(mixed.head(0).lazy(), reference).rows == 0


def test_a_column_that_changed_type_is_read_as_the_reference_was() -> None:
    reference = profile(pl.DataFrame({"a": [1.0, 2.0], "b": ["1", "2"]}))
    now = profile(pl.DataFrame({"a": ["1", "x"], "b": [1, 2]}), reference)
    a, b = now.columns["a"], now.columns["b"]
    assert isinstance(a, NumericSketch)
    assert (a.count, a.odd, a.nulls) == (1, 1, 0)
    assert isinstance(b, CategorySketch)
    assert b.counts == {"1": 1, "2": 1}


def test_structs_open_to_any_depth(mixed: pl.DataFrame) -> None:
    assert open_structs(mixed.select("x")).columns == ["x.y.z", "x.w"]
