"""Parity is proved: what was served at a moment is worked out again as known then, late and corrected events included."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from bedplate.core.features import Aggregate, FeatureSpec
from bedplate.stages.deploy.deployment import Looked
from bedplate.stages.deploy.frames import Shape, feature_columns, frame
from bedplate.stages.deploy.recorder import Prediction
from bedplate.stages.monitor.parity import Parity, parity, sentence
from bedplate.storage.backends.features_view import TableFeatures

START = datetime(2026, 1, 1, tzinfo=UTC)
LATE = FeatureSpec(("who",), "time", "known")
PLAIN = FeatureSpec(("who",), "time")
COUNT = FeatureSpec(("who",), "time", "known", window_s=600, gives=(Aggregate("n", "count"), Aggregate("mean", "mean", "value")))

Row = tuple[str, int, int, float]
"""Who, and in minutes after START when it holds and since when it is known, and the value."""


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def version(rows: list[Row], spec: FeatureSpec, now: Callable[[], datetime] = lambda: at(0)) -> TableFeatures:
    data = {"who": [row[0] for row in rows], "time": [at(row[1]) for row in rows], "known": [at(row[2]) for row in rows]}
    table = pl.DataFrame({**data, "value": [row[3] for row in rows]})
    return TableFeatures((table if spec.created else table.drop("known")).lazy(), spec, "delays", now)


def served(view: TableFeatures, ref: str, asked: list[tuple[str, int]], *, by_row: bool = True) -> pl.DataFrame:
    """The log of a service that looked these up, from the code that a server runs."""
    shape = Shape(features={"delays": feature_columns(view.schema)})
    made = []
    for who, minute in asked:
        looked = Looked(view, view.names, ref)
        if by_row:
            looked.at({"who": who, "time": at(minute)})
        else:
            view._now = lambda minute=minute: at(minute)  # type: ignore[misc]  # bound
            looked[who]
        rows: dict[str, Any] = {"delays": looked.row}
        made.append(Prediction("p", "q", at(minute), 1.0, 200, "", "{}", {}, rows, 0.0))
    return frame(made, shape)


def compare(log: pl.DataFrame, newest: TableFeatures, versions: dict[str, TableFeatures]) -> Parity:
    return parity(log, "delays", newest, "delays@2", versions.get)


ASKED = [("a", 4), ("a", 7), ("a", 9), ("b", 5), ("c", 5)]
FIRST: list[Row] = [("a", 1, 1, 10.0), ("a", 5, 8, 50.0), ("b", 2, 3, 20.0)]


@pytest.mark.parametrize("by_row", [True, False])
@pytest.mark.parametrize("spec", [LATE, COUNT])
def test_what_was_served_is_what_was_known(spec: FeatureSpec, by_row: bool) -> None:
    """By row and now; the event of minute 5 that became known at 8 was not served at 7, and is not expected there."""
    old = version(FIRST, spec)
    log = served(old, "delays@1", ASKED, by_row=by_row)
    newest = version([*FIRST, ("a", 9, 12, 90.0), ("b", 1, 30, 1.0)], spec)
    found = compare(log, newest, {"delays@1": old})
    assert (found.compared, found.equal, sentence(found)) == (5, 5, "")


@pytest.mark.bad_input("a late event")
def test_a_planted_late_event_fails_a_naive_join_and_passes_ours() -> None:
    """The naive join looks at `time` alone: it says that at 7 the event of 5 was known. Served and `created` say that it was not."""
    old = version(FIRST, LATE)
    log = served(old, "delays@1", ASKED)
    late: list[Row] = [*FIRST, ("b", 4, 20, 40.0)]
    newest = version(late, LATE)
    assert compare(log, newest, {"delays@1": old}).share == 1.0
    labels = pl.DataFrame({"who": [who for who, _ in ASKED], "time": [at(minute) for _, minute in ASKED]})
    events = pl.DataFrame({"who": [r[0] for r in late], "time": [at(r[1]) for r in late], "value": [r[3] for r in late]}).sort("time")
    naive = labels.with_row_index().sort("time").join_asof(events, on="time", by="who", check_sortedness=False).sort("index")
    was = log.get_column("features").struct.field("delays").struct.field("value")
    assert naive["value"].to_list() == [10.0, 50.0, 50.0, 40.0, None]
    assert was.to_list() == [10.0, 10.0, 50.0, 20.0, None]


def test_an_event_that_came_after_the_version_was_made_is_late() -> None:
    """The table says that it was known at 3, but the version that served had not got it; an example says who got what."""
    old = version(FIRST, LATE)
    log = served(old, "delays@1", ASKED)
    found = compare(log, version([*FIRST, ("a", 2, 3, 11.0)], LATE), {"delays@1": old})
    assert (found.equal, found.late, found.rewritten, found.other) == (3, 2, 0, 0)
    assert "a at 2026-01-01 00:04:00+00:00 got value 10 from delays@1, and by delays@2 it was 11" in sentence(found)


def test_without_created_the_sentence_says_what_would_help() -> None:
    old = version(FIRST, PLAIN)
    log = served(old, "delays@1", [("b", 5)])
    found = compare(log, version([*FIRST, ("b", 4, 4, 40.0)], PLAIN), {"delays@1": old})
    assert (found.late, "created= would say since when" in sentence(found)) == (1, True)


def test_history_that_was_rewritten_is_told_from_late() -> None:
    """The same row, known at the same moment, with another value."""
    old = version(FIRST, LATE)
    log = served(old, "delays@1", ASKED)
    found = compare(log, version([("a", 1, 1, 12.0), *FIRST[1:]], LATE), {"delays@1": old})
    assert (found.equal, found.rewritten, found.late, found.other) == (3, 2, 0, 0)
    assert "rewritten since" in sentence(found)


def test_values_that_no_version_gives_are_found() -> None:
    """A server that made values up, or a log that was changed."""
    old = version(FIRST, LATE)
    log = served(version([("a", 1, 1, 77.0), *FIRST[1:]], LATE), "delays@1", ASKED)
    found = compare(log, old, {"delays@1": old})
    assert (found.other, "are not what the version that served says" in sentence(found)) == (2, True)


def test_a_log_of_before_look_ups_were_kept_is_counted_as_untold() -> None:
    """It has values, but not what they were asked for."""
    old = version(FIRST, LATE)
    log = served(old, "delays@1", ASKED).drop("looked")
    found = compare(log, old, {})
    assert (found.compared, found.untold, found.share) == (0, 5, 1.0)
    assert compare(log.drop("features"), old, {}).untold == 0


def test_a_version_that_is_gone_is_no_error() -> None:
    """What it served is compared all the same; why it differs cannot be said better than late."""
    log = served(version(FIRST, LATE), "delays@1", [("a", 4)])
    assert compare(log, version([("a", 2, 2, 5.0)], LATE), {}).late == 1
