"""Files that only their owner may read: keys, tokens, what a command remembers.

A folder is made 0700 and a file 0600, whatever the umask says. A file is written whole under a name of its own (O_EXCL) and renamed. No
link is followed at the last part of a path, neither in reading nor in writing, and a file that others could read or change is refused.
Limits: the folder above is trusted.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from bedplate.core.errors import Refused

from .disk import guard

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def private_folder(path: Path) -> Path:
    """The folder, made where it is not there, and its owner's alone. Raises Refused for a link, StoreError."""
    with guard("make", path):
        path.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        if path.is_symlink() or not path.is_dir():
            raise Refused(f"{path} is not a folder", why="a link there would lead keys elsewhere", next=f"remove {path}")
        if stat.S_IMODE(path.stat().st_mode) != FOLDER_MODE:
            path.chmod(FOLDER_MODE)
    return path


def keep_private(path: Path, text: str) -> None:
    """Write the whole file, in the place of one that is there."""
    aside = path.with_name(f".new-{path.name}-{secrets.token_hex(4)}")
    with guard("write", path):
        _write(aside, text)
        try:
            aside.replace(path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise


def make_private(path: Path, text: str) -> str:
    """Write the file where there is none yet; what stands in it then, ours or that of who was first."""
    aside = path.with_name(f".new-{path.name}-{secrets.token_hex(4)}")
    with guard("write", path):
        _write(aside, text)
        try:
            os.link(aside, path, follow_symlinks=False)
        except FileExistsError:
            pass
        finally:
            aside.unlink(missing_ok=True)
    kept = read_private(path)
    return text if kept is None else kept


def read_private(path: Path) -> str | None:
    """What stands in the file; None where there is none. Raises Refused for a link, or a file that others may read or change."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} is not read", why=error.strerror or str(error), next=f"remove {path}") from error
    with os.fdopen(descriptor, encoding="utf-8") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
            raise Refused(f"{path} is not read", why="others than its owner may read or change it", next=f"chmod 600 {path}, or remove it")
        return file.read()


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), FILE_MODE)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
