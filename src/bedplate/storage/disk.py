"""The few ways in which bytes reach the disk: whole or not at all.

A file is written under a temporary name in its own folder, flushed, renamed, and its folder flushed: killed anywhere, a reader sees the
old file or the new one. `guard` turns what the operating system says into one StoreError with the next step. Temporary names begin with
`.new-`, so that `gc` knows what was left by a killed process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from bedplate.core.errors import StoreError, UserError

TEMPORARY = ".new-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")


@contextmanager
def guard(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError: `doing` as "write", about `path`."""
    try:
        yield
    except OSError as error:
        raise store_error(error, doing, path) from error


def store_error(error: Exception, doing: str, path: Path | str) -> StoreError:
    """One clear message for what the disk, or a library that met it, said."""
    code, text = getattr(error, "errno", None), str(error)
    if is_full(error):
        return StoreError(
            f"cannot {doing} {path}: the disk is full",
            why="what was committed before is whole; this write left nothing behind",
            next="free some space (`bedplate gc` lists what it would collect), then run again",
        )
    if code in _DENIED or "Read-only file system" in text or "Permission denied" in text:
        return StoreError(f"cannot {doing} {path}: it may not be written here", why=text, next="check who owns the folder, or set `store`")
    return StoreError(f"cannot {doing} {path}", why=text, next="bedplate doctor")


def is_full(error: BaseException | None) -> bool:
    """Whether it says that there is no room left."""
    return getattr(error, "errno", None) in _FULL or any(
        word in str(error) for word in ("No space left", "File too large", "quota exceeded")
    )


def is_disk_error(error: Exception) -> bool:
    """Whether a library's own exception tells of the disk, and not of the data."""
    return isinstance(error, OSError) or any(
        words in str(error) for words in ("No space left", "File too large", "Read-only file system", "Permission denied", "os error")
    )


def name(text: str, what: str) -> str:
    """`text` when it is safe as one file name (letters, digits, `._-`). Raises UserError."""
    if not _NAME.match(text) or len(text) > 128:
        raise UserError(f"{text!r} cannot be {what}", why="a name has letters, digits, '_', '-' and '.', and does not begin with '.'")
    return text


def inside(root: Path, relative: str) -> Path:
    """`root / relative` where it stays inside the root. Raises UserError for an absolute path, `..`, a NUL, or a name that is no UTF-8."""
    if not relative.isascii() and any("\ud800" <= letter <= "\udfff" for letter in relative):
        raise UserError(
            f"the file name {relative!a} cannot be kept",
            why="it is not UTF-8, and names are kept as text",
            next="rename the file",
        )
    parts = PurePosixPath(relative)
    if not relative or parts.is_absolute() or ".." in parts.parts or "\0" in relative or "\\" in relative:
        raise UserError(f"{relative!r} would leave the folder that it belongs to", why="a name in the store is relative and has no '..'")
    return root / parts


def make_folder(folder: Path) -> Path:
    """The folder, with its parents, made durable."""
    if not folder.is_dir():
        with guard("make the folder", folder):
            make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            flush_folder(folder.parent)
    return folder


def flush(path: Path) -> None:
    """Have the file's bytes on the disk. Raises StoreError."""
    with guard("flush", path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


flush_folder = flush
"""Have the folder's names on the disk."""


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write; it gets its name, durably, when the block ends, and vanishes when the block raises."""
    make_folder(path.parent)
    with guard("write", path):
        descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
            flush_folder(path.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be alone, among threads and processes of this machine, until the block ends; the lock is the file's, and goes with the process."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all."""
    with new_file(path) as file:
        file.write(content)


def create(path: Path, content: bytes, beside: Path | None = None) -> bool:
    """Put `content` at `path`, whole or not at all, durably; False where there is a file already, which stays.

    It is written in the folder `beside` first (the file's own, without it): what a killed writer leaves lies there.
    """
    if path.exists():
        return False
    make_folder(path.parent)
    whole = (beside or path.parent) / f"{TEMPORARY}{os.urandom(6).hex()}"
    with guard("write", path):
        try:
            with whole.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                path.hardlink_to(whole)
            except FileExistsError:
                return False
        finally:
            whole.unlink(missing_ok=True)
    flush_folder(path.parent)
    return True
