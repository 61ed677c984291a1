"""The circuit breaker of a model whose processes die: after several deaths in a row nobody is sent to it, for pauses that grow.

Closed, it lets everything through. `most` failures in a row open it; after the pause one batch may try, and its success closes it again.
"""

from __future__ import annotations

from bedplate.core.records import Record


class Trust(Record, frozen=True, kw_only=True):
    """When to give up (`most` failures in a row), and for how long: `pause_s` at first, twice as long each time, at most `longest_s`."""

    most: int = 3
    pause_s: float = 1.0
    longest_s: float = 60.0

    def pause(self, failures: int) -> float:
        """How long nobody is sent there after so many failures in a row."""
        beyond = failures - self.most
        return min(self.pause_s * 2.0 ** min(beyond, 30), self.longest_s) if beyond >= 0 else 0.0


class Breaker:
    """One model's. Times are seconds of the caller's clock."""

    def __init__(self, trust: Trust | None = None) -> None:
        self.trust = trust or Trust()
        self.failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether too many failed in a row, and none worked since."""
        return self.failures >= self.trust.most

    def wait_s(self, now: float) -> float:
        """How long nobody may try; 0: now."""
        return max(0.0, self._open_until - now) if self.is_open else 0.0

    def failed(self, now: float) -> None:
        """A process died with a batch."""
        self.failures += 1
        if self.is_open:
            self._open_until = now + self.trust.pause(self.failures)

    def worked(self) -> None:
        """A batch was answered."""
        self.failures = 0
