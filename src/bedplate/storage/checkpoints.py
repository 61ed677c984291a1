"""Checkpoints of a training step: atomic, asynchronous, kept by count, found again on resume.

    checkpoints/<step key>/000000000120       a whole checkpoint of training step 120, as its author wrote it
    checkpoints/<step key>/000000000120.1     the same training step written again, after a resume
    checkpoints/<step key>/<...>/.sums.json   the digests of its files
    checkpoints/<step key>/.new-<...>         one being written, one being removed, or what a killed process left

The key is the step's cache key: a later attempt at equal work finds what an earlier one kept, and changed work finds nothing. `clear`
forgets a key whose step is done; whoever runs it again on purpose then begins at the beginning.

One background thread writes, one checkpoint at a time: `save` returns at once, and waits only for the one before. Its files are flushed
to the disk, then the folder gets its name by one rename: killed anywhere, a reader sees whole checkpoints only, and never fewer than
before. What `write` captures is the caller's matter: state that the training loop goes on changing has to be copied before `save`.

A checkpoint is read as it was written or not at all: one with a file that is gone, cut or changed is passed over, which is said on the
step's log, and the one before it counts.

A disk that is full or broken ends no training: older checkpoints make room, but never the newest; what finds none even so is not kept,
which is said on the step's log, and the loop goes on. Whatever else `write` raises comes with the next `save`, `latest` or `wait`, once.
Limit: one process writes a key at a time (the step's lease sees to it).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from bedplate.core import digests
from bedplate.core.errors import StoreError, UserError

from . import disk

FOLDER = "checkpoints"
SUMS = ".sums.json"
_NAME = re.compile(r"(\d{12})(?:\.(\d+))?\Z")


class FolderCheckpoints:
    """The checkpoints of one step's key under a store's root (the `Checkpoints` of `core.context`)."""

    def __init__(self, root: Path, key: str, keep: int = 3) -> None:
        self.folder = root / FOLDER / disk.name(key.replace(":", "-"), "a step's key")
        self.keep = max(1, keep)
        self._writer: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def save(self, at_step: int, write: Callable[[Path], None]) -> None:
        """Have `write(folder)` fill a new checkpoint in the background; once it is whole, the oldest beyond `keep` go.

        Raises UserError for a negative step, and whatever the write before raised.
        """
        if not 0 <= at_step < 10**12:
            raise UserError(f"a checkpoint at step {at_step}", why="training steps count from 0")
        self.wait()
        self._writer = self._writer or ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending = self._writer.submit(self._try, at_step, write)

    def latest(self) -> tuple[int, Path] | None:
        """The newest whole checkpoint and its training step; None where there is none. Waits for the one being written."""
        self.wait()
        for step, _, path in reversed(self._whole()):
            if not (why := _damage(path)):
                return step, path
            print(f"the checkpoint of step {step} is passed over: {why}", file=sys.stderr, flush=True)
        return None

    def newest(self) -> int | None:
        """The training step of the newest checkpoint, by its name alone."""
        whole = self._whole()
        return whole[-1][0] if whole else None

    def wait(self) -> None:
        """Until everything saved is on disk, or was given up for want of room. Raises what a write raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def clear(self) -> None:
        """Remove every checkpoint of the key."""
        self.wait()
        if not self.folder.exists():
            return
        for *_, path in self._whole():
            self._discard(path)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _try(self, at_step: int, write: Callable[[Path], None]) -> None:
        """Put it; where the disk does not take it, once more with the room of all but the newest."""
        try:
            try:
                self._put(at_step, write)
            except StoreError as error:
                older = self._whole()[:-1] if disk.is_full(error.__cause__) else []
                if not older:
                    raise
                with disk.guard("write", self.folder):
                    for *_, path in older:
                        self._discard(path)
                self._put(at_step, write)
        except StoreError as error:
            print(
                f"the checkpoint of step {at_step} is not kept: {error.what} ({error.why}); training goes on", file=sys.stderr, flush=True
            )

    def _put(self, at_step: int, write: Callable[[Path], None]) -> None:
        disk.make_folder(self.folder)
        self._sweep()
        temporary = self._aside(str(at_step))
        with disk.guard("write", self.folder):
            try:
                temporary.mkdir()
                write(temporary)
                _sum_up(temporary)
                flush_tree(temporary)
                temporary.rename(self._free_name(at_step))
                disk.flush_folder(self.folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            for path in self._surplus():
                self._discard(path)

    def _free_name(self, at_step: int) -> Path:
        again = [number for step, number, _ in self._whole() if step == at_step]
        return self.folder / (f"{at_step:012d}.{max(again) + 1}" if again else f"{at_step:012d}")

    def _surplus(self) -> list[Path]:
        """Whole checkpoints beyond the newest of each of the `keep` newest steps."""
        newest = {step: path for step, _, path in self._whole()}
        kept = set(sorted(newest)[-self.keep :])
        return [path for step, _, path in self._whole() if step not in kept or newest[step] != path]

    def _discard(self, whole: Path) -> None:
        """Out of sight by one rename before its files go: a reader never sees half of it."""
        gone = self._aside("old")
        whole.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _aside(self, what: str) -> Path:
        return self.folder / f"{disk.TEMPORARY}{what}-{os.urandom(4).hex()}"

    def _sweep(self) -> None:
        """Remove what a killed process left."""
        for left in self.folder.glob(f"{disk.TEMPORARY}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _whole(self) -> list[tuple[int, int, Path]]:
        """Training step, how often it was written, and folder, oldest first."""
        try:
            named = [(_NAME.match(path.name), path) for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        return sorted((int(match[1]), int(match[2] or 0), path) for match, path in named if match)


def _sum_up(folder: Path) -> None:
    """Keep the digests of all files in a folder, in it."""
    sums = {str(path.relative_to(folder)): digests.of_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / SUMS).write_bytes(digests.canonical(sums))


def _damage(folder: Path) -> str:
    """What is not as it was written; empty where all is, or nobody kept the digests."""
    try:
        sums = msgspec.json.decode((folder / SUMS).read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return ""
    except (OSError, msgspec.MsgspecError) as error:
        return f"{SUMS} cannot be read ({error})"
    for name, digest in sums.items():
        try:
            if digests.of_file(folder / name) != digest:
                return f"{name} is not what was written"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return ""


def flush_tree(folder: Path) -> None:
    """Flush every file and folder below, and the folder itself, to the disk."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            disk.flush(path)
    disk.flush(folder)
