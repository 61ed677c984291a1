"""A clock that stands still until it is told to move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 31, 7, 0, 0, 125_000, tzinfo=UTC)


class ManualClock:
    """`sleep` and `forward` move it; nothing waits."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed_s = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        self._passed_s += seconds

    def forward(self, seconds: float) -> datetime:
        """Let time pass; returns the time then."""
        self._passed_s += seconds
        return self.now()
