"""Checkpoints in a bucket, so that another machine may resume: a step's newest, once all of it is there.

    checkpoints/<step key>/000000000120/<file>     its files
    checkpoints/<step key>/000000000120.json       the list of them, put last: without it the checkpoint is not there

The local folder has them, too, and is written first: the training loop goes on while files are sent, by the same background thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgspec

from bedplate.core.errors import CorruptError

from . import disk
from .bucket import Bucket
from .checkpoints import FOLDER, FolderCheckpoints

_SUFFIX = ".json"
_LIST = msgspec.json.Decoder(dict[str, int])


class BucketCheckpoints(FolderCheckpoints):
    """The checkpoints of one step's key; see `FolderCheckpoints`."""

    def __init__(self, root: Path, key: str, keep: int, bucket: Bucket) -> None:
        super().__init__(root, key, keep)
        self._bucket = bucket
        self._place = f"{FOLDER}/{self.folder.name}"

    def latest(self) -> tuple[int, Path] | None:
        self.wait()
        names = self._sent()
        if names:
            self._bring(names[-1])
        for *_, path in self._whole():
            if path.name not in names:  # it was never whole in the bucket, or another machine went on from there
                self._discard(path)
        return super().latest()

    def clear(self) -> None:
        super().clear()
        self._bucket.delete([found.key for found in self._bucket.list(f"{self._place}/")])

    def _put(self, at_step: int, write: Callable[[Path], None]) -> None:
        super()._put(at_step, write)
        here, there = [path for *_, path in self._whole()], self._sent()
        for path in here:
            if path.name not in there:
                self._send(path)
        for name in set(there) - {path.name for path in here}:
            self._forget(name)

    def _send(self, path: Path) -> None:
        files = {str(PurePosixPath(file.relative_to(path))): file.stat().st_size for file in sorted(path.rglob("*")) if file.is_file()}
        for name in files:
            self._bucket.send(path / name, f"{self._place}/{path.name}/{name}")
        self._bucket.write(f"{self._place}/{path.name}{_SUFFIX}", msgspec.json.encode(files))

    def _bring(self, name: str) -> None:
        """Have a checkpoint here, whole."""
        folder = self.folder / name
        files = _LIST.decode(self._bucket.read(f"{self._place}/{name}{_SUFFIX}") or b"{}")
        if all((folder / file).is_file() and (folder / file).stat().st_size == size for file, size in files.items()):
            return
        fresh = self._aside(name)
        try:
            for file, size in files.items():
                self._bucket.fetch(f"{self._place}/{name}/{file}", disk.inside(fresh, file))
                if (fresh / file).stat().st_size != size:
                    raise CorruptError(f"{self._bucket.url}/{self._place}/{name}/{file} is not the file that was sent")
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _forget(self, name: str) -> None:
        """Its list goes first: from then on it is not there."""
        self._bucket.delete([f"{self._place}/{name}{_SUFFIX}"])
        self._bucket.delete([found.key for found in self._bucket.list(f"{self._place}/{name}/")])

    def _sent(self) -> list[str]:
        """The names of the whole checkpoints in the bucket, oldest first."""
        keys = [found.key.removeprefix(f"{self._place}/") for found in self._bucket.list(f"{self._place}/")]
        return sorted((key.removesuffix(_SUFFIX) for key in keys if "/" not in key and key.endswith(_SUFFIX)), key=_order)


def _order(name: str) -> tuple[int, int]:
    step, _, again = name.partition(".")
    return int(step), int(again or 0)
