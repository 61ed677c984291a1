"""Collecting garbage in a bucket, by the rules of `gc.py`: what no kept version names and is old, by the store's own clock.

Limits: an object cannot be put aside while its age is looked at again, so a writer of equal bytes may lose them to a collection in the
very moment; what is not older than every live lease is never touched, which is what `bedplate gc` sees to. Leftovers of a checkpoint that
was being sent go with the others of its step.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from . import blobs, checkpoints, logs, staging, tables
from .bucket import Bucket, Object
from .gc import Freed, GcReport


def collect(bucket: Bucket, root: Path, kept: set[str], older_than: datetime, dry_run: bool) -> GcReport:
    """Collect in `bucket` what is not in `kept` (keys) and is older; `root` holds the copies. Raises StoreError."""
    before = older_than.timestamp()
    old = {
        blobs.FOLDER: _old(bucket.list(f"{blobs.FOLDER}/"), kept, before),
        tables.FOLDER: _old_of_tables(bucket, root, kept, before),
        logs.FOLDER: _old_of_logs(bucket, root, before),
        checkpoints.FOLDER: _old_of_steps(bucket, before),
        staging.FOLDER: _old(bucket.list(f"{staging.FOLDER}/"), kept, before),
    }
    if not dry_run:
        for found in old.values():
            bucket.delete(one.key for one in found)
    return GcReport(freed={place: Freed(len(found), sum(one.size for one in found)) for place, found in old.items()}, dry_run=dry_run)


def _old(found: Iterable[Object], kept: set[str], before: float) -> list[Object]:
    return [one for one in found if one.key not in kept and one.at < before]


def _old_of_tables(bucket: Bucket, root: Path, kept: set[str], before: float) -> list[Object]:
    """A table that no kept version uses goes as a whole; of the others, files of no kept version and not of the newest commit."""
    used = {key.rpartition("/")[0] for key in kept}
    old: list[Object] = []
    for table, found in _grouped(bucket.list(f"{tables.FOLDER}/"), 2).items():
        if table not in used and all(one.at < before for one in found):
            old += found
        else:
            files = [one for one in found if one.key.count("/") == 2]
            old += _old(files, kept | _active(bucket, root, table), before)
    return old


def _old_of_logs(bucket: Bucket, root: Path, before: float) -> list[Object]:
    """Only what compaction left behind."""
    found = list(bucket.list(f"{logs.FOLDER}/"))
    old: list[Object] = []
    for log in sorted({one.key.partition("/_delta_log/")[0] for one in found if "/_delta_log/" in one.key}):
        old += _old((one for one in found if one.key.rpartition("/")[0] == log), _active(bucket, root, log), before)
    return old


def _old_of_steps(bucket: Bucket, before: float) -> list[Object]:
    grouped = _grouped(bucket.list(f"{checkpoints.FOLDER}/"), 2).values()
    return [one for found in grouped if all(one.at < before for one in found) for one in found]


def _grouped(found: Iterable[Object], depth: int) -> dict[str, list[Object]]:
    groups: dict[str, list[Object]] = defaultdict(list)
    for one in found:
        groups["/".join(one.key.split("/")[:depth])].append(one)
    return dict(groups)


def _active(bucket: Bucket, root: Path, relative: str) -> set[str]:
    """The keys of the files in a table's newest version."""
    place = importlib.import_module(".backends.place", __package__).Place(root, relative, bucket)
    return {f"{relative}/{name}" for name in importlib.import_module(".backends.delta", __package__).active(place)}
