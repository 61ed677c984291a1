"""Time as an argument: everything that needs now() takes a Clock.

Times are aware datetimes in UTC with microseconds. The clocks of this module are the only places that ask the machine: `SystemClock` takes
its time, `FileClock` that of a file, so that all processes of a project can live through a past month in minutes (setting `clock`).
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from .config import Config
from .errors import UserError

MACHINE: Final = "machine"
"""What the setting `clock` says where the time is the machine's own."""


class Clock(Protocol):
    """Says what time it is, and waits."""

    def now(self) -> datetime:
        """The time in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FileClock(SystemClock):
    """The time that a file says, counted on at the machine's pace from when the file was written.

    Who writes the file anew moves the clock of every process that reads it. Durations and waits stay the machine's own. A file that goes,
    or says no time, while it is read leaves the clock counting on from what it said last. Raises UserError where it says none at first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = self._read()

    def now(self) -> datetime:
        try:
            stat = self._path.stat()
            if (stat.st_ino, stat.st_mtime_ns) != self._told[:2]:
                self._told = self._read()
        except (OSError, UserError):
            pass
        _, written, said = self._told
        return said + timedelta(microseconds=(time.time_ns() - written) // 1000)

    def _read(self) -> tuple[int, int, datetime]:
        """Which file it is, when it was written (nanoseconds since the epoch), and the time that it says.

        Which one, too: the times of files are as coarse as a kernel's tick.
        """
        try:
            with self._path.open() as file:
                stat, text = os.fstat(file.fileno()), file.read().strip()
            said = datetime.fromisoformat(text)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self._path} says no time",
                why=str(error),
                next=f"echo 2017-12-01T02:00:00Z > {self._path}, or take out the setting clock",
            ) from error
        return stat.st_ino, stat.st_mtime_ns, said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)


def clock_of(config: Config) -> Clock:
    """The clock that the setting `clock` names. Raises UserError for a file that says no time."""
    return SystemClock() if config["clock"] == MACHINE else FileClock(config.folder / config["clock"])


def iso(at: datetime) -> str:
    """The catalog's text form: sorts as time does."""
    known = at if at.tzinfo is UTC else at.astimezone(UTC)
    return known.isoformat(timespec="microseconds")[:-6] + "Z"


def parse(text: str) -> datetime:
    """The time that `iso` wrote."""
    return datetime.fromisoformat(text)
