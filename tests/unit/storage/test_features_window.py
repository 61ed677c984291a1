"""Windowed views: events are added up when it is asked, and history and one row agree with a slow, plain reckoning."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.core.errors import ProjectError, UserError
from bedplate.core.features import Aggregate, FeatureSpec
from bedplate.core.project import Project
from bedplate.storage.backends.features_build import index_of
from bedplate.storage.backends.features_keys import check_spec
from bedplate.storage.backends.features_view import TableFeatures

START = datetime(2026, 1, 1, tzinfo=UTC)
GIVES = tuple(
    Aggregate.read(name, text)
    for name, text in {
        "n": "count()", "total": "sum(value)", "mean": "mean(value)", "least": "min(value)", "most": "max(value)", "newest": "last(value)",
        "kinds": "distinct(kind)", "kind": "last(kind)", "points": "sum(point)",
    }.items()
)  # fmt: skip
SCHEMA = {
    "who": pl.String,
    "time": pl.Int64,
    "known": pl.Int64,
    "event": pl.Int64,
    "value": pl.Float64,
    "kind": pl.String,
    "point": pl.Int32,
}
SMALL = st.integers(0, 12)
VALUE = st.none() | st.floats(-1e6, 1e6)
EVENT = st.tuples(
    st.sampled_from(["a", "b"]), SMALL, st.none() | SMALL, st.none() | st.integers(0, 2), VALUE, st.sampled_from(["x", "y"]), SMALL
)  # fmt: skip


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def table(rows: list[Any]) -> pl.DataFrame:
    minutes = [(pl.lit(START) + pl.duration(minutes=name)).alias(name) for name in ("time", "known")]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(minutes)


def reckoned(rows: list[Any], who: str, now: int, window: int, *, event: bool, created: bool) -> dict[str, Any]:
    """The figures, event by event."""
    mine_only = [(place, row) for place, row in enumerate(rows) if row[0] == who and not (created and row[2] is None)]
    seen = [(max(row[1], row[2]) if created else row[1], place, row) for place, row in mine_only]
    seen = [(known, place, row) for known, place, row in seen if known <= now and now - window < row[1] <= now]
    if event:
        newest: dict[Any, Any] = {}
        for known, place, row in sorted(seen, key=lambda one: (one[0], one[2][2] if created else 0, one[1])):
            newest[("alone", place) if row[3] is None else row[3]] = (known, place, row)
        seen = list(newest.values())
    order = sorted(seen, key=lambda one: (one[2][1], one[2][2] if created else 0, one[1]))
    mine = [row for _, _, row in order]
    values = [row[4] for row in mine if row[4] is not None]
    return {
        "n": len(mine),
        "total": sum(values),
        "mean": sum(values) / len(values) if values else None,
        "least": min(values, default=None),
        "most": max(values, default=None),
        "newest": values[-1] if values else None,
        "kinds": len({row[5] for row in mine}),
        "kind": mine[-1][5] if mine else None,
        "points": sum(row[6] for row in mine),
    }


def alike(one: Any, other: Any) -> bool:
    both = isinstance(one, int | float) and isinstance(other, int | float)
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6) if both else one == other


@given(rows=st.lists(EVENT, max_size=20), window=st.integers(1, 8), event=st.booleans(), created=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_window_adds_up_what_was_known(rows: list[Any], window: int, event: bool, created: bool) -> None:
    """For every entity and minute: late, repeated and corrected events, nulls, an entity that nobody knows; in a frame and row by row.

    What corrects an event keeps its time, as the rule says; what is said to be known before it happened is known when it happened.
    """
    if event:
        when: dict[tuple[Any, Any], int] = {}
        rows = [(row[0], when.setdefault((row[0], row[3]), row[1]), *row[2:]) for row in rows]
    spec = FeatureSpec(("who",), "time", "known" if created else "", window_s=window * 60, gives=GIVES, event=("event",) if event else ())
    view = TableFeatures(table(rows).lazy(), spec)
    asked = [(who, now) for who in ("a", "b", "c") for now in range(15)]
    labels = pl.DataFrame({"who": [who for who, _ in asked], "time": [at(now) for _, now in asked]})
    joined = view.at(labels)
    assert joined.select("who", "time").equals(labels)
    for (who, now), row in zip(asked, joined.drop("who", "time").rows(named=True), strict=True):
        wanted = reckoned(rows, who, now, window, event=event, created=created)
        assert all(alike(row[name], wanted[name]) for name in wanted), (who, now, row, wanted)
        assert view.at({"who": who, "time": at(now)}) == {"who": who, "time": at(now), **row}


def test_appending_an_event_gives_what_a_whole_new_table_gives() -> None:
    """To the last bit, though floats are added up: nothing was kept of an earlier sum."""
    rows = [("a", minute, minute, minute, 0.1 * minute, "x", 1) for minute in range(12)]
    spec = FeatureSpec(("who",), "time", "known", window_s=240, gives=GIVES)
    whole = TableFeatures(table(rows).lazy(), spec)
    for count in range(1, 13):
        until = TableFeatures(table(rows[:count]).lazy(), spec)
        label = {"who": "a", "time": at(count - 1)}
        assert until.at(label) == whole.at(label)


def test_a_window_over_a_kept_index_in_parts(tmp_path: Path) -> None:
    """Memory-mapped and split by entity, the figures are those of memory."""
    rows = [("abcdefgh"[i % 8], i % 50, i % 60, i % 5, float(i), "xy"[i % 2], i) for i in range(4000)]
    spec = FeatureSpec(("who",), "time", "known", window_s=600, gives=GIVES, event=("event",))
    plain, mapped = TableFeatures(table(rows).lazy(), spec), TableFeatures(table(rows).lazy(), spec)
    mapped._made = index_of(mapped._source, tmp_path / "features", whole_bytes=50_000)
    labels = table(rows).select("who", "time").unique(maintain_order=True)
    assert mapped.at(labels).equals(plain.at(labels))


@pytest.mark.bad_input("a window that cannot be added up")
@pytest.mark.parametrize("text", ["median(value)", "mean()", "count(value)", "mean", ""])
def test_what_no_window_gives_is_refused_when_it_is_declared(text: str) -> None:
    with pytest.raises(ProjectError, match="nothing that a window can give"):
        Project("p").features(entity="who", time="time", window="1 hour", gives={"x": text})


def test_columns_that_do_not_fit_are_refused_when_the_table_is_kept() -> None:
    """A column that is not there by `check_spec`; text that should be added up by the view."""
    schema = table([]).schema
    for word, spec in (
        ("gives", FeatureSpec(("who",), "time", window_s=60, gives=(Aggregate("x", "sum", "none"),))),
        ("event", FeatureSpec(("who",), "time", window_s=60, gives=GIVES, event=("none",))),
    ):
        with pytest.raises(UserError, match=f"the {word} column 'none' is not in the frame"):
            check_spec("f", schema, spec)
    with pytest.raises(UserError, match="'x' is the sum of 'kind', which is String"):
        check_spec("f", schema, FeatureSpec(("who",), "time", window_s=60, gives=(Aggregate("x", "sum", "kind"),)))
