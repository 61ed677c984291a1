"""The first rows of a Parquet or Arrow file that somebody sent, for people: the program that `storage/apart.py` starts.

Only the head is read: Polars stops at the pages that hold it. A page is unpacked whole, and may say that it is gigabytes: the limits of
this process end it then.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from bedplate.core.errors import BedplateError, StoreError
from bedplate.storage.apart import BYTES, LIMIT_S
from bedplate.storage.previews import Preview, Rows, broken, of_table, rows_of

_ROWS: Final = 100
_LARGEST: Final = 20_000_000_000


def preview(path: Path, form: str, size: int) -> Preview:
    """The first rows of a file that begins as Parquet or Arrow; what is wrong with it, where it cannot be read."""
    if size > _LARGEST:
        return Preview(form=form, size=size, why="it is too large to be looked into: download it")
    try:
        rows = _parquet(path) if form == "Parquet" else _arrow(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        return broken(form, size, str(error) or type(error).__name__)
    return of_table(form, rows, size)


def _parquet(path: Path) -> Rows:
    lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    return _rows(lazy.head(_ROWS).collect(), int(lazy.select(pl.len()).collect().item()))


def _arrow(path: Path) -> Rows:
    with path.open("rb") as file:
        frame = pl.read_ipc(file, n_rows=_ROWS + 1)
    return _rows(frame.head(_ROWS), frame.height if frame.height <= _ROWS else None)


def _rows(frame: pl.DataFrame, count: int | None) -> Rows:
    try:
        return rows_of([(name, str(kind)) for name, kind in frame.schema.items()], frame.iter_rows(), count)
    except (UnicodeDecodeError, OverflowError) as error:
        raise StoreError("the rows cannot be shown", why=str(error), next="download the file") from error


def main(path: str, form: str, size: str) -> None:
    """Look, within the limits, and say what was seen as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(LIMIT_S), int(LIMIT_S)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        found = preview(Path(path), form, int(size))
    except (BedplateError, MemoryError) as error:
        found = broken(form, int(size), str(error))
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
