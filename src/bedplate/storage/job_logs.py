"""What steps printed, read in windows: a log of any length is never in memory whole.

A log is a file that its step's worker appends to (`compute` writes it), named by the attempt. A window begins and ends at a line where the
lines are shorter than the window. Searching looks at so many bytes at a time and says how far it came. Limits: the log lies on the machine
whose controller ran the step; upper and lower case are the same to a search for ASCII letters alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bedplate.core.errors import UserError
from bedplate.core.records import Record

from . import disk

_CHUNK: Final = 1 << 20
_PIECE: Final = 1 << 18
"""Of a log that is sent: each who takes his time has some in memory."""
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]{0,4000}(?:\x07|\x1b\\)?|[@-_]|[ -/]+[0-~])|[\x80-\x9f]")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Window(Record, frozen=True, kw_only=True):
    """A stretch of a log: bytes `first` to `last` (not counted) of `size`."""

    first: int
    last: int
    size: int
    content: bytes

    @property
    def text(self) -> str:
        """As people read it."""
        return readable(self.content.decode("utf-8", "replace"))


class Sought(Record, frozen=True, kw_only=True):
    """How a search went: where the words stand (None: not so far), and up to where it looked."""

    at: int | None
    reached: int


class JobLogs:
    """The logs in one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def size(self, name: str) -> int | None:
        """How many bytes a log has by now; None where there is none here."""
        path = self._path(name)
        try:
            return path.stat().st_size if path is not None and path.is_file() else None
        except OSError:
            return None

    def after(self, name: str, first: int, most: int) -> Window | None:
        """At most so many bytes from a place on, up to the end of a line; None where there is no log."""
        size = self.size(name)
        if size is None:
            return None
        first = min(max(first, 0), size)
        content = self._read(name, first, most)
        cut = content.rfind(b"\n") + 1
        if first + len(content) < size and cut:
            content = content[:cut]
        return Window(first=first, last=first + len(content), size=size, content=content)

    def before(self, name: str, last: int, most: int) -> Window | None:
        """At most so many bytes up to a place, from the beginning of a line."""
        size = self.size(name)
        if size is None:
            return None
        last = min(max(last, 0), size)
        first = max(last - most, 0)
        content = self._read(name, first, last - first)
        if first:
            cut = content.find(b"\n", 0, len(content) - 1) + 1
            first, content = first + cut, content[cut:]
        return Window(first=first, last=first + len(content), size=size, content=content)

    def around(self, name: str, place: int, most: int) -> Window | None:
        """A window with a place in it, some lines before it too."""
        above = self.before(name, place, most // 4)
        return None if above is None else self.after(name, above.first, most)

    def find(self, name: str, words: str, place: int, *, backwards: bool = False, most: int) -> Sought:
        """Where the words stand next, at or after a place (backwards: wholly before it), within so many bytes."""
        size, wanted = self.size(name) or 0, words.encode().lower()
        place = min(max(place, 0), size)
        if not wanted or len(wanted) >= _CHUNK:
            return Sought(at=None, reached=place)
        return self._find_before(name, wanted, place, most) if backwards else self._find_after(name, wanted, place, most, size)

    def pieces(self, name: str) -> Iterator[bytes]:
        """The whole of it, as long as it is now, piece by piece."""
        left, place = self.size(name) or 0, 0
        while left > 0 and (piece := self._read(name, place, min(_PIECE, left))):
            left -= len(piece)
            place += len(piece)
            yield piece

    def _find_after(self, name: str, wanted: bytes, place: int, most: int, size: int) -> Sought:
        until = min(size, place + most)
        while place < until:
            found = self._read(name, place, _CHUNK).lower().find(wanted)
            if found >= 0:
                return Sought(at=place + found, reached=place + found)
            place += max(_CHUNK - len(wanted) + 1, 1)
        return Sought(at=None, reached=min(place, size))

    def _find_before(self, name: str, wanted: bytes, place: int, most: int) -> Sought:
        until, end = max(place - most, 0), place
        while end > until:
            first = max(end - _CHUNK, 0)
            found = self._read(name, first, end - first).lower().rfind(wanted)
            if found >= 0:
                return Sought(at=first + found, reached=first + found)
            if not first:
                break
            end = first + len(wanted) - 1
        return Sought(at=None, reached=until)

    def _read(self, name: str, first: int, most: int) -> bytes:
        path = self._path(name)
        if path is None:
            return b""
        with disk.guard("read", path), path.open("rb") as file:
            file.seek(first)
            return file.read(most)

    def _path(self, name: str) -> Path | None:
        """Where a log lies; None for a name that leads out of the folder, and for a link: a step could have left one to any file."""
        try:
            path = disk.inside(self._root, name) if name else None
            return path if path is not None and path.resolve() == self._root.resolve() / path.relative_to(self._root) else None
        except (UserError, OSError, RuntimeError):
            return None


def readable(text: str) -> str:
    """What a terminal would show in the end: no escape codes, no other control characters, of a line that was written over the last."""
    lines = _ESCAPES.sub("", text.replace("\r\n", "\n")).split("\n")
    return "\n".join(_CONTROLS.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)
