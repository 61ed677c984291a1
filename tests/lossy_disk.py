"""A disk that loses what was not synced when the power goes, or writes by halves, slowly, or no more: a FUSE file system in memory.

It is a process of its own (`lossy_disk_server.py`): libraries hold up all threads of Python while they write.

Needs root or /dev/fuse, the package mfusepy and libfuse 2 (`scripts/services` unpacks it); where one is missing, tests skip.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_servers import absent, wait_for

_SERVER = Path(__file__).with_name("lossy_disk_server.py")


class LossyDisk:
    """A mounted one; `root` is its folder."""

    def __init__(self, library: str, *options: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="bedplate-lossy-"))
        words = [sys.executable, str(_SERVER), str(self.root), *options]
        self._process = subprocess.Popen(words, env={**os.environ, "FUSE_LIBRARY_PATH": library})
        wait_for(lambda: os.path.ismount(self.root), "FUSE", lambda: self._process.poll() is None)

    def tell(self, what: str, number: int = 0) -> None:
        os.setxattr(self.root, f"user.{what}", str(number).encode())

    def crash_after(self, changes: int) -> None:
        """The power goes when so many more changes were made: from then on every call that changes something fails."""
        self.tell("after", changes)

    def crash(self) -> None:
        """The power has gone, and is back: only what was synced is there."""
        self.tell("crash")

    def remove(self) -> None:
        subprocess.run(["umount", "-l", str(self.root)], check=False)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.root, ignore_errors=True)


def _library() -> str:
    """Where libfuse 2 is: where the environment says, in the system, or where `scripts/services` has unpacked it."""
    given = [Path(os.environ["FUSE_LIBRARY_PATH"])] if "FUSE_LIBRARY_PATH" in os.environ else []
    system = [*Path("/lib").glob("*-linux-gnu/libfuse.so.2"), *Path("/usr/lib").glob("*-linux-gnu/libfuse.so.2")]
    unpacked = (_SERVER.parents[1] / ".venv" / "services").glob("**/libfuse.so.2")
    return str(next((path for path in (*given, *system, *unpacked) if path.exists()), ""))


@contextlib.contextmanager
def lossy_disk(*options: str) -> Iterator[LossyDisk]:
    """One for a test; with `halves` each write takes half of what it is given, and some are interrupted."""
    library = _library()
    if not os.access("/dev/fuse", os.W_OK) or os.geteuid() != 0:
        pytest.skip("no FUSE here: it wants /dev/fuse and root")
    if not library or importlib.util.find_spec("mfusepy") is None:
        absent("FUSE (libfuse2 and mfusepy)")
    disk = LossyDisk(library, *options)
    try:
        yield disk
    finally:
        disk.remove()
