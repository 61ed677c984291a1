"""The table of a packed files version, as an uncompressed Arrow file, which is mapped and not parsed.

Rows are sorted by name. `shard` is a number into the version's list of shards, which is in its draft, so that whether all bytes are there
is asked without reading the table.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from bedplate.core.errors import CorruptError
from bedplate.storage.packs import Packed

SCHEMA = pl.Schema({"name": pl.String, "sha256": pl.Binary, "size": pl.Int64, "shard": pl.Int32, "offset": pl.Int64})


def write(packed: Sequence[Packed], shards: Sequence[str]) -> bytes:
    """The table's bytes."""
    numbers = {digest: number for number, digest in enumerate(shards)}
    columns = {
        "name": [one.name for one in packed],
        "sha256": [one.sha256 for one in packed],
        "size": [one.size for one in packed],
        "shard": [numbers[one.shard] for one in packed],
        "offset": [one.offset for one in packed],
    }
    written = io.BytesIO()
    pl.DataFrame(columns, schema=SCHEMA).write_ipc(written, compression="uncompressed")
    return written.getvalue()


def read(path: Path) -> pl.DataFrame:
    """The table. Raises CorruptError for a file that is none."""
    try:
        found = pl.read_ipc(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorruptError(f"{path} is not a table of packed files", why=str(error).splitlines()[0], next="bedplate doctor") from error
    if found.schema != SCHEMA:
        raise CorruptError(f"{path} is not a table of packed files", why=f"its columns are {found.columns}", next="bedplate doctor")
    return found


def named(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """The file of a name, as a table of one line or none."""
    return table.filter(pl.col("name") == name).head(1)


def rows(path: Path, shards: Sequence[str]) -> Iterator[Packed]:
    """Every file of the table."""
    for name, sha256, size, shard, offset in read(path).iter_rows():
        yield Packed(name, sha256, size, shards[shard], offset)
