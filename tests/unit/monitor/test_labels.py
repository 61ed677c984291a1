"""Labels: files are read or refused with a clear message; the latest label of a prediction counts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from bedplate.core.errors import UserError
from bedplate.stages.monitor.bring import bring
from bedplate.stages.monitor.labels import LabelCounts, join_labels, read_labels
from bedplate.stages.monitor.served import brought
from bedplate.storage.local import local_store
from bedplate.storage.store import Store

SERVED = pl.DataFrame({"prediction_id": ["p1", "p2", "p3"], "request_id": ["r1", "r1", "r3"], "week": [1, 1, 2]})
TRUTH = pl.DataFrame({"request_id": ["1", "2"], "label": [1.0, 0.0], "note": ["a", "b"]})


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "ndjson"])
def test_every_format_reads_the_same_with_keys_as_text(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels.{suffix}"
    match suffix:
        case "csv":
            TRUTH.write_csv(path)
        case "parquet":
            TRUTH.write_parquet(path)
        case _:
            TRUTH.write_ndjson(path)
    assert read_labels(path).equals(TRUTH)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, "no labels file"),
        ("l.csv", "request_id,truth\n1,1\n", "no column 'label'"),
        ("l.csv", "id,label\n1,1\n", "neither 'prediction_id' nor 'request_id'"),
        ("l.csv", "", "cannot be read as csv"),
        ("l.parquet", "not parquet", "cannot be read as parquet"),
        ("l.jsonl", "{broken\n", "cannot be read as jsonl"),
        ("l.xlsx", "x", "is no labels file"),
        ("l.jsonl", '{"request_id": "1", "label": [1]}\n', "'label' holds List"),
    ],
)
def test_a_file_that_holds_no_labels_is_refused_with_the_reason(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read_labels(path)
    assert caught.value.why or caught.value.next


def brings(store: Store, path: Path, *labels: object) -> int:
    """How many labels a file of these adds."""
    lines = ["prediction_id,label", *(f"p{row},{label}" for row, label in enumerate(labels))]
    path.write_text("\n".join(lines) + "\n")
    at = datetime(2026, 11, 1, len(store.log("labels/quote").files()), tzinfo=UTC)
    return bring(store, "quote", path, at).added


def kept(store: Store) -> list[object]:
    return brought(store.log("labels/quote").scan()).get_column("label").to_list()  # type: ignore[union-attr]  # something was brought


def test_numbers_are_brought_as_numbers_whatever_the_first_file_held(tmp_path: Path) -> None:
    """Whole ones, then fractions; what is known is known in either form. A text is refused in words about labels, and changes nothing."""
    store, path = local_store(tmp_path / "store"), tmp_path / "truth.csv"
    assert brings(store, path, 5200, 5300) == 2
    assert brings(store, path, "5200.0", 5300.5, 1) == 2
    assert kept(store) == [5200.0, 5300.0, 5300.5, 1.0]
    with pytest.raises(UserError, match=r"truth\.csv: the label 'heavy' is text, and those known are a number"):
        brings(store, path, "heavy")
    assert len(kept(store)) == 4


def test_one_and_zero_are_true_and_false_but_two_is_not(tmp_path: Path) -> None:
    store, path = local_store(tmp_path / "store"), tmp_path / "truth.csv"
    assert brings(store, path, "true", "false") == 2
    assert brings(store, path, 0, 0) == 1
    assert kept(store) == [True, False, False]
    with pytest.raises(UserError, match=r"the label 2\.0 is a number, and those known are true or false"):
        brings(store, path, 2)


def test_labels_join_on_the_request_and_none_is_lost_or_doubled() -> None:
    labels = pl.DataFrame({"request_id": ["r1", "r9", "r1", "r3"], "label": [0, 1, 1, None], "week": [5, 6, 7, 8]})
    joined, counts = join_labels(SERVED, labels)
    assert joined["prediction_id"].to_list() == ["p1", "p2", "p3"]
    assert joined["label"].to_list() == [1, 1, None], "the last row wins"
    assert joined["week"].to_list() == [1, 1, 2]
    assert joined["label.week"].to_list() == [7, 7, None]
    assert counts == LabelCounts(given=4, empty=1, duplicates=1, unmatched=1, predictions=2)


def test_the_prediction_is_a_finer_key_than_the_request_and_time_decides_which_label_is_latest() -> None:
    late, early = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    labels = pl.DataFrame({"prediction_id": ["p2", "p2"], "request_id": ["r3", "r3"], "label": ["new", "old"], "at": [late, early]})
    joined, _ = join_labels(SERVED, labels)
    assert joined["label"].to_list() == [None, "new", None]


def test_a_label_of_a_prediction_counts_before_that_of_its_request() -> None:
    predictions = pl.DataFrame({"prediction_id": ["p1", "p2", "p3"], "request_id": ["r1", "r1", "r2"]})
    labels = pl.DataFrame(
        {
            "prediction_id": ["p2", None, None, "p9", None],
            "request_id": ["r1", "r1", "r9", None, "r1"],
            "label": [20, 10, 90, 99, 11],
        }
    )
    joined, counts = join_labels(predictions, labels)
    assert joined["label"].to_list() == [11, 20, None]
    assert joined.columns == ["prediction_id", "request_id", "label"]
    assert (counts.given, counts.duplicates, counts.unmatched, counts.predictions) == (5, 1, 2, 2)
