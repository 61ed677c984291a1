"""Backups: the record at one moment and every byte that it names, taken while work goes on; and their way back onto an empty place.

A backup lies in a folder or bucket as a store does, with the record beside it:

    blobs/ tables/ logs/            as in a store; what an earlier backup brought is not copied again
    record-<time>.jsonl             every row of the record (`catalog/archive.py`)
    objects-<time>.jsonl            [key, size] of every object that this record needs
    backup.json                     which of these belong together; written last

The record is read first, in one snapshot: bytes are written before the record names them, and what it names is never collected, so all of
them are there to be copied while runs, servers and `gc` go on. Restoring goes the other way: bytes first, the record last and in one
transaction; killed anywhere, there is no record yet, and restoring again takes up what is there. Backups are free of engines: one of
SQLite and files may be restored onto PostgreSQL and a bucket.

Not in a backup: checkpoints of unfinished training, outcomes that no record names yet, copies and caches.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from bedplate.catalog.archive import read_record, refuse_filled, write_record
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.database import Database
from bedplate.core import digests
from bedplate.core.clock import iso
from bedplate.core.errors import BusyError, CorruptError, NotFound, Refused, StoreError
from bedplate.core.records import Record, Version
from bedplate.storage.blobs import Blobs
from bedplate.storage.bucket import Bucket
from bedplate.storage.folder_bucket import FolderBucket
from bedplate.storage.logs import FOLDER as LOGS
from bedplate.storage.store import Store
from bedplate.storage.tables import FOLDER as TABLES

from .owner import NO_PROJECT

Answer = TypeVar("Answer")
MANIFEST = "backup.json"
_LOG = "_delta_log"
_CHECKPOINT = "_last_checkpoint"
"""Only a hint to readers of a table's log, and the one file in it that changes: left out."""
_AT_ONCE = 8
_TRIES = 5
_LISTED = msgspec.json.Decoder(tuple[str, int])


class Backup(Record, frozen=True, kw_only=True):
    """One backup: when the record was read, its rows and versions, the objects that it needs and their bytes.

    `copied` of the objects were not there yet; `gone` are keys that the record names and the store has lost.
    """

    project: str
    at: datetime
    record: str
    digest: str
    listed: str
    rows: int
    versions: int
    objects: int
    bytes: int
    copied: int = 0
    gone: tuple[str, ...] = ()


def back_up(catalog: Catalog, store: Store, target: Bucket, project: str, at: datetime) -> Backup:
    """Take a backup into `target`. Raises StoreError, CatalogError, Refused; what an earlier one left there stays whole."""
    _refuse_place(store.objects, target, project)
    stamp = iso(at).replace(":", "").replace("-", "")
    with tempfile.TemporaryDirectory(prefix="bedplate-backup-") as folder:
        record, listed = Path(folder) / "record.jsonl", Path(folder) / "objects.jsonl"
        rows, versions, kept = catalog.database.snapshot(lambda: _read(catalog, record))
        keys = {key for version in versions for key in store.needs(version)} | {Blobs.relative(digest) for digest in kept}
        sizes = dict(zip(sorted(keys), _at_once(store.objects.size, sorted(keys)), strict=True))
        there = {key: size for key, size in sizes.items() if size is not None}
        copied = _copy(store.objects, target, there)
        copied += _copy_logs(store.objects, target, {f"{key.rpartition('/')[0]}/{_LOG}/" for key in keys if key.startswith(TABLES)}, there)
        listed.write_bytes(b"".join(msgspec.json.encode(pair) + b"\n" for pair in there.items()))
        made = Backup(
            project=project, at=at, record=f"record-{stamp}.jsonl", digest=digests.of_file(record), listed=f"objects-{stamp}.jsonl",
            rows=rows, versions=len(versions), objects=len(there), bytes=sum(there.values()), copied=copied,
            gone=tuple(key for key, size in sizes.items() if size is None),
        )  # fmt: skip
        target.send(record, made.record)
        target.send(listed, made.listed)
    target.write(MANIFEST, msgspec.json.encode(made))
    return made


def restore(source: Bucket, open_database: Callable[[], Database], open_objects: Callable[[], Bucket], project: str = "") -> Backup:
    """Bring a backup onto an empty place. `project` is whose place it is, where that is known; what is of no project goes anywhere.

    Raises NotFound, CorruptError, and Refused where something is there or the backup is of another project.
    """
    made = _newest(source)
    if made is None:
        raise NotFound(f"there is no backup at {source.url}", why=f"it has no {MANIFEST}", next="bedplate backup DEST makes one")
    if project and made.project not in (project, NO_PROJECT):
        here = "there is none here" if project == NO_PROJECT else f"the project here is '{project}', and could not use its record"
        raise Refused(
            f"the backup at {source.url} is of project '{made.project}'",
            why=here,
            next=f"bedplate restore SRC --project FOLDER, with the folder of '{made.project}'",
        )
    database = open_database()
    try:
        refuse_filled(database)
        with tempfile.TemporaryDirectory(prefix="bedplate-restore-") as folder:
            record, listed = Path(folder) / "record.jsonl", Path(folder) / "objects.jsonl"
            source.fetch(made.record, record)
            source.fetch(made.listed, listed)
            if digests.of_file(record) != made.digest:
                raise CorruptError(
                    f"{source.url}/{made.record} is corrupt", why="its digest is another than was noted", next="take another backup"
                )
            sizes = _sizes(listed, made, source)
            objects = open_objects()
            _refuse_others(objects, sizes)
            copied = _copy(source, objects, sizes)
            with record.open("rb") as lines:
                read_record(database, lines)
    finally:
        database.close()
    return msgspec.structs.replace(made, copied=copied)


