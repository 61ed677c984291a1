"""A stream from file to file, to be gone on with: killed anywhere, the same command answers the lines that are not answered yet.

Beside the answers lies `NAME.place`: how far both files are. It is renewed once a second and at the end, after the answers are on disk;
answers beyond it are cut off and given again, so that each line has one. A file of lines that has grown since is answered from there on.

Limit: the prediction log may hold the predictions of such lines twice, as they were asked for twice.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.storage import disk

from .lines import Counted

EVERY_S: Final = 1.0
_BEGINS: Final = 1 << 16


class Place(Record, frozen=True, kw_only=True):
    """How far it is: bytes read and written, lines counted, and what the file of lines begins with (bytes, and their digest)."""

    read: int = 0
    written: int = 0
    counted: Counted = Counted()
    begins: int = 0
    digest: str = ""


class Files:
    """The lines, the answers and the place between them, open; `done` is told of each line."""

    def __init__(self, given: io.BufferedReader, out: IO[bytes], at: Path, place: Place, clock: Clock) -> None:
        self.given = given
        self.out = out
        self.place = place
        self._at = at
        self._clock = clock
        self._again_at = clock.monotonic() + EVERY_S

    def done(self, read: int, written: int, counted: Counted) -> None:
        """A line is answered: that many bytes more were read and written."""
        place = self.place
        self.place = Place(
            read=place.read + read, written=place.written + written, counted=counted, begins=place.begins, digest=place.digest
        )
        if self._clock.monotonic() >= self._again_at:
            self.keep()

    def keep(self) -> None:
        """Have the answers on disk, and then the place."""
        self.out.flush()
        os.fsync(self.out.fileno())
        begins = min(self.place.read, _BEGINS)
        if begins != self.place.begins:
            self.place = msgspec.structs.replace(self.place, begins=begins, digest=_digest(Path(self.given.name), begins))
        disk.write(self._at, msgspec.json.encode(self.place))
        self._again_at = self._clock.monotonic() + EVERY_S


@contextmanager
def opened(lines: Path, answers: Path, clock: Clock) -> Iterator[Files]:
    """The files, where they were left; their place is kept at the end, however that comes. One process at a time.

    Raises UserError where the answers are not of these lines.
    """
    at = answers.with_name(f"{answers.name}.place")
    if answers.exists() and not at.exists():
        raise UserError(f"{answers} is there already", why=f"nothing says how far it is: {at.name} is not beside it", next="--to NEW_FILE")
    disk.make_folder(answers.parent)
    with disk.guard("write", answers), disk.locked(answers.with_name(f".{answers.name}.lock")):
        place = _place(at, lines, answers)
        with lines.open("rb") as given, answers.open("r+b" if answers.exists() else "xb") as out:
            given.seek(place.read)
            out.truncate(place.written)
            out.seek(place.written)
            files = Files(given, out, at, place, clock)
            files.keep()
            try:
                yield files
            finally:
                files.keep()


def _place(at: Path, lines: Path, answers: Path) -> Place:
    if not at.exists():
        return Place()
    try:
        place = msgspec.json.decode(at.read_bytes(), type=Place)
    except msgspec.DecodeError:
        raise UserError(f"{at} cannot be read", why="it says how far the answers are", next="--to NEW_FILE") from None
    if lines.stat().st_size < place.read or _digest(lines, place.begins) != place.digest:
        raise UserError(
            f"{answers} has the answers to other lines", why=f"{lines} is not the file that they were read from", next="--to NEW_FILE"
        )
    if not answers.exists() or answers.stat().st_size < place.written:
        raise UserError(
            f"{answers} is shorter than it was", why=f"{at.name} says {place.written:,} bytes", next=f"--to NEW_FILE, or rm {at}"
        )
    return place


def _digest(path: Path, count: int) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(count)).hexdigest() if count else ""
