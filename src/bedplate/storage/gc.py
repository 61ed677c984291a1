"""Collecting garbage: files that no kept version names and that are old.

A file goes only when it is older than `older_than` (before every live lease, so nothing of a running attempt), is not named by a kept
version, and, in a table, is not in the table's newest commit (so that it opens by path for others). A table that no kept version uses goes
as a whole. Before a blob goes it is moved aside and its time looked at again: a writer that found it there has renewed its time, and
gets it back. Logs keep their rows; only files that compaction left behind go. A folder that cannot be read stops the collection.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from bedplate.core.records import Record

from . import blobs, checkpoints, disk, folders, logs, staging, tables


class Freed(msgspec.Struct, frozen=True):
    """How many files went, and how many bytes they held."""

    files: int = 0
    bytes: int = 0


class GcReport(Record, frozen=True, kw_only=True):
    """What was collected (or would be, in a dry run), by place: blobs, tables, logs, views, features, checkpoints, staged, rejected.

    `forgotten` is what went out of the record before: runs, logged models and experiments that clients had deleted.
    """

    freed: dict[str, Freed]
    forgotten: dict[str, int] = msgspec.field(default_factory=dict)
    dry_run: bool

    @property
    def files(self) -> int:
        """Files in all."""
        return sum(freed.files for freed in self.freed.values())

    @property
    def bytes(self) -> int:
        """Bytes in all. A view's are not counted: they are links to bytes kept elsewhere."""
        return sum(freed.bytes for place, freed in self.freed.items() if place != folders.FOLDER)


def collect(root: Path, kept: set[str], older_than: datetime, dry_run: bool) -> GcReport:
    """Collect under `root` what is not in `kept` (paths relative to it) and is older. Raises StoreError."""
    before = older_than.timestamp()
    freed = {
        blobs.FOLDER: _sweep(_old(root, _blobs(root), kept, before), before, dry_run),
        tables.FOLDER: _collect_tables(root, kept, before, dry_run),
        logs.FOLDER: _collect_logs(root, before, dry_run),
        folders.FOLDER: _collect_views(root / folders.FOLDER, root, kept, before, dry_run),
        tables.INDEXES: _collect_views(root / tables.INDEXES, root, kept, before, dry_run),
        checkpoints.FOLDER: _collect_checkpoints(root, before, dry_run),
        staging.FOLDER: _sweep(_old(root, _files(root / staging.FOLDER), kept, before), before, dry_run),
        tables.REJECTED: _sweep(_old(root, _tree(root / tables.REJECTED), kept, before), before, dry_run),
    }
    return GcReport(freed=freed, dry_run=dry_run)


def _collect_tables(root: Path, kept: set[str], before: float, dry_run: bool) -> Freed:
    total = Freed()
    used = {path.rpartition("/")[0] for path in kept}
    for table in _folders(root / tables.FOLDER):
        relative = str(table.relative_to(root))
        if relative not in used and all(_age(path) < before for path in _tree(table)):
            total = _sum(total, _remove_tree(table, dry_run))
            continue
        needed = {f"{relative}/{name}" for name in _active(root, relative)} | kept
        total = _sum(total, _sweep(_old(root, _files(table), needed, before), before, dry_run))
    return total


def _collect_logs(root: Path, before: float, dry_run: bool) -> Freed:
    total = Freed()
    for log in sorted(path.parent for path in (root / logs.FOLDER).glob("**/_delta_log")):
        needed = {str((log / name).relative_to(root)) for name in _active(root, str(log.relative_to(root)))}
        total = _sum(total, _sweep(_old(root, _files(log), needed, before), before, dry_run))
    return total


def _collect_views(place: Path, root: Path, kept: set[str], before: float, dry_run: bool) -> Freed:
    """What is derived from versions, a folder each."""
    total = Freed()
    for view in _folders(place):
        if str(view.relative_to(root)) not in kept and _age(view) < before:
            total = _sum(total, _remove_tree(view, dry_run))
    return total


def _collect_checkpoints(root: Path, before: float, dry_run: bool) -> Freed:
    """The checkpoints of a step that nobody resumed."""
    total = Freed()
    for step in _folders(root / checkpoints.FOLDER):
        if all(_age(path) < before for path in (step, *step.iterdir())):
            total = _sum(total, _remove_tree(step, dry_run))
    return total


def _old(root: Path, paths: Iterable[Path], kept: set[str], before: float) -> Iterator[Path]:
    return (path for path in paths if str(path.relative_to(root)) not in kept and _age(path) < before)


def _sweep(paths: Iterable[Path], before: float, dry_run: bool) -> Freed:
    total = Freed()
    for path in paths:
        with disk.guard("collect", path):
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue
            if dry_run or _take(path, before):
                total = _sum(total, Freed(1, size))
    return total


def _take(path: Path, before: float) -> bool:
    """Delete a file unless somebody renewed it meanwhile; whether it went."""
    aside = path.with_name(f"{disk.TEMPORARY}gc-{os.urandom(6).hex()}")
    try:
        path.replace(aside)
    except FileNotFoundError:
        return False
    if _age(aside) >= before:
        aside.replace(path)
        return False
    aside.unlink()
    return True


def _remove_tree(folder: Path, dry_run: bool) -> Freed:
    with disk.guard("collect", folder):
        files = list(_tree(folder))
        total = Freed(len(files), sum(path.stat().st_size for path in files))
        if not dry_run:
            shutil.rmtree(folder)
    return total


def _blobs(root: Path) -> Iterator[Path]:
    for folder in (root / blobs.FOLDER).glob("sha256/*"):
        yield from _files(folder)
    yield from _files(root / blobs.FOLDER / "incoming")


def _files(folder: Path) -> Iterator[Path]:
    with disk.guard("read", folder):
        found = sorted(folder.iterdir()) if folder.is_dir() else []
    return (path for path in found if path.is_file())


def _folders(folder: Path) -> Iterator[Path]:
    with disk.guard("read", folder):
        found = sorted(folder.iterdir()) if folder.is_dir() else []
    return (path for path in found if path.is_dir())


def _tree(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _age(path: Path) -> float:
    """When the file was written or renewed; one that is gone counts as new."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _sum(one: Freed, other: Freed) -> Freed:
    return Freed(one.files + other.files, one.bytes + other.bytes)


def _active(root: Path, relative: str) -> set[str]:
    """The names of the files in the newest version of a table."""
    place = importlib.import_module(".backends.place", __package__).Place(root, relative)
    found: set[str] = importlib.import_module(".backends.delta", __package__).active(place)
    return found
