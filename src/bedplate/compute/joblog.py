"""A job's log file: the head of what it printed, up to a limit; the rest is counted and its last lines are kept.

The secrets that a job was given are masked before anything is kept (`core/hiding.py`). The file is made with the first byte, so a job
that prints nothing leaves none. A log that cannot be written (a full disk) never ends a job: `trouble` says what happened.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bedplate.core.hiding import Hider
from bedplate.core.parameters import Secret
from bedplate.core.units import show_bytes

TAIL_LINES: Final = 100
_TAIL_BYTES: Final = 1 << 16


class JobLog:
    """Open for one job. `limit_bytes` of its output are kept from the start, and then the last 100 lines (at most 64 KiB)."""

    def __init__(self, path: Path, limit_bytes: int, secrets: Iterable[Secret] = ()) -> None:
        self.trouble = ""
        self._path = path
        self._limit = limit_bytes
        self._fd = -1
        self._written = 0
        self._beyond = 0
        self._tail = bytearray()
        self._hider = Hider(secrets)

    def write(self, data: bytes) -> None:
        """Take what the job printed."""
        self._keep(self._hider.feed(data))

    def _keep(self, data: bytes) -> None:
        room = self._limit - self._written
        if room > 0 and data:
            self._append(data[:room])
            self._written += min(room, len(data))
        if len(data) > room:
            rest = data[max(room, 0) :]
            self._beyond += len(rest)
            self._tail += rest[-_TAIL_BYTES:]
            del self._tail[:-_TAIL_BYTES]

    def close(self) -> None:
        """End the file; where something was left out, the last lines follow and the file's last line says how much."""
        self._keep(self._hider.end())
        if self._beyond:
            lines = bytes(self._tail).rstrip(b"\n").split(b"\n")
            if len(self._tail) < self._beyond:
                lines = lines[1:] or lines
            kept = b"\n".join(lines[-TAIL_LINES:])
            left_out = show_bytes(self._beyond - len(kept))
            end = f"\n--- {left_out} of output left out above: the log keeps {show_bytes(self._limit)} and the last {TAIL_LINES} lines\n"
            self._append(b"\n--- output left out here; its last lines:\n" + kept + end.encode())
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1

    def _append(self, data: bytes) -> None:
        if self.trouble:
            return
        try:
            if self._fd < 0:
                self._fd = self._open()
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self.trouble = f"its log {self._path} could not be written: {error.strerror}"

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self._path, flags, 0o644)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, flags, 0o644)
