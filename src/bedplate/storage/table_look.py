"""What is in a table version, told by a few of its rows: for people, in bounded bytes, rows and time, however large it is.

Choices: rows are taken in pieces from places all over the table (from the first rows on, or drawn by a seed), each a slice of one file, and
from `FILES` files at most, so that a store in a bucket fetches no more. How many depends on how wide and heavy rows are. Two versions are
compared without the files that both have, which is exact, and of the others up to `DIFF_ROWS` rows. Nothing heavy is imported here.
Limits: figures are of the rows read, and say how many; a piece costs the reading of one row group of its file, so that a table whose
row groups are heavy is looked at in fewer places. One piece is read after the other, which holds one row group at a time.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from bedplate.core.records import Record, Version

from . import disk
from .store import Store
from .tables import REJECTED, entries

FILES: Final = 8
COLUMNS: Final = 40
"""Columns looked at together."""
MOST_BYTES: Final = 8_000_000
"""Of files, compressed: how much of them a look reads, as the rows share it evenly."""
PIECES: Final = 20
READ_BYTES: Final = 100_000_000
"""Of files, compressed: how much a look reads in all, for a piece costs its whole row group."""
_GROUP_ROWS: Final = 262_144
"""Rows of a row group, at most, as tables are written."""
_FEWEST: Final = 3
PROFILE_ROWS: Final = 20_000
DIFF_ROWS: Final = 100_000
DIFF_BYTES: Final = 32_000_000
SHOWN: Final = 20
Cell = str | int | float | bool | None
_Entry = tuple[str, int, int]


class Piece(Record, frozen=True, kw_only=False):
    """Some rows of one file."""

    file: str
    start: int
    count: int


class Rows(Record, frozen=True):
    """A few rows: `of` is how many the version has; cells are plain, long ones cut."""

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    of: int


class ColumnLook(Record, frozen=True):
    """What the rows read say of a column: missing and different values, extremes, the mean, and how values are spread.

    `edges` (one more than `counts`) are those of equal bins between the hundredths at both ends; the end bins hold what lies beyond too.
    `top` are the most frequent values of what is no number.
    """

    name: str
    type: str
    nulls: int
    distinct: int | None = None
    low: Cell = None
    high: Cell = None
    mean: float | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()


class TableLook(Record, frozen=True):
    """Columns of a version, by `rows` of its `of` rows."""

    rows: int
    of: int
    columns: tuple[ColumnLook, ...]


class Change(Record, frozen=True, kw_only=False):
    """A cell of a row that both versions have."""

    key: str
    column: str
    before: Cell
    after: Cell


class RowDiff(Record, frozen=True):
    """How the rows of two versions differ. `same` rows are in files of both; of the others `before` and `after` were read.

    `whole` says that no row is left out. With a `key`, `changed` rows are in both under one key with other values; `columns` counts them
    by column. Without one a changed row is one removed and one added. Only `compared` columns count.
    """

    same: int
    before: int
    after: int
    whole: bool
    added: int
    removed: int
    changed: int = 0
    key: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    columns: dict[str, int] = msgspec.field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    added_rows: tuple[tuple[Cell, ...], ...] = ()
    removed_rows: tuple[tuple[Cell, ...], ...] = ()


def sample(store: Store, version: Version, count: int = 100, seed: int | None = None, first_column: int = 0) -> Rows:
    """The first rows, or with a seed some by chance, in stored order; `COLUMNS` columns from the one given on. Raises StoreError."""
    files = entries(version)
    most = min(count, _affordable(files, count))
    taken = first(files, most) if seed is None else drawn(files, most, seed)
    found: Rows = _backend().sample(_parts(store, version, taken), _names(version, first_column), _total(files))
    return found


def profile(store: Store, version: Version, first_column: int = 0) -> TableLook:
    """What `COLUMNS` columns from the one given on hold, by rows from all over the table. Raises StoreError."""
    files = entries(version)
    most = min(_affordable(files, PROFILE_ROWS), PROFILE_ROWS)
    parts = _parts(store, version, spread(files, most))
    found: TableLook = _backend().profile(parts, _names(version, first_column), _total(files))
    return found


def compare(store: Store, old: Version, new: Version, key: Sequence[str] = ()) -> RowDiff:
    """How the rows of two versions of a table differ; `key` are columns that name a row, found where none are given.

    Raises UserError for a key that names no row, StoreError.
    """
    before, after = entries(old), entries(new)
    there = {one[:2] for one in before} & {one[:2] for one in after}
    sides = [[one for one in files if one[:2] not in there] for files in (before, after)]
    taken = [first(files, _within(files)) for files in sides]
    whole = all(sum(piece.count for piece in some) == _total(files) for some, files in zip(taken, sides, strict=True))
    same = sum(one[2] for one in before if one[:2] in there)
    found: RowDiff = _backend().compare(_parts(store, old, taken[0]), _parts(store, new, taken[1]), tuple(key), same, whole)
    return found


def pieces(store: Store, version: Version, count: int) -> list[Any]:
    """Lazy frames of at most so many rows from all over the table."""
    files = entries(version)
    return _parts(store, version, spread(files, min(_affordable(files, count), count)))


def newest(store: Store, version: Version, most_rows: int, most_bytes: int) -> tuple[list[Any], int]:
    """Lazy frames of the last files, where appended rows are, as many as are within the limits (at least one); and their rows."""
    taken: list[_Entry] = []
    size = count = 0
    for one in reversed(entries(version)):
        size, count = size + one[1], count + one[2]
        if taken and (size > most_bytes or count > most_rows):
            break
        taken.insert(0, one)
    return [store.part(version, name) for name, _, _ in taken], _total(taken)


def rejected(store: Store, artifact: str, attempt: str, count: int = 20) -> Rows | None:
    """The first rows that an attempt would not keep, each with what it breaks; None where there are none on this machine."""
    name = f"{disk.name(artifact, 'the name of an artifact')}/{disk.name(attempt, 'the id of an attempt')}.parquet"
    path = disk.inside(store.root, f"{REJECTED}/{name}")
    if not path.is_file():
        return None
    found: Rows = _backend().rejected(path, count)
    return found


def first(files: Sequence[_Entry], count: int) -> list[Piece]:
    """The first rows."""
    taken = []
    for name, _, held in files:
        some = min(held, count)
        if some:
            taken.append(Piece(name, 0, some))
        count -= some
    return taken


def spread(files: Sequence[_Entry], count: int) -> list[Piece]:
    """Rows from `PIECES` places at even distances, from fewer where each is heavy to reach."""
    total = _total(files)
    if total <= count:
        return first(files, count)
    places = _places(files)
    each = max(count // places, 1)
    return _at(files, [number * (total - each) // (places - 1) for number in range(places)], each)


def drawn(files: Sequence[_Entry], count: int, seed: int) -> list[Piece]:
    """Rows from `PIECES` places by chance, from fewer where each is heavy to reach."""
    total = _total(files)
    if total <= count:
        return first(files, count)
    places = _places(files)
    each = max(count // places, 1)
    chance = random.Random(seed)
    return _at(files, sorted(chance.randrange(total - each + 1) for _ in range(places)), each)


def _at(files: Sequence[_Entry], starts: Sequence[int], each: int) -> list[Piece]:
    """Pieces of so many rows from these rows of the table on; none is longer than its file, and no row is taken twice."""
    taken: list[Piece] = []
    begin, at = 0, 0
    for name, _, held in files:
        while at < len(starts) and starts[at] < begin + held:
            last = taken[-1] if taken and taken[-1].file == name else None
            start = max(starts[at] - begin, last.start + last.count if last else 0)
            if start < held:
                taken.append(Piece(name, start, min(each, held - start)))
            at += 1
        begin += held
    kept = list(dict.fromkeys(piece.file for piece in taken))
    some = set(kept[:: -(-len(kept) // FILES) or 1])
    return [piece for piece in taken if piece.file in some]


def _affordable(files: Sequence[_Entry], most: int) -> int:
    """How many rows weigh no more than MOST_BYTES, compressed; at least one.

    No more than the fullest file has: a file is cut where it would be too large for memory, however well it compresses.
    """
    size, count = sum(one[1] for one in files), _total(files)
    return min(max(int(MOST_BYTES * count / size), 1) if size else most, max(one[2] for one in files))


def _places(files: Sequence[_Entry]) -> int:
    """From how many places rows are taken, so that their row groups weigh no more than READ_BYTES."""
    group = max(one[1] * min(1.0, _GROUP_ROWS / one[2]) if one[2] else 0.0 for one in files)
    return PIECES if not group else min(max(int(READ_BYTES / group), _FEWEST), PIECES)


def _within(files: Sequence[_Entry]) -> int:
    """How many of the first rows are within the limits of a comparison."""
    count, size = 0, 0
    for number, (_, weight, held) in enumerate(files):
        size += weight
        if number >= FILES or (number and size > DIFF_BYTES):
            break
        count += held
    return min(count, DIFF_ROWS, max((one[2] for one in files), default=0))


def _total(files: Sequence[_Entry]) -> int:
    return sum(one[2] for one in files)


def _names(version: Version, first_column: int) -> tuple[str, ...]:
    return tuple(one.name for one in version.columns[first_column : first_column + COLUMNS])


def _parts(store: Store, version: Version, taken: Sequence[Piece]) -> list[Any]:
    """Lazy frames of these pieces; without any, one of the first file, for its columns."""
    files = list(dict.fromkeys(piece.file for piece in taken)) or [entries(version)[0][0]]
    frames = {name: store.part(version, name) for name in files}
    return [frames[piece.file].slice(piece.start, piece.count) for piece in taken] or [frames[files[0]].head(0)]


def _backend() -> Any:
    return importlib.import_module(".backends.table_look", __package__)
