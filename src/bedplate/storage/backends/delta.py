"""Delta commits of tables.

We write the Parquet files ourselves, in order and in exact types, and commit their names; a version of a table is the list of files that
the catalog pins, so nothing is read through Delta here. The table's own clean-up of its log is off and its retention a century: what is
collected is decided by `gc` alone. A commit carries the attempt's id and the content digest, and is flushed to the disk afterwards, as
the library does not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from arro3.core import RecordBatchReader
from deltalake import DeltaTable, Schema, TableFeatures
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, CommitProperties, PostCommitHookProperties, RemoveAction, create_table_with_add_actions

from bedplate.core.errors import StoreError
from bedplate.storage import disk

from .parquet import PartFile
from .place import Place

ATTEMPT = "bedplate.attempt"
DIGEST = "bedplate.digest"
_CENTURY = "interval 36500 days"
CONFIGURATION = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": _CENTURY,
    "delta.deletedFileRetentionDuration": _CENTURY,
}
HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)


def commit(place: Place, schema: pl.Schema, files: list[PartFile], marks: dict[str, str]) -> int:
    """Commit a version that has just these files, of which some may be in earlier versions; the Delta version.

    The table is made when it is not there.
    """
    arrow = arrow_schema(schema)
    with errors("commit to", place.uri):
        if not place.is_table():
            create_table_with_add_actions(
                place.uri, arrow, [_add(file) for file in files], mode="error", configuration=CONFIGURATION,
                commit_properties=CommitProperties(custom_metadata=marks), post_commithook_properties=HOOKS,
                storage_options=place.options,
            )  # fmt: skip
            return place.flushed(0)
        table = opened(place)
        allow(table, arrow)
        before, after = listed(table), {file.name for file in files}
        added: list[AddAction | RemoveAction] = [_add(file) for file in files if file.name not in {old.name for old in before}]
        if len(added) == len(files):
            return _write(table, place, "overwrite", added, arrow, marks)
        removed = _removed([file for file in before if file.name not in after])
        return _write(table, place, "append", [*added, *removed], arrow, marks)


def opened(place: Place) -> DeltaTable:
    """The newest version of a table."""
    return DeltaTable(place.uri, storage_options=place.options)


def undo(place: Place, pinned: int | None, attempt: str) -> bool:
    """Where the newest commit of rows is this attempt's and not the pinned one, go back to the pinned version; whether it was so."""
    with errors("restore", place.uri):
        if not place.is_table():
            return False
        table = opened(place)
        newest = table.history(1)[0]
        if newest.get(ATTEMPT) != attempt or newest["version"] == pinned:
            return False
        if pinned is not None:
            table.restore(
                pinned, ignore_missing_files=True, commit_properties=CommitProperties(custom_metadata={"bedplate.undone": attempt})
            )
            place.flushed(table.version())
        elif newest["version"] == 0:
            place.remove()
        return True


def carries(place: Place, attempt: str) -> bool:
    """Whether the newest commit is this attempt's, as far as can be seen: then its files stay for recovery to decide about."""
    try:
        return place.is_table() and opened(place).history(1)[0].get(ATTEMPT) == attempt
    except (DeltaError, OSError):
        return True


def active(place: Place) -> set[str]:
    """The names of the files in the table's newest version; empty where there is no table."""
    with errors("read", place.uri):
        if not place.is_table():
            return set()
        return {Path(uri).name for uri in opened(place).file_uris()}


def listed(table: DeltaTable) -> list[PartFile]:
    """The files of an open table, by name."""
    actions = pl.DataFrame(table.get_add_actions(flatten=True)).select("path", "size_bytes", "num_records")
    return sorted((PartFile(*row) for row in actions.rows()), key=lambda file: file.name)


def _write(
    table: DeltaTable, place: Place, mode: Any, actions: list[AddAction | RemoveAction], arrow: Schema, marks: dict[str, str]
) -> int:
    properties = CommitProperties(custom_metadata=marks)
    table.create_write_transaction(actions, mode, arrow, commit_properties=properties, post_commithook_properties=HOOKS)
    table.update_incremental()
    return place.flushed(table.version())


def allow(table: DeltaTable, arrow: Schema) -> None:
    """Times without a zone need a table feature; committed without it, the table could not be opened again."""
    features = table.protocol().reader_features or []
    if "timestamp_ntz" in arrow.to_json() and "timestampNtz" not in features:
        table.alter.add_feature(TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True)


def _add(file: PartFile) -> AddAction:
    return AddAction(file.name, file.size, {}, int(time.time() * 1000), True, json.dumps({"numRecords": file.rows}))


def _removed(files: list[PartFile]) -> list[RemoveAction]:
    now = int(time.time() * 1000)
    return [RemoveAction(file.name, True, now, file.size, {}) for file in files]


def arrow_schema(schema: pl.Schema) -> Schema:
    """The Delta schema of stored types."""
    return Schema.from_arrow(RecordBatchReader.from_arrow(pl.DataFrame(schema=schema)).schema)


@contextmanager
def errors(doing: str, where: str | Path) -> Iterator[None]:
    """Turn what the library and the disk say inside the block into a StoreError; a lost race for a commit passes through."""
    try:
        yield
    except CommitFailedError:
        raise
    except OSError as error:
        raise disk.store_error(error, doing, where) from error
    except DeltaError as error:
        if disk.is_disk_error(error):
            raise disk.store_error(error, doing, where) from error
        raise StoreError(f"cannot {doing} the table {where}", why=str(error), next="bedplate doctor") from error
