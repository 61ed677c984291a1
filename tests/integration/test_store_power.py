"""The power goes: what a store had acknowledged is readable and has its digest, what was not synced is lost (F14); short writes (F16).

The disk is `lossy_disk.py`, which keeps nothing but what was synced. Each turn saves one thing and lets a number of changes through; what
was acknowledged before, and now where it was, is then read anew. The ordinary suite cuts at a few dozen places, the slow one at 300.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from lossy_disk import LossyDisk, lossy_disk

from bedplate.core.digests import of_json
from bedplate.core.errors import StoreError
from bedplate.core.records import Outcome, Version
from bedplate.storage.checkpoints import FolderCheckpoints
from bedplate.storage.local import local_store
from bedplate.storage.models import ModelShelf
from bedplate.storage.store import Store
from bedplate.testing.store_contract import save

SEED = 20_261_122
Kept = tuple[Version, Any]


@pytest.fixture
def disk() -> Iterator[LossyDisk]:
    with lossy_disk() as found:
        yield found


class Saver:
    """Saves one thing of each kind in turn, and reads again what was acknowledged."""

    def __init__(self, root: Path, source: Path) -> None:
        self.root, self.source = root, source
        self.kept: list[Kept] = []
        self.files: dict[str, bytes] = {}
        self.staged: dict[str, Outcome] = {}

    def open(self) -> Store:
        return local_store(self.root, {"model": ModelShelf(self.root, None)})

    def save(self, store: Store, number: int) -> None:
        """What returns is acknowledged."""
        attempt = f"a-{number}"
        match number % 5:
            case 0:
                self.kept.append((save(store, "pickle", list(range(number)), artifact="odd", attempt=attempt), list(range(number))))
            case 1:
                frame = pl.DataFrame({"n": [number] * 50, "t": [f"row {number}"] * 50})
                self.kept.append((save(store, "table", frame, attempt=attempt, number=number), frame))
            case 2:
                self._append(store, attempt, number)
            case 3:
                folder = self.source / str(number)
                folder.mkdir(parents=True)
                (folder / "a.bin").write_bytes(bytes([number % 256]) * 10_000)
                self.kept.append((save(store, "files", folder, artifact="notes", attempt=attempt), (folder / "a.bin").read_bytes()))
            case _:
                self._beside(store, attempt, number)

    def _append(self, store: Store, attempt: str, number: int) -> None:
        tables = [(version, frame) for version, frame in self.kept if version.kind == "table"]
        if tables:
            prior, before = tables[-1]
            more = before.head(10)
            version = save(store, "table", more, attempt=attempt, number=number, prior=prior, append=True)
            self.kept.append((version, pl.concat([before, more])))

    def _beside(self, store: Store, attempt: str, number: int) -> None:
        """What has no version: a kept file and a staged outcome."""
        path = self.source / f"{number}.txt"
        path.write_text(str(number) * 1000)
        self.files[store.keep(path)] = path.read_bytes()
        outcome = Outcome(attempt=attempt, message=of_json(number))
        store.stage(outcome)
        self.staged[attempt] = outcome

    def check(self, newest: int = 10) -> None:
        """What was acknowledged is there: the newest of it, and some of the rest."""
        store = self.open()
        for version, value in self.kept[-newest:] + self.kept[: newest // 2]:
            store.verify(version)
            match version.kind:
                case "table":
                    assert store.load(version, "polars").equals(value)
                case "files":
                    assert (store.load(version, "path") / "a.bin").read_bytes() == value
                case _:
                    assert store.load(version, "pickle") == value
        for digest, content in list(self.files.items())[-newest:]:
            assert store.keep(self._again(content)) == digest
        for attempt, outcome in self.staged.items():  # not synced: after a power cut the step runs again
            assert store.staged(attempt) in (None, outcome)

    def _again(self, content: bytes) -> Path:
        path = self.source / "again"
        path.write_bytes(content)
        return path


def crash_again_and_again(disk: LossyDisk, tmp_path: Path, turns: int) -> None:
    chance, saver = random.Random(SEED), Saver(disk.root / "store", tmp_path)
    cut = 0
    for number in range(turns):
        store = saver.open()
        disk.crash_after(chance.randrange(20))
        try:
            saver.save(store, number)
        except StoreError:
            cut += 1
        with contextlib.suppress(OSError):
            disk.crash()
        recovered(saver, number)
        saver.check()
    assert 0.2 < cut / turns < 0.8


def recovered(saver: Saver, number: int) -> None:
    """What a controller does about an attempt that the record does not know."""
    tables = [version for version, _ in saver.kept if version.kind == "table"]
    if not any(version.attempt == f"a-{number}" for version in tables):
        saver.open().restore("late", tables[-1] if tables else None, f"a-{number}")


def test_f14_what_was_acknowledged_outlives_a_power_cut(disk: LossyDisk, tmp_path: Path) -> None:
    crash_again_and_again(disk, tmp_path, 40)


@pytest.mark.slow
def test_f14_what_was_acknowledged_outlives_three_hundred_power_cuts(disk: LossyDisk, tmp_path: Path) -> None:
    crash_again_and_again(disk, tmp_path, 300)


def test_f35_a_checkpoint_that_was_whole_outlives_a_power_cut(disk: LossyDisk) -> None:
    """The power goes after the first change of a save, the second and so on: the newest that was whole is read, with its digests."""
    step = 0
    for changes in range(0, 60, 2):
        before, step = step, step + 1
        disk.crash_after(changes)
        kept = FolderCheckpoints(disk.root, "sha256:loop", 2)
        kept.save(step, lambda folder, step=step: (folder / "weights").write_text(str(step) * 1000) and None)
        kept.wait()
        acknowledged = step if kept.newest() == step else before
        disk.crash()
        found = FolderCheckpoints(disk.root, "sha256:loop", 2).latest()
        assert (found[0] if found else 0) == acknowledged
        assert found is None or (found[1] / "weights").read_text() == str(found[0]) * 1000
        step = acknowledged
    assert step > 5


def test_f16_short_and_interrupted_writes_are_completed(tmp_path: Path) -> None:
    """Each write takes half of what it was given, each fifth is interrupted: equal digests to those of a good disk, of every kind."""
    with lossy_disk("halves") as disk:
        bad, good = Saver(disk.root / "store", tmp_path / "bad"), Saver(tmp_path / "store", tmp_path / "good")
        for saver in (bad, good):
            saver.source.mkdir()
            store = saver.open()
            for number in range(10):
                saver.save(store, number)
        bad.check()
        assert [version.digest for version, _ in bad.kept] == [version.digest for version, _ in good.kept]
        assert list(bad.files) == list(good.files)
