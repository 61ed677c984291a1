"""View folders: `views/<digest>/`, kept bytes under their own names, as hard links that cost no bytes.

A folder is built beside its place and renamed, so that it is whole when it is seen; it is derived, and may be deleted at any time.
Where the file system has no hard links the bytes are copied.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from bedplate.core import digests

from . import disk

FOLDER = "views"
Entry = TypeVar("Entry")
_COPIED = 1_000_000_000
"""The time (ns) that a copy is given, so that a write to it shows."""


def relative(digest: str) -> str:
    """The folder of a version, relative to the store."""
    return f"{FOLDER}/{digest.removeprefix(digests.PREFIX)}"


def linked(root: Path, digest: str, entries: list[tuple[str, Path]]) -> Path:
    """The folder with a link for each (name, kept file), names relative and with `/`; made when it is not there or not whole."""
    return _made(root / relative(digest), stands(root, digest, entries), entries, _link)


def written(root: Path, digest: str, sizes: Iterable[tuple[str, int]], files: Iterable[tuple[str, bytes]]) -> Path:
    """The folder with a file for each (name, bytes), names relative and with `/`; made when not each is there with its size, untouched."""
    folder = root / relative(digest)
    whole = folder.is_dir() and all(_untouched(folder / name, size) for name, size in sizes)
    return _made(folder, whole, files, _write)


def is_there(path: Path, size: int) -> bool:
    """Whether the file is there with `size` bytes."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def stands(root: Path, digest: str, entries: list[tuple[str, Path]]) -> bool:
    """Whether the folder is there and whole."""
    folder = root / relative(digest)
    try:
        return folder.is_dir() and all(_same(folder / name, source) for name, source in entries)
    except OSError:
        return False


def _same(view: Path, source: Path) -> bool:
    """The same file, or where there are no hard links a copy that nobody has written to since."""
    one, other = view.stat(), source.stat()
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) or (one.st_size == other.st_size and one.st_mtime_ns == _COPIED)


def _made(folder: Path, whole: bool, entries: Iterable[tuple[str, Entry]], put: Callable[[Entry, Path], None]) -> Path:
    """The folder; where it is not whole it is made beside its place, `put` for each entry, and renamed."""
    if whole:
        with disk.guard("read", folder):
            os.utime(folder)
        return folder
    disk.make_folder(folder.parent)
    with disk.guard("make", folder):
        fresh = Path(tempfile.mkdtemp(prefix=disk.TEMPORARY, dir=folder.parent))
        try:
            for name, entry in entries:
                target = disk.inside(fresh, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                put(entry, target)
            _swap(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _write(content: bytes, target: Path) -> None:
    target.write_bytes(content)
    _seal(target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        _seal(target)


def _seal(copy: Path) -> None:
    copy.chmod(0o444)
    os.utime(copy, ns=(_COPIED, _COPIED))


def _untouched(copy: Path, size: int) -> bool:
    try:
        stat = copy.stat()
    except OSError:
        return False
    return stat.st_size == size and stat.st_mtime_ns == _COPIED


def _swap(fresh: Path, folder: Path) -> None:
    """Give the new folder its name; another process may have been first, with the same content."""
    fresh.chmod(0o755)
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=disk.TEMPORARY, dir=folder.parent))
        folder.replace(old / "old")
        shutil.rmtree(old, ignore_errors=True)
    try:
        fresh.replace(folder)
    except OSError:
        if not folder.is_dir():
            raise
