"""Looks into Parquet and Arrow files that somebody sent, in a child: what they unpack to in memory, and how long that takes, has an end.

A few kilobytes of Parquet can say that they are gigabytes, and a reader believes them. One child is at work at a time, so that the threads
that ask are left to others; what was seen last is kept, for what a digest names never changes. Limits: a look costs a Python that begins.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from .previews import Preview, broken

LIMIT_S: Final = 15.0
BYTES: Final = 1 << 30
"""Of the child's memory."""
_WAITS_S: Final = 3.0
_AT_WORK: Final = threading.BoundedSemaphore(1)
_COMMAND: Final = (sys.executable, "-P", "-m", "bedplate.storage.backends.first_rows")
_ENVIRON: Final = {"POLARS_MAX_THREADS": "1", "RAYON_NUM_THREADS": "1"}


class _Unfinished(Exception):
    """Not looked into this time, and why."""


def first_rows(path: Path, form: str, size: int) -> Preview:
    """The first rows of a file that begins as Parquet or Arrow, or why there are none."""
    try:
        return _seen(path, form, size)
    except _Unfinished as error:
        return Preview(form=form, size=size, why=str(error))


@functools.lru_cache(maxsize=32)
def _seen(path: Path, form: str, size: int) -> Preview:
    if not _AT_WORK.acquire(timeout=_WAITS_S):
        raise _Unfinished("another file is being looked into: load the page again in a moment, or download it")
    try:
        done = subprocess.run(
            [*_COMMAND, str(path), form, str(size)], capture_output=True, timeout=LIMIT_S, check=False, env={**os.environ, **_ENVIRON}
        )
    except subprocess.TimeoutExpired:
        raise _Unfinished(f"it took more than {LIMIT_S:.0f} s to be looked into: download it") from None
    finally:
        _AT_WORK.release()
    try:
        return msgspec.json.decode(done.stdout, type=Preview)
    except msgspec.DecodeError:
        return broken(form, size, "it unpacks to more than is looked into, or breaks its reader: download it")
