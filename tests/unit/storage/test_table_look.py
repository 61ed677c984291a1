"""A look at a table reads few rows and says how many; what differs between two versions is counted exactly where all of it is read."""

from __future__ import annotations

import math
import random
from pathlib import Path

import polars as pl
import pytest

from bedplate.core.errors import UserError
from bedplate.storage import table_look
from bedplate.storage.backends import parquet
from bedplate.storage.local import local_store
from bedplate.storage.store import Store
from bedplate.storage.tables import entries
from bedplate.testing.store_contract import save


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return local_store(tmp_path / "store")


def people(count: int, first: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"id": range(first, first + count), "town": [f"town {n % 3}" for n in range(count)]})


def test_pieces_come_from_all_over_and_from_few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a table of a thousand files no more than `FILES` are read, and no row of it twice; the first rows are the first rows."""
    files = [(f"f{number}", 10, 100) for number in range(1000)]
    for taken in (table_look.spread(files, 2000), table_look.drawn(files, 2000, 7)):
        assert len({piece.file for piece in taken}) <= table_look.FILES
        assert sum(piece.count for piece in taken) <= 2000
        rows = [(piece.file, row) for piece in taken for row in range(piece.start, piece.start + piece.count)]
        assert len(rows) == len(set(rows))
    assert table_look.first(files, 150) == [table_look.Piece("f0", 0, 100), table_look.Piece("f1", 0, 50)]
    assert table_look.drawn(files, 2000, 7) == table_look.drawn(files, 2000, 7)


def test_heavy_row_groups_are_read_in_few_places() -> None:
    """A piece costs its whole row group: of a table of large ones only so many are read as weigh no more than the limit, three at least."""
    light, heavy = [("f", 10_000_000, 1_000_000)], [(f"f{number}", 46_000_000, 400_000) for number in range(8)]
    for pieces in (table_look.spread, lambda files, count: table_look.drawn(files, count, 7)):
        assert len(pieces(light, 20_000)) == table_look.PIECES
        taken = pieces(heavy, 20_000)
        assert len(taken) == 3
        assert 10_000 < sum(piece.count for piece in taken) <= 20_000


def test_heavy_rows_are_read_by_the_few(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows are heavy, fewer are read; and a long text is cut before it leaves."""
    monkeypatch.setattr(table_look, "MOST_BYTES", 4_000)
    heavy = pl.DataFrame({"n": range(100), "text": [random.Random(n).randbytes(2000).hex() for n in range(100)]})
    version = save(store, "table", heavy, attempt="a-1")
    found = table_look.sample(store, version)
    assert 1 <= len(found.rows) < 100
    assert found.of == 100
    assert all(len(str(row[1])) <= 201 for row in found.rows)


def test_columns_say_what_is_missing_and_how_values_are_spread(store: Store) -> None:
    """Nulls, distinct values, extremes and bins of what was read; not-a-number is in no bin; nested columns only count nulls."""
    frame = pl.DataFrame(
        {
            "x": [1.0, 2.0, math.nan, None, 3.0],
            "word": ["a", "a", "b", None, "=1+1"],
            "list": [[1], [2], None, [3], []],
            "one": [7, 7, 7, 7, 7],
        }
    )
    found = table_look.profile(store, save(store, "table", frame, attempt="a-1"))
    x, word, nested, one = found.columns
    assert (found.rows, found.of) == (5, 5)
    assert (x.nulls, sum(x.counts)) == (1, 3)
    assert (word.nulls, word.top[0]) == (1, ("a", 2))
    assert (nested.nulls, nested.distinct) == (1, None)
    assert (one.low, one.high, one.counts) == (7, 7, (5,))


def test_an_empty_table_has_nothing_to_see(store: Store) -> None:
    """A table without rows is looked at without a fault."""
    version = save(store, "table", people(0), attempt="a-1")
    assert table_look.sample(store, version).rows == ()
    assert table_look.profile(store, version).columns[0].distinct == 0


def test_rows_that_differ_are_counted_under_a_key(store: Store) -> None:
    """Added, removed and changed rows, which columns changed, and the cells; rows that moved are no difference."""
    before = people(10)
    after = pl.concat([before.filter(pl.col("id") != 3), people(2, 100)]).with_columns(
        town=pl.when(pl.col("id") == 5).then(pl.lit("moved")).otherwise("town")
    )
    old, new = (save(store, "table", frame, attempt=f"a-{n}") for n, frame in enumerate((before, after.reverse())))
    found = table_look.compare(store, old, new)
    assert (found.added, found.removed, found.changed, found.key, found.whole) == (2, 1, 1, ("id",), True)
    assert found.columns == {"town": 1}
    assert (found.changes[0].key, found.changes[0].before, found.changes[0].after) == ("5", "town 2", "moved")


def test_files_of_both_versions_are_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that only added rows differs in these, whatever it had before."""
    monkeypatch.setattr(parquet, "MOST_ROWS", 5)
    old = save(store, "table", people(10), attempt="a-0", number=1)
    new = save(store, "table", people(3, 50), attempt="a-1", number=2, prior=old, append=True)
    found = table_look.compare(store, old, new)
    assert (found.same, found.before, found.added, found.removed) == (10, 0, 3, 0)


def test_without_a_key_equal_rows_are_counted_one_by_one(store: Store) -> None:
    """Of three equal rows against one, two were removed; a key that does not name a row is refused."""
    frame = pl.DataFrame({"a": [1, 1, 1, 2]})
    old, new = (save(store, "table", some, attempt=f"a-{n}") for n, some in enumerate((frame, frame.tail(2))))
    found = table_look.compare(store, old, new)
    assert (found.added, found.removed, found.key) == (0, 2, ())
    with pytest.raises(UserError, match="does not name a row"):
        table_look.compare(store, old, new, ["a"])


def test_beyond_the_limits_it_says_that_rows_are_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two large tables only the first rows are compared, and `whole` is false."""
    monkeypatch.setattr(table_look, "DIFF_ROWS", 50)
    old, new = (save(store, "table", people(count), attempt=f"a-{count}") for count in (100, 120))
    found = table_look.compare(store, old, new)
    assert (found.before, found.after, found.whole) == (50, 50, False)
    assert entries(old)


def test_rejected_rows_are_shown_where_they_are(store: Store) -> None:
    """What a step would not keep lies beside the store, by artifact and attempt; elsewhere there is nothing to show."""
    assert table_look.rejected(store, "tills", "a-1") is None
    place = store.root / "rejected" / "tills"
    place.mkdir(parents=True)
    people(30).write_parquet(place / "a-1.parquet")
    found = table_look.rejected(store, "tills", "a-1")
    assert found is not None
    assert (len(found.rows), found.of) == (20, 30)
    with pytest.raises(UserError):
        table_look.rejected(store, "..", "a-1")
