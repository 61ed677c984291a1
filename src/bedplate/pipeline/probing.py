"""Trying a target out: does its catalog and its store do what a run will ask of them, and how long does each take.

It writes: the catalog is made where there is none, one event is recorded, and in the store a few objects are made and deleted again.
What fails ends its area, and the other is tried all the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.database import Database
from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError, CorruptError, StoreError
from bedplate.core.records import Event, Record
from bedplate.storage import disk
from bedplate.storage.bucket import Bucket

_FOLDER = "probe"
_SIZE = 1_000_000
_TESTED = "target.tested"


class Tried(Record, frozen=True, kw_only=True):
    """One thing that was asked of a target: how long it took, or what is wrong."""

    area: Literal["catalog", "store"]
    what: str
    seconds: float = 0.0
    problem: str = ""
    next: str = ""


Step = tuple[str, Callable[[], object]]


def try_catalog(open_database: Callable[[], Database], target: str, clock: Clock) -> Iterator[Tried]:
    """Connect, bring up to date, write and read back."""
    opened: list[Catalog] = []

    def connect() -> None:
        database = open_database()
        database.schema()
        opened.append(Catalog.open(database, clock))

    def write() -> None:
        opened[0].events.add(Event(kind=_TESTED, subject=target, at=clock.now()))

    def read() -> None:
        if opened[0].events.last(_TESTED, target) is None:
            raise StoreError("what was written is not there")

    try:
        yield from _tried("catalog", [("connect", connect), ("write", write), ("read", read)], clock)
    finally:
        for catalog in opened:
            catalog.close()


def try_bucket(open_bucket: Callable[[], Bucket | None], word: str, clock: Clock) -> Iterator[Tried]:
    """Put only where there is nothing, write a megabyte, read it back, list, delete; `word` keeps two tests apart."""
    opened: list[Bucket] = []
    once, key, content = f"{_FOLDER}/{word}/once", f"{_FOLDER}/{word}/megabyte", word.encode() * (_SIZE // len(word))

    def connect() -> None:
        bucket = open_bucket()
        assert bucket is not None
        opened.append(bucket)

    def conditional() -> None:
        if not opened[0].create(once, b"1") or opened[0].create(once, b"2"):
            raise StoreError("the store made again what was there", why="put-if-absent is not kept", next="take another store")

    def listed() -> None:
        if {found.key for found in opened[0].list(f"{_FOLDER}/{word}/")} != {once, key}:
            raise StoreError("what was written is not listed")

    steps: list[Step] = [
        ("connect", connect),
        ("conditional put", conditional),
        ("write 1 MB", lambda: opened[0].write(key, content)),
        ("read 1 MB", lambda: _same(opened[0].read(key), content)),
        ("list", listed),
        ("delete", lambda: opened[0].delete([once, key])),
    ]
    yield from _tried("store", steps, clock)


def try_folder(root: Path, word: str, clock: Clock) -> Iterator[Tried]:
    """The same of a folder of this machine."""
    folder = root / _FOLDER / word
    content = word.encode() * (_SIZE // len(word))

    def delete() -> None:
        with disk.guard("delete", folder):
            shutil.rmtree(folder)

    steps: list[Step] = [
        ("make a folder", lambda: disk.make_folder(folder)),
        ("write 1 MB", lambda: disk.write(folder / "megabyte", content)),
        ("read 1 MB", lambda: _same((folder / "megabyte").read_bytes(), content)),
        ("delete", delete),
    ]
    yield from _tried("store", steps, clock)


def _tried(area: Literal["catalog", "store"], steps: list[Step], clock: Clock) -> Iterator[Tried]:
    for what, step in steps:
        began = clock.monotonic()
        try:
            step()
        except BedplateError as error:
            why = f"{error.what}: {error.why}" if error.why else error.what
            yield Tried(area=area, what=what, seconds=clock.monotonic() - began, problem=why, next=error.next)
            return
        yield Tried(area=area, what=what, seconds=clock.monotonic() - began)


def _same(found: bytes | None, written: bytes) -> None:
    if found != written:
        raise CorruptError("what was read is not what was written")
