"""Which refusals the audit log is told of: the same one once a minute, and of one actor sixty in a minute.

Whoever has an account can name what is not there as often as he likes, each time another thing: the log, which is kept for ever, tells that
he did, and does not grow with how often. What would have changed something is counted apart: nobody hides it behind sixty looks. Limits:
counted by this server alone.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from bedplate.security.permissions import PERMISSIONS

MOST_A_MINUTE: Final = 60
_MINUTE_S: Final = 60.0
_MOST: Final = 1000


class Refusals:
    """Refusals of the last minute. Times are seconds; used on the event loop only."""

    def __init__(self) -> None:
        self._acts: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._counts: OrderedDict[tuple[str, bool], tuple[float, int]] = OrderedDict()

    def is_news(self, act: tuple[str, str, str], now: float) -> bool:
        """Whether the log is told that this actor was refused this action on this resource."""
        if now - self._acts.get(act, -_MINUTE_S) < _MINUTE_S:
            return False
        whose = act[0], act[1] in PERMISSIONS and PERMISSIONS[act[1]].writes
        began, count = self._counts.pop(whose, (now, 0))
        if now - began >= _MINUTE_S:
            began, count = now, 0
        self._counts[whose] = began, count + 1
        if count >= MOST_A_MINUTE:
            return False
        self._acts[act] = now
        for known in (self._acts, self._counts):
            if len(known) > _MOST:
                known.popitem(last=False)
        return True
