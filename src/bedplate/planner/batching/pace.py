"""How long a batch takes, learned from those that ended: a part for the call and a part for each row, by weighted least squares.

What happened long ago counts less: a batch weighs 0.98 of the one after it. Limit: seconds are taken to be linear in rows.
"""

from __future__ import annotations

from typing import Final

_KEPT: Final = 0.98


class Pace:
    """`call_s` seconds for a batch and `row_s` for each of its rows: as given at first, then as measured."""

    __slots__ = ("_n", "_r", "_rr", "_rs", "_s", "call_s", "row_s")

    def __init__(self, call_s: float = 0.0, row_s: float = 0.0) -> None:
        self.call_s = call_s
        self.row_s = row_s
        self._n = self._r = self._rr = self._s = self._rs = 0.0

    def learn(self, rows: int, seconds: float) -> None:
        """A batch of so many rows took so long."""
        keep = _KEPT
        n = self._n = self._n * keep + 1.0
        r = self._r = self._r * keep + rows
        rr = self._rr = self._rr * keep + rows * rows
        s = self._s = self._s * keep + seconds
        rs = self._rs = self._rs * keep + rows * seconds
        spread = n * rr - r * r
        slope = (n * rs - r * s) / spread if spread > 1e-9 * n * rr else -1.0
        if slope < 0.0:  # all batches alike, or noise: nothing tells the call from the rows
            self.call_s, self.row_s = 0.0, s / r
            return
        base = (s - slope * r) / n
        self.call_s, self.row_s = (base, slope) if base >= 0.0 else (0.0, s / r)

    def seconds(self, rows: float) -> float:
        """What a batch of so many rows is expected to take."""
        return self.call_s + rows * self.row_s

    def rows_within(self, seconds: float) -> int:
        """The most rows that are expected to be done in so many seconds; at least one."""
        if self.row_s <= 0.0:
            return 1 << 30
        return max(1, int((seconds - self.call_s) / self.row_s + 1e-6))
