"""Files become frames by what their names end in."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from bedplate.core.errors import UserError
from bedplate.stages.ingest.backends.frames import broken, frame

ROWS = pl.DataFrame({"carrier": ["AA", "UA"], "delay": [3, -1]})


def write(folder: Path, ending: str) -> Path:
    path = folder / f"rows{ending}"
    match ending:
        case ".csv":
            ROWS.write_csv(path)
        case ".tsv":
            ROWS.write_csv(path, separator="\t")
        case ".csv.gz":
            path.write_bytes(gzip.compress(ROWS.write_csv().encode()))
        case ".jsonl":
            ROWS.write_ndjson(path)
        case ".parquet":
            ROWS.write_parquet(path)
        case ".arrow":
            ROWS.write_ipc(path)
        case ".avro":
            ROWS.write_avro(path)
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz", ".jsonl", ".parquet", ".arrow", ".avro"])
def test_each_form_gives_the_same_rows(tmp_path: Path, ending: str) -> None:
    assert frame([write(tmp_path, ending)]).collect().equals(ROWS)


def test_columns_are_put_together_by_name_and_by_the_wider_type(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("delay,carrier\n3,AA\n")
    (tmp_path / "b.csv").write_text("carrier,delay,gate\nUA,1.5,B2\n")
    found = frame([tmp_path / "a.csv", tmp_path / "b.csv"]).collect()
    assert found.select("carrier", "delay", "gate").rows() == [("AA", 3.0, None), ("UA", 1.5, "B2")]


def test_a_file_of_no_known_form_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows\.xls is of no form") as told:
        frame([tmp_path / "rows.xls"])
    assert ".parquet" in told.value.why


@pytest.mark.parametrize("line", [b"late,AA", b"3,\xff\xfe", b"3,AA,B2"])
def test_a_line_that_is_wrong_far_down_is_told_with_its_file(tmp_path: Path, line: bytes) -> None:
    """The scan had begun well; an error of another kind is nobody's."""
    (tmp_path / "good.csv").write_text("delay,carrier\n3,AA\n")
    (tmp_path / "bad.csv").write_bytes(b"delay,carrier\n" + b"3,AA\n" * 20_000 + line + b"\n")
    paths = [tmp_path / "good.csv", tmp_path / "bad.csv"]
    with pytest.raises(pl.exceptions.ComputeError) as met:
        frame(paths).collect()
    told = broken(paths, met.value)
    assert told is not None
    assert told.what == "bad.csv cannot be read as csv"
    assert told.why
    assert broken(paths[:1], met.value) is None
    assert broken(paths, pl.exceptions.ColumnNotFoundError("gate")) is None


def test_a_file_that_is_not_what_its_name_ends_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("carrier,delay\n")
    with pytest.raises(UserError, match=r"broken\.parquet cannot be read as parquet"):
        frame([tmp_path / "broken.parquet"])


def test_files_of_several_forms_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="several forms"):
        frame([write(tmp_path, ".csv"), write(tmp_path, ".parquet")])


def test_no_file_is_said_so() -> None:
    with pytest.raises(UserError, match="no file to read"):
        frame([])
