"""Time as an argument: everything that needs now() takes a Clock.

Times are aware datetimes in UTC with microseconds. `SystemClock` is the only place that asks the machine.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


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


def iso(at: datetime) -> str:
    """The catalog's text form: sorts as time does."""
    known = at if at.tzinfo is UTC else at.astimezone(UTC)
    return known.isoformat(timespec="microseconds")[:-6] + "Z"


def parse(text: str) -> datetime:
    """The time that `iso` wrote."""
    return datetime.fromisoformat(text)
