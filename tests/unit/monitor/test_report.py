"""The report: it counts what was served, names its references, and says what stands out."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from bedplate.core.errors import UserError
from bedplate.interfaces.cli.watch_view import draw
from bedplate.stages.monitor.html import page
from bedplate.stages.monitor.report import Report, watch_report
from bedplate.stages.monitor.watched import drift_event
from bedplate.stages.monitor.window import bucket_width, served_inputs
from bedplate.storage.backends.profile import profile, sketch

START = datetime(2026, 11, 1, tzinfo=UTC)


def served(n: int = 3000, *, shift: float = 0.0, days: float = 14, failing: int = 0, seed: int = 1, **columns: Any) -> pl.DataFrame:
    dice = np.random.default_rng(seed)
    delay = dice.normal(10 + shift, 5, n)
    result = 1 / (1 + np.exp(-(delay - 10) / 5))
    bad = np.arange(n) < failing
    frame = pl.DataFrame(
        {
            "prediction_id": [f"p{i}" for i in range(n)],
            "request_id": [f"r{i}" for i in range(n)],
            "at": [START + timedelta(days=days * i / n) for i in range(n)],
            "latency_ms": dice.lognormal(1.0, 0.4, n),
            "status": pl.Series([500 if b else 200 for b in bad], dtype=pl.Int32),
            "error": pl.Series(["ValueError: no <carrier>" if b else None for b in bad], dtype=pl.String),
            "models": ['{"late": 7}' if i < n // 2 else '{"late": 8}' for i in range(n)],
            "request": [{"carrier": "UA" if i % 3 else "AA", "distance": float(i % 900)} for i in range(n)],
            "features": [{"carrier_delay": {"delay": float(d), "distance": 1.0}} for d in delay],
            "result": [None if b else float(r) for b, r in zip(bad, result, strict=True)],
        }
    )
    return frame.with_columns(**columns)


def training(n: int = 9000) -> pl.DataFrame:
    dice = np.random.default_rng(0)
    carrier = ["UA" if i % 3 else "AA" for i in range(n)]
    return pl.DataFrame({"carrier": carrier, "distance": [float(i % 900) for i in range(n)], "delay": dice.normal(10, 5, n)})


def truth(frame: pl.DataFrame, seed: int = 2) -> pl.DataFrame:
    dice = np.random.default_rng(seed)
    labels = frame["result"].fill_null(0.5).to_numpy() > dice.random(frame.height)
    return pl.DataFrame({"request_id": frame["request_id"], "label": labels, "flown": frame["at"] - timedelta(days=300)})


def test_request_fields_and_features_are_named_as_the_training_table_names_them() -> None:
    inputs = served_inputs(served(10))
    assert inputs.columns == ["carrier", "distance", "delay", "carrier_delay.distance"]


def test_a_quiet_window_says_so_and_names_its_reference() -> None:
    found = watch_report(served(), service="will_be_late", reference=profile(training()), reference_name="departures@3")
    assert (found.predictions, found.answered, found.failed, found.error_share) == (3000, 3000, 0, 0.0)
    assert found.reference == "departures@3"
    assert {one.column for one in found.drift} == {"carrier", "distance", "delay"}
    assert found.drifted == ()
    assert found.findings[0].startswith("Nothing stands out")
    assert found.versions == {"late@7": 1500, "late@8": 1500}
    assert sum(bucket.predictions for bucket in found.traffic) == 3000
    assert found.latency is not None
    assert found.latency.p50 == pytest.approx(np.e, rel=0.1)
    assert sum(found.latency.counts) == 3000


def test_drift_of_an_input_and_of_the_prediction_is_found_and_said() -> None:
    before = served(9000, seed=9)
    found = watch_report(
        served(shift=6), service="s", reference=profile(training()), prediction_reference=sketch(before["result"]),
        prediction_reference_name="late@7 on its training table",
    )  # fmt: skip
    assert found.drifted == ("delay", "prediction")
    assert found.drift[0].column == "delay"
    assert found.prediction_reference == "late@7 on its training table"
    assert any("'delay' has drifted" in line and "its mean went from" in line for line in found.findings)
    assert any("predictions have moved" in line for line in found.findings)


def test_without_a_reference_of_predictions_the_beginning_of_the_window_serves_and_the_report_says_so() -> None:
    halves = pl.concat([served(1500, days=1), served(1500, shift=8, days=1).with_columns(pl.col("at") + timedelta(days=2))])
    found = watch_report(halves, service="s")
    assert "first fifth of this window" in found.prediction_reference
    assert found.prediction is not None
    assert found.prediction.drifted
    assert any("no reference was kept" in note for note in found.notes)


def test_results_that_are_not_the_models_own_are_compared_with_the_beginning_of_the_window() -> None:
    minutes = served().with_columns(result=pl.col("result") * 60 + 5)
    found = watch_report(minutes, service="s", prediction_reference=sketch(served(seed=9)["result"]), prediction_reference_name="late@7")
    assert found.prediction_reference == "the first fifth of this window"
    assert any("the service gives something else" in note for note in found.notes)
    texts = served().with_columns(result=pl.when(pl.col("result") > 0.5).then(pl.lit("late")).otherwise(pl.lit("not")))
    found = watch_report(texts, service="s", prediction_reference=sketch(served(seed=9)["result"]))
    assert found.prediction is not None
    assert (found.prediction.kind, found.prediction_reference) == ("text", "the first fifth of this window")


@pytest.mark.parametrize("extreme", [1e200, -1.7e308])
def test_one_extreme_request_is_outside_the_range_and_spoils_no_report(extreme: float) -> None:
    """Among whole numbers, where bins have whole width: drawn on a terminal and as a page, with finite figures throughout."""
    served_rows = served(400, request=pl.Series([{"distance": float(i % 900) if i else extreme} for i in range(400)]))
    served_rows = served_rows.with_columns(result=pl.when(pl.int_range(pl.len()) == 3).then(extreme).otherwise(pl.col("result")))
    labels = pl.DataFrame({"request_id": served_rows["request_id"], "label": served_rows["result"] + 2.0})
    edges = profile(training())
    report = watch_report(served_rows, labels, service="late", reference=edges, prediction_reference=sketch(served(9000)["result"]))
    moved = {one.column: one for one in report.drift}["distance"]
    assert moved.outside == pytest.approx(1 / 400)
    assert "null" not in msgspec.json.encode([moved.mean_now, moved.psi, report.quality and report.quality.metrics, moved.shape]).decode()
    draw(Console(file=io.StringIO(), width=120), report)
    assert "distance" in page(report)


def test_a_slice_is_called_worst_only_beyond_chance() -> None:
    few = served(420, days=14)
    assert not any("was worst" in line for line in watch_report(few, truth(few, seed=5), service="s").findings)
    many = served(6000, days=28)
    flipped = truth(many).with_columns(label=pl.when(pl.int_range(pl.len()) < 1400).then(~pl.col("label")).otherwise(pl.col("label")))
    assert any("AUC was worst from 2026-10" in line for line in watch_report(many, flipped, service="s").findings)


def test_a_handful_of_rows_is_said_to_be_one_and_draws_no_alarm() -> None:
    """In the findings, on the terminal and on the page; and no event is left for due work."""
    found = watch_report(served(40, shift=30.0), service="s", reference=profile(training()))
    assert found.drifted == ()
    assert drift_event(found, START) is None
    assert "Too few rows to judge drift by: 40 values of 200 that are needed." in found.findings
    assert not any("drift beyond chance" in line or "has drifted" in line for line in found.findings)
    out = io.StringIO()
    draw(Console(file=out, width=140), found)
    (delay,) = (line for line in out.getvalue().splitlines() if line.split()[:1] == ["delay"])
    assert "too few rows to judge (40)" in delay
    html = page(found)
    assert "too few rows to judge (40)" in html
    assert 'class="tag bad">drifted' not in html


def test_drift_is_an_event_that_due_work_can_read() -> None:
    at = START + timedelta(days=15)
    calm = watch_report(served(), service="s", reference=profile(training()))
    assert drift_event(calm, at) is None
    moved = watch_report(served(shift=6), service="s", reference=profile(training()), reference_name="late@7's table")
    event = drift_event(moved, at)
    assert event is not None
    assert (event.kind, event.subject, event.at) == ("drift.found", "s", at)
    assert set(event.data["columns"]) == {"delay"}
    assert (event.data["reference"], event.data["window"]["predictions"]) == ("late@7's table", 3000)
    assert msgspec.json.decode(msgspec.json.encode(event.data)) == event.data


def test_failed_and_refused_requests_are_counted_apart_and_carry_no_distribution() -> None:
    status = pl.when(pl.int_range(pl.len()) < 30).then(422).otherwise(pl.col("status")).cast(pl.Int32)
    found = watch_report(served(failing=90).with_columns(status=status), service="s", reference=profile(training()))
    assert (found.refused, found.failed, found.answered) == (30, 60, 2910)
    assert found.drift[0].rows_now == 2910
    assert found.messages == {"ValueError: no <carrier>": 90}
    assert found.findings[0].startswith("60 predictions of 3,000 failed (2.0%), most often: ValueError")


def test_quality_is_judged_by_labels_and_sliced_by_time() -> None:
    frame = served()
    labels = truth(frame).head(2000)
    found = watch_report(frame, labels, service="s")
    assert found.quality is not None
    assert found.quality.kind == "binary"
    assert found.quality.n == 2000
    assert found.labelled_share == pytest.approx(2 / 3)
    assert found.quality.metrics["auc"] > 0.7
    assert sum(one.n for one in found.slices) == 3000
    assert sum(one.labelled for one in found.slices) == 2000
    assert found.slice_s == 7 * 86400
    flown = watch_report(frame, labels, service="s", by="flown")
    assert flown.sliced_by == "flown"
    assert flown.slices[0].at.year == 2026
    assert flown.slices[0].at.month == 1
    with pytest.raises(UserError, match="cannot slice by 'carrier'"):
        watch_report(frame, labels, service="s", by="carrier")


def test_labels_that_cannot_be_compared_are_noted_not_raised() -> None:
    frame = served(100)
    found = watch_report(frame, pl.DataFrame({"request_id": ["r1"], "label": ["late"]}), service="s")
    assert found.quality is None
    assert any("cannot be compared" in note for note in found.notes)


def test_a_missed_latency_goal_stands_out() -> None:
    assert any("Latency misses its goal" in line for line in watch_report(served(), service="s", goal_p95_s=0.001).findings)
    assert not any("Latency" in line for line in watch_report(served(), service="s", goal_p95_s=1.0).findings)


def test_objects_with_one_number_are_judged_by_it_and_lists_are_noted() -> None:
    frame = served(400)
    objects = frame.with_columns(result=pl.struct(p="result", why=pl.lit("x")).struct.json_encode())
    found = watch_report(objects, truth(frame), service="s")
    assert found.quality is not None
    assert "the prediction is the field 'p'" in found.notes
    lists = watch_report(frame.with_columns(result=pl.lit("[1, 2]")), service="s")
    assert lists.prediction is None
    assert any("lists" in note for note in lists.notes)


def test_text_that_only_looks_like_json_is_a_category() -> None:
    found = watch_report(served(400).with_columns(result=pl.lit("{late")), service="s")
    assert found.prediction is not None
    assert found.prediction.kind == "text"


def test_the_rows_of_one_request_are_predictions_of_their_own() -> None:
    frame = served(400).with_columns(request_id=pl.format("r{}", pl.int_range(pl.len()) // 4))
    found = watch_report(frame, service="s")
    assert (found.predictions, found.requests) == (400, 100)
    assert "in 100 requests" in page(found)


@pytest.mark.parametrize("column", ["error", "features", "models", "request"])
def test_a_log_whose_column_is_empty_or_left_out_is_read(column: str) -> None:
    for frame in (
        served(300).with_columns(pl.lit(None).alias(column)),
        served(300).drop(column) if column in ("features", "request") else served(300),
    ):
        found = watch_report(frame, service="s", reference=profile(training()))
        assert found.predictions == 300
        assert page(found)


def test_an_empty_window_is_a_report_too() -> None:
    found = watch_report(served(5).clear(), service="s", reference=profile(training()))
    assert found.findings == ("Nothing was served in this window.",)
    assert "Nothing was served" in page(found)


def test_the_report_comes_back_from_json() -> None:
    frame = served()
    found = watch_report(frame, truth(frame), service="s", reference=profile(training()))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Report) == found


def test_the_page_shows_every_part_escapes_text_and_asks_nothing_of_the_network() -> None:
    frame = served(failing=5, shift=6)
    html = page(watch_report(frame, truth(frame), service="<late>", reference=profile(training()), goal_p95_s=0.02))
    assert html.startswith("<!doctype html>")
    for part in ("Traffic", "Latency", "Drift", "Distributions", "Quality", "Calibration", "&lt;late&gt;", "no &lt;carrier&gt;", "drifted"):
        assert part in html
    assert "<carrier>" not in html
    for outside in ("http://", "https://", "<script", "@import", "url("):
        assert outside not in html.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("span", "most", "width"), [(60, 60, 1), (90, 60, 2), (86400, 60, 3600), (14 * 86400, 12, 7 * 86400), (1e9, 12, 28 * 86400)]
)
def test_buckets_are_as_fine_as_their_number_allows(span: float, most: int, width: int) -> None:
    assert bucket_width(span, most) == width
