"""What a server reads online is what the table says as of now: the same view, the same rule, another place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.core.features import Aggregate, FeatureSpec
from bedplate.core.records import Version
from bedplate.storage.backends.features_online import OnlineFeatures
from bedplate.storage.backends.features_view import TableFeatures
from bedplate.storage.online import Missing, OnlineError, Row

START = datetime(2026, 1, 1, tzinfo=UTC)
VERSION = Version(artifact="f", kind="table", digest=f"sha256:{1:064x}", number=1, created_at=START, attempt="a-1")
GIVES = (
    Aggregate("n", "count"),
    Aggregate("total", "sum", "value"),
    Aggregate("mean", "mean", "value"),
    Aggregate("newest", "last", "value"),
)


class Shelf:
    """An online store in a dictionary, which can be emptied and taken away."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], dict[bytes, bytes]] = {}
        self.published = 0
        self.away = False

    def has(self, artifact: str, version: str) -> bool:
        self._reach()
        return (artifact, version) in self.versions

    def publish(self, artifact: str, version: str, rows: Iterable[Row]) -> None:
        self.published += 1
        self.versions[artifact, version] = dict(rows)

    def get(self, artifact: str, version: str, keys: Sequence[bytes]) -> list[bytes | None]:
        self._reach()
        if (artifact, version) not in self.versions:
            raise Missing("gone")
        return [self.versions[artifact, version].get(key) for key in keys]

    def close(self) -> None:
        pass

    def _reach(self) -> None:
        if self.away:
            raise OnlineError("online features at nowhere cannot be read", why="connection refused")


class Clock:
    def __init__(self, minutes: int) -> None:
        self.minutes = minutes

    def __call__(self) -> datetime:
        return START + timedelta(minutes=self.minutes)


def views(frame: pl.DataFrame, spec: FeatureSpec, clock: Clock, shelf: Shelf | None = None) -> tuple[TableFeatures, OnlineFeatures]:
    table = TableFeatures(frame.lazy(), spec, "f", clock)
    made = OnlineFeatures(table, VERSION, shelf or Shelf(), clock)
    made.publish()
    return table, made


MINUTE = st.integers(0, 12)
ROW = st.tuples(st.sampled_from(["a", "b"]), MINUTE, st.none() | MINUTE, st.integers(0, 3), st.none() | st.floats(-9, 9))


def events(rows: list[Any]) -> pl.DataFrame:
    schema = {"who": pl.String, "time": pl.Int64, "known": pl.Int64, "event": pl.Int64, "value": pl.Float64}
    minute = [(pl.lit(START) + pl.duration(minutes=name)).alias(name) for name in ("time", "known")]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(minute)


@given(
    rows=st.lists(ROW, max_size=14), published=MINUTE, later=st.integers(0, 9), ttl=st.sampled_from([0.0, 180.0]),
    window=st.booleans(), event=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_online_is_the_table_as_of_now(rows: list[Any], published: int, later: int, ttl: float, window: bool, event: bool) -> None:
    """At publication and at any time after it, for rows that were known then and rows that become known later; to the last bit."""
    spec = FeatureSpec(("who",), "time", "known", 0.0 if window else ttl)
    if window:
        spec = FeatureSpec(("who",), "time", "known", window_s=240, gives=GIVES, event=("event",) if event else ())
    clock = Clock(published)
    table, online = views(events(rows), spec, clock)
    for now in (published, published + later):
        clock.minutes = now
        for who in ("a", "b", "c"):
            asked = {"who": who, "time": clock()}
            assert online[who] == {name: table.at(asked)[name] for name in table.names} == table[who]
    assert online[["a", "c", "b"]] == [online["a"], online["c"], online["b"]]


def test_a_clock_that_jumps_back_changes_nothing() -> None:
    """F68: what was known at publication stays known, though the reader's clock says that it was not yet; nothing later shows."""
    clock = Clock(10)
    _, online = views(events([("a", 5, 5, 0, 1.0), ("a", 11, 11, 0, 2.0)]), FeatureSpec(("who",), "time", "known"), clock)
    clock.minutes = -1440
    assert online["a"]["value"] == 1.0


def test_every_type_comes_back_as_the_table_gives_it() -> None:
    """Nulls, text, times with and without zones, dates, spans, decimals, bytes, lists and structs."""
    at = datetime(2026, 1, 1, 5, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "who": [1, 2],
            "time": [START, START],
            "text": ["x", None],
            "zoned": pl.Series([at, None]).dt.convert_time_zone("Europe/Berlin"),
            "plain": [datetime(2026, 1, 1, 5, 0, 0, 7), None],
            "day": [date(2026, 1, 2), None],
            "span": [timedelta(seconds=1.5), None],
            "money": [Decimal("1.10"), None],
            "bytes": [b"\x00\xff", None],
            "list": [[1, None], None],
            "struct": [{"a": 1.5, "b": "y"}, None],
            "yes": [True, None],
            "small": pl.Series([7, None], dtype=pl.UInt8),
            "odd": [float("inf"), None],
        }
    )
    table, online = views(frame, FeatureSpec(("who",), "time"), Clock(1))
    assert online[[1, 2, 3]] == [table[1], table[2], table[3]]
    assert str(online[1]["zoned"].tzinfo) == "Europe/Berlin"
    assert online[1.0] == online[1]
    assert online["1"]["text"] is None


def test_a_store_that_came_back_empty_is_filled() -> None:
    """By whoever misses the version first, once; the answers are right."""
    shelf = Shelf()
    _, online = views(events([("a", 1, 1, 0, 1.0)]), FeatureSpec(("who",), "time", "known"), Clock(5), shelf)
    assert (online["a"]["value"], shelf.published) == (1.0, 1)
    shelf.versions.clear()
    assert (online["a"]["value"], online["a"]["value"], shelf.published) == (1.0, 1.0, 2)
    shelf.versions.clear()
    assert (online.check(), shelf.published) == ("", 3)


def test_a_store_out_of_reach_is_a_plain_error_and_a_problem() -> None:
    """Never nulls that look like an answer; gone when it is back."""
    shelf = Shelf()
    _, online = views(events([("a", 1, 1, 0, 1.0)]), FeatureSpec(("who",), "time", "known"), Clock(5), shelf)
    shelf.away = True
    with pytest.raises(OnlineError, match="cannot be read"):
        online["a"]
    assert online.check() == "online features at nowhere cannot be read: connection refused" == online.problem
    shelf.away = False
    assert online.check() == online.problem == ""
    assert online["a"]["value"] == 1.0
