"""The first rows of a Parquet or Arrow file that somebody sent, for people.

Only the head is read: Polars stops at the pages that hold it, so what would unpack to gigabytes does not. Limits: a page is unpacked whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from bedplate.core.errors import StoreError
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