def _newest(place: Bucket) -> Backup | None:
    """What `backup.json` says there; None where there is none."""
    found = place.read(MANIFEST)
    try:
        return None if found is None else msgspec.json.decode(found, type=Backup)
    except msgspec.DecodeError as error:
        raise CorruptError(f"{place.url}/{MANIFEST} is not that of a backup", why=str(error), next="give another place") from None


def _refuse_place(objects: Bucket, target: Bucket, project: str) -> None:
    """One place holds the backups of one project, since one `backup.json` says which is the newest; and a store is no place for its own."""
    if isinstance(objects, FolderBucket) and isinstance(target, FolderBucket):
        same = target.root.resolve().is_relative_to(objects.root.resolve())
    else:
        same = objects.url == target.url
    if same:
        raise Refused(f"{target.url} is the store itself", why="a backup there would be lost with it", next="give another place")
    there = _newest(target)
    if there is not None and there.project != project:
        raise Refused(
            f"the backups at {target.url} are of project '{there.project}'",
            why=f"one of '{project}' would take their place",
            next="give each project a folder of its own",
        )


def _sizes(listed: Path, made: Backup, source: Bucket) -> dict[str, int]:
    """Key and size of each object of the backup. Raises CorruptError where the list is not the one that was written."""
    try:
        sizes = dict(_LISTED.decode(line) for line in listed.read_bytes().splitlines())
    except msgspec.DecodeError:
        sizes = {}
    if (len(sizes), sum(sizes.values())) != (made.objects, made.bytes):
        raise CorruptError(
            f"{source.url}/{made.listed} is corrupt", why="it lists other objects than were noted", next="take another backup"
        )
    return sizes


def _read(catalog: Catalog, record: Path) -> tuple[int, list[Version], set[str]]:
    with record.open("wb") as file:
        rows = write_record(catalog.database, file)
    return rows, catalog.artifacts.referenced(), catalog.kept_files()


def _copy_logs(source: Bucket, target: Bucket, tables: Iterable[str], there: dict[str, int]) -> int:
    """Copy the logs of these tables, and all of what is appended to, and add them to `there`; how many were not there yet.

    The log of what is appended to is cleaned by who writes it: where a part went while it was copied, it is read again.
    """
    places = [*tables, f"{LOGS}/"]
    for _ in range(_TRIES):
        found = {one.key: one.size for place in places for one in source.list(place) if not one.key.endswith(_CHECKPOINT)}
        with contextlib.suppress(StoreError):
            copied = _copy(source, target, found)
            if all(size is not None for size in _at_once(source.size, found)):
                there |= found
                return copied
    raise BusyError("the logs of predictions change faster than they can be copied", next="try again")


def _copy(source: Bucket, target: Bucket, sizes: dict[str, int]) -> int:
    """Copy what is not there yet; how many."""
    wanted = [key for key, size in zip(sizes, _at_once(target.size, sizes), strict=True) if size != sizes[key]]
    _at_once(lambda key: _carry(source, target, key), wanted)
    return len(wanted)


def _carry(source: Bucket, target: Bucket, key: str) -> None:
    if isinstance(source, FolderBucket):
        target.send(source.path(key), key)
    elif isinstance(target, FolderBucket):
        source.fetch(key, target.path(key))
    else:
        with tempfile.TemporaryDirectory(prefix="bedplate-carry-") as folder:
            aside = Path(folder) / Path(key).name
            source.fetch(key, aside)
            target.send(aside, key)


def _refuse_others(objects: Bucket, sizes: dict[str, int]) -> None:
    """A store with tables of others would mix two histories; what an interrupted restore left is a part of this one."""
    for prefix in (f"{TABLES}/", f"{LOGS}/"):
        other = next((one.key for one in objects.list(prefix) if one.key not in sizes), None)
        if other is not None:
            raise Refused(
                f"the store at {objects.url} is not empty",
                why=f"{other} is not of this backup",
                next="give another store (--target NAME), or move this one away",
            )


def _at_once(work: Callable[[str], Answer], keys: Iterable[str]) -> list[Answer]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(work, keys))
