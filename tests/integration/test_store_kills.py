"""Killed at any moment, a writer of tables leaves every committed version as it was, and nothing that recovery cannot undo."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl

from bedplate.core.records import Version
from bedplate.storage.local import local_store
from bedplate.storage.store import Store

WRITER = Path(__file__).with_name("store_writer.py")
KILLS = 10


def write_until_killed(root: Path, start: int, pinned: Version | None, starts: int, patience_s: float) -> tuple[list[Version], int]:
    """The versions that a writer said it made before it was killed, and the last number that it began."""
    command = [sys.executable, str(WRITER), str(root), str(start), msgspec.json.encode(pinned).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines: list[str] = []
        while sum(line.startswith("starting") for line in lines) < starts:
            lines.append(writer.stdout.readline())
        time.sleep(patience_s)
        writer.kill()
        lines += writer.stdout.read().splitlines()
    began = [int(line.split()[1]) for line in lines if line.startswith("starting ")]
    made = [msgspec.json.decode(line, type=Version) for line in lines if line.startswith("{") and line.rstrip().endswith("}")]
    return made, began[-1]


def recover(store: Store, pinned: Version | None, attempt: str) -> Version | None:
    """What a controller does that finds an attempt of a dead process: adopt what it staged, or go back to what is pinned."""
    outcome = store.staged(attempt)
    if outcome is None:
        store.restore("late", pinned, attempt)
        return pinned
    draft = outcome.drafts[0]
    fields = {name: getattr(draft, name) for name in draft.__struct_fields__}
    return Version(**fields, number=0, created_at=datetime.now(UTC), attempt=attempt)


def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    """Ten kills at random moments: each pinned version verifies, the newest commit is the pinned one, and `gc` leaves only that."""
    rng, store = random.Random(7), local_store(tmp_path)
    versions: list[Version] = []
    number = 0
    for _ in range(KILLS):
        pinned = versions[-1] if versions else None
        made, last = write_until_killed(tmp_path, number, pinned, rng.randint(1, 4), rng.uniform(0.0, 0.06))
        versions += made
        if not made or made[-1].number != last:
            found = recover(store, versions[-1] if versions else None, f"a-{last}")
            if found is not None and (not versions or found.digest != versions[-1].digest):
                versions.append(found)
        number = last + 1
        for version in versions[-3:]:
            store.verify(version)
    assert len(versions) > KILLS / 2
    newest = versions[-1]
    expected = store.load(newest, "polars")
    assert pl.scan_delta(str(tmp_path / newest.uri)).collect().sort("n", "text").equals(expected.sort("n", "text"))
    store.gc([newest], datetime.now(UTC) + timedelta(minutes=1), False)
    left = {path.name for path in (tmp_path / newest.uri).iterdir() if path.is_file()}
    assert left == {path.name for path in store.files(newest)}
    store.verify(newest)
