"""Files of a version, a page at a time, and the bytes of one: without giving all of them back under their names.

A packed version has a table of its files, which is read whole (a line per file), and of its shards only the bytes asked for.
Nothing heavy is imported here.
Limit: a store in a bucket fetches the file, or the shard that it lies in.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final

from bedplate.core.errors import NotFound
from bedplate.core.records import Record, Version

from . import disk, manifests
from .blobs import Blobs
from .manifests import SHARDS, Manifest, digest_at
from .previews import HEAD_BYTES, Preview, preview
from .store import Store

MOST_BYTES: Final = 64_000_000
"""Of a file that is given as bytes."""


class OneFile(Record, frozen=True, kw_only=True):
    """One file: its digest where it is a blob of its own, else in which shard it lies, from which byte on."""

    name: str
    size: int
    digest: str = ""
    shard: str = ""
    offset: int = 0


def listed(store: Store, version: Version, start: int = 0, count: int = 60) -> tuple[list[OneFile], int]:
    """Some files from the one at `start` on, by name, and how many there are. Raises StoreError, CorruptError."""
    if SHARDS in version.meta:
        table = _table(store, version)
        return _packed(version, table.slice(start, count)), int(table.height)
    members = _manifest(store, version).members
    some = members[start : start + count]
    return [OneFile(name=one.name, size=one.size, digest=one.digest) for one in some], len(members)


def named(store: Store, version: Version, name: str) -> OneFile:
    """The file of a name. Raises NotFound."""
    if SHARDS in version.meta:
        found = _packed(version, importlib.import_module(".backends.packed", __package__).named(_table(store, version), name))
    else:
        members = _manifest(store, version).members
        found = [OneFile(name=one.name, size=one.size, digest=one.digest) for one in members if one.name == name]
    if not found:
        raise NotFound(f"{version.ref} has no file '{name}'")
    return found[0]


def look(store: Store, one: OneFile, *, rows: bool = True) -> Preview:
    """What a file is, and what of it may be shown; without `rows` no table is looked into. Raises StoreError where its bytes are gone."""
    if one.digest:
        return store.preview(one.digest, one.name, rows=rows)
    return preview(one.name, data(store, one, HEAD_BYTES), one.size)


def data(store: Store, one: OneFile, most: int = MOST_BYTES) -> bytes:
    """The first bytes of a file. Raises StoreError where they are gone."""
    path = store.blob(one.digest or one.shard)
    with disk.guard("read", path), path.open("rb") as file:
        file.seek(one.offset)
        return file.read(min(one.size, most))


def _manifest(store: Store, version: Version) -> Manifest:
    store.blob(digest_at(version.uri))
    return manifests.get(Blobs(store.root), version.uri)


def _table(store: Store, version: Version) -> Any:
    return importlib.import_module(".backends.packed", __package__).read(store.blob(digest_at(version.uri)))


def _packed(version: Version, table: Any) -> list[OneFile]:
    shards: Sequence[str] = [digest for digest, _ in version.meta[SHARDS]]
    rows = table.select("name", "size", "shard", "offset").rows()
    return [OneFile(name=name, size=size, shard=shards[number], offset=offset) for name, size, number, offset in rows]
