"""`source.new()`: the first run reads all, later ones only what is new, appended; the offsets are committed with the output."""

from __future__ import annotations

from typing import Any

TEXT = """
import polars as pl

@p.ingest
def rows(source: Files = Files("data/*.csv")) -> pl.DataFrame:
    return pl.concat([pl.read_csv(path) for path in source.new()])

@p.prepare
def total(rows: pl.DataFrame) -> int:
    return int(rows["n"].sum())
"""


def put(house: Any, name: str, *numbers: int) -> None:
    folder = house.folder / "data"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(["n", *map(str, numbers)]) + "\n")


def read(house: Any) -> list[int]:
    found: list[int] = house.open()["rows"].load()["n"].to_list()
    return found


def test_the_first_run_reads_all_and_a_new_file_is_appended(house: Any) -> None:
    put(house, "a.csv", 1, 2)
    put(house, "b.csv", 3)
    house.run(TEXT)
    assert read(house) == [1, 2, 3]
    assert house.tasks[0].seen == {}
    put(house, "c.csv", 4)
    summary = house.run(TEXT)
    assert house.steps(summary) == {"rows": "done", "total": "done"}
    assert [entry.name for entry in house.tasks[0].seen["source"]] == ["data/a.csv", "data/b.csv"]
    assert read(house) == [1, 2, 3, 4]
    assert house.open()["rows"].load(1)["n"].to_list() == [1, 2, 3]


def test_nothing_new_runs_nothing(house: Any) -> None:
    put(house, "a.csv", 1)
    house.run(TEXT)
    assert house.steps(house.run(TEXT)) == {"rows": "skipped", "total": "skipped"}


def test_offsets_are_committed_with_the_output(house: Any) -> None:
    """A run that fails has seen nothing: the next one reads the same files."""
    put(house, "a.csv", 1)
    house.run(TEXT)
    (house.folder / "data" / "b.csv").write_text("other\n1\n")
    assert not house.run(TEXT).ok
    put(house, "b.csv", 2)
    assert house.run(TEXT).ok
    assert read(house) == [1, 2]


def test_a_changed_file_makes_everything_anew(house: Any) -> None:
    """Its rows are in the head already: appending would double them."""
    put(house, "a.csv", 1)
    put(house, "b.csv", 2)
    house.run(TEXT)
    put(house, "a.csv", 10, 11)
    assert house.run(TEXT).ok
    assert read(house) == [10, 11, 2]


def test_a_file_that_is_gone_makes_everything_anew(house: Any) -> None:
    put(house, "a.csv", 1)
    put(house, "b.csv", 2)
    house.run(TEXT)
    (house.folder / "data" / "a.csv").unlink()
    assert house.run(TEXT).ok
    assert read(house) == [2]


def test_changed_code_reads_everything_again(house: Any) -> None:
    """Half a table by the old code and half by the new would be a result that nothing makes again."""
    put(house, "a.csv", 1)
    house.run(TEXT)
    put(house, "b.csv", 2)
    assert house.run(TEXT.replace("pl.read_csv(path)", "pl.read_csv(path) * 10")).ok
    assert read(house) == [10, 20]


def test_fresh_reads_everything_again_and_gives_the_same(house: Any) -> None:
    put(house, "a.csv", 1)
    house.run(TEXT)
    put(house, "b.csv", 2)
    house.run(TEXT)
    summary = house.run(TEXT, fresh=True)
    assert summary.ok, summary.failures
    assert read(house) == [1, 2]


def test_lost_bytes_are_read_again_from_everything(house: Any) -> None:
    put(house, "a.csv", 1)
    house.run(TEXT)
    put(house, "b.csv", 2)
    house.run(TEXT)
    for file in (house.folder / ".bedplate" / "store" / "tables" / "rows").glob("*.parquet"):
        file.unlink()
    summary = house.run(TEXT)
    assert summary.ok, summary.failures
    assert house.steps(summary) == {"rows": "done", "total": "skipped"}
    assert read(house) == [1, 2]


def test_a_rerun_of_what_was_appended_reads_everything_and_is_equal(house: Any) -> None:
    put(house, "a.csv", 1)
    house.run(TEXT)
    put(house, "b.csv", 2)
    house.run(TEXT)
    assert house.open().rerun("rows@2").equal
    assert house.open().catalog.artifacts.head("rows").number == 2
