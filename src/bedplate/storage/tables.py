"""Tables: one Delta table per artifact at `tables/<artifact>`, a commit per version. This is the light half.

A version's `meta["files"]` lists its Parquet files in stored order as [name, size, rows], and everything is read through that list: a
glob over the folder would read other versions too. What needs Polars or deltalake is in `backends/`, loaded when a table is first saved
or loaded, so that asking whether a version is there costs a `stat` per file.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bedplate.core.errors import CorruptError, StoreError, UserError
from bedplate.core.kinds import View
from bedplate.core.records import Draft, Record, Version

from . import disk, folders
from .blobs import corrupt, gone
from .bucket import Bucket
from .shelf import Save

FOLDER = "tables"
INDEXES = "features"
FEATURES = "features"
"""In the draft of a features table: how it was keyed when it was made. What looks rows up says itself how."""
REJECTED = "rejected"
"""Rows that were not as expected, by artifact and attempt."""


class Pinned(Record, frozen=True, kw_only=True):
    """What a reader outside needs of a table version: its files in stored order, and the schema text that gives their types."""

    paths: tuple[Path, ...]
    schema: str = ""


class TableShelf:
    """Keeps tables."""

    def __init__(self, root: Path, bucket: Bucket | None = None) -> None:
        self.root = root
        self._bucket = bucket

    def save(self, request: Save) -> Draft:
        """Write a frame (Polars, pandas, Arrow, DuckDB; lazy frames as a stream) as the table's next version."""
        uri_of(request.artifact)
        disk.name(request.attempt, "the id of an attempt")
        draft: Draft = self._backend("table_save").save(self.root, request, self._bucket)
        return draft

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """The table as `view`; for `features`, `spec` says how it is keyed."""
        paths = self.files(version)
        for path, (_, size, _) in zip(paths, entries(version), strict=True):
            _look(path, size)
        if view == "path":
            names = [f"part-{number:05}.parquet" for number in range(len(paths))]
            return folders.linked(self.root, version.digest, list(zip(names, paths, strict=True)))
        return self._backend("table_views").load(version, paths, view, spec, self.root / indexes(version.digest))

    def missing(self, version: Draft) -> list[str]:
        """The files of the version that are gone or of another size."""
        folder = self.root / version.uri
        return [f"{version.uri}/{name}" for name, size, _ in entries(version) if not folders.is_there(folder / name, size)]

    def verify(self, version: Draft) -> None:
        """Read the table and compute its digest again. Raises CorruptError."""
        paths = self.files(version)
        found = self._backend("table_save").digest_of(version, paths)
        if found != version.digest:
            raise corrupt(self.root / version.uri, f"the rows of {version.artifact} have the digest {found}, not {version.digest}")

    def shed(self, version: Draft) -> list[str]:
        """Put away the files that cannot be read; where all can and the rows are others, all of them. `gc` takes them in time."""
        there = [path for path in self.files(version) if path.exists()]
        bad = [path for path in there if not self._reads(version, [path])]
        if not bad and not self._reads(version, there, version.digest):
            bad = there
        for path in bad:
            with disk.guard("put away", path):
                path.replace(path.with_name(f"{disk.TEMPORARY}corrupt-{path.name}"))
        return [str(path.relative_to(self.root)) for path in bad]

    def _reads(self, version: Draft, paths: list[Path], digest: str = "") -> bool:
        try:
            found = self._backend("table_save").digest_of(version, paths)
        except StoreError:
            return False
        return not digest or bool(found == digest)

    def keeps(self, version: Draft) -> Iterable[str]:
        """Its Parquet files, the folder that shows them under plain names, and that of its indexes."""
        files = (f"{version.uri}/{name}" for name, _, _ in entries(version))
        return [*files, folders.relative(version.digest), indexes(version.digest)]

    def files(self, version: Draft) -> list[Path]:
        """Its Parquet files, in stored order."""
        folder = disk.inside(self.root, version.uri)
        return [folder / name for name, _, _ in entries(version)]

    def restore(self, artifact: str, pinned: Version | None, attempt: str) -> bool:
        """Undo the attempt's commit where the catalog does not pin it; see `Store.restore`."""
        uri = uri_of(artifact)
        if self._bucket is None and not (self.root / uri).is_dir():
            return False
        place = self._backend("place").Place(self.root, uri, self._bucket)
        undone: bool = self._backend("delta").undo(place, pinned.table_version if pinned else None, attempt)
        return undone

    def combine(self, artifact: str, parts: Mapping[str, Version], attempt: str) -> Draft:
        """One version of all parts' rows, in the order of their keys: one commit. Raises UserError where their columns differ."""
        disk.name(attempt, "the id of an attempt")
        draft: Draft = self._backend("table_save").combine(self.root, artifact, parts, attempt, self._bucket)
        return draft

    def keys(self, version: Draft) -> tuple[str, ...]:
        """The keys of a table made of parts. Raises UserError for another."""
        if "parts" not in version.meta:
            raise UserError(
                f"{version.artifact} has no parts",
                why="a table has keys only when it was itself made each=",
                next="each= takes keys by calendar (daily, hourly), files, a list, a mapping, or what was made each=",
            )
        return tuple(key for key, *_ in version.meta["parts"])

    @staticmethod
    def _backend(name: str) -> Any:
        return importlib.import_module(f".backends.{name}", __package__)


def uri_of(artifact: str) -> str:
    """The folder of an artifact's table, relative to the store; a part (`late[2025-01-31]`) lies in its artifact's. Raises UserError."""
    return f"{FOLDER}/{disk.name(artifact.partition('[')[0], 'the name of an artifact')}"


def indexes(digest: str) -> str:
    """The folder of a version's feature indexes, relative to the store: derived, it may be deleted at any time."""
    return f"{INDEXES}/{digest.partition(':')[2]}"


def entries(version: Draft) -> list[tuple[str, int, int]]:
    """Name, size in bytes and rows of each of a version's files. Raises CorruptError."""
    try:
        return [(str(name), int(size), int(rows)) for name, size, rows in version.meta["files"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptError(
            f"the record of table {version.artifact} does not list its files", why=repr(error), next="bedplate doctor"
        ) from error


def _look(path: Path, size: int) -> None:
    """Notice a file that is gone, cut off or overwritten, before a lazy frame meets it in the user's own code."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            end = file.seek(0, 2)
            file.seek(max(end - 4, 0))
            tail = file.read(4)
    except FileNotFoundError:
        raise gone(path) from None
    except OSError as error:
        raise disk.store_error(error, "read", path) from error
    if end != size or head != b"PAR1" or tail != b"PAR1":
        raise corrupt(path, f"it is not the Parquet file of {size} bytes that was written")
