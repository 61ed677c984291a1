"""Rolled stream: one request that is answered in events while a version of one of its models is tried.

The first value decides: where the canary raises before it, gives none in time or none that is a number, production is asked instead and
the client sees nothing of it. Once a value was sent there is no way back: what goes wrong after it ends the stream, and counts against the
canary. A shadow is asked for the whole list once the stream has ended, of streams that the record keeps whole.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from bedplate.planner.rollout.verdict import Outcome
from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.recorder import Prediction
from bedplate.stages.deploy.streams import Raised, Value
from bedplate.stages.deploy.trials import Candidate, Tried

from .replies import Headers
from .rolled import Trying, counted, in_words, is_empty, note_old, picks
from .rolled_rows import shadow_of


class RolledStream:
    """What is tried beside a service, for one stream. `canary` is whom it is asked of first, `wait_s` how long for a value."""

    def __init__(self, trying: Trying, tried: Tried, request: Any, name: str, headers: Headers) -> None:
        self._trying, self._tried = trying, tried
        self._empty = False
        self._of_canary: Candidate | None = None
        self.canary: Active | None = None
        self.wait_s = 0.0
        candidate = tried.canary
        if candidate is not None and picks(candidate, partial(getattr, request), headers, name):
            old = [one.seconds for one in candidate.seen.old]
            self.wait_s = trying.wait_s(candidate, statistics.fmean(old) if old else math.inf)
            self.canary = candidate.active if self.wait_s else None
            self._of_canary = candidate if self.canary is not None else None

    def first(self, told: Any, seconds: float) -> bool:
        """The canary gave that (None: nothing in time) after so many seconds; whether it is what the client gets."""
        canary = self._of_canary
        assert canary is not None, "only a canary is waited for"
        empty = isinstance(told, Value) and is_empty(told.value)
        usable = told is not None and not isinstance(told, Raised) and not empty
        self._trying.waited(canary, in_time=told is not None)
        self._trying.count(counted(canary, "answered" if usable else "fell back"))
        if not usable:
            error = in_words(told.error) if isinstance(told, Raised) else ""
            canary.seen.new.append(Outcome(seconds, failed=not empty, empty=empty, error=error))
            self._of_canary = None
        return usable

    def saw(self, value: Any) -> None:
        """A value was given."""
        self._empty = self._empty or is_empty(value)

    def ended(self, seconds: float, *, failed: bool) -> None:
        """The stream has ended; its first value came after so many seconds."""
        outcome = Outcome(seconds, failed=failed, empty=self._empty)
        if self._of_canary is None:
            note_old(self._tried, outcome)
        else:
            self._of_canary.seen.new.append(outcome)

    def then(self, read: Callable[[Any], Any], given: Prediction, record: Callable[[Prediction], None]) -> None:
        """Ask the shadow what it would have answered; `record` hears it."""
        shadow_of(self._trying, self._tried, read, given, record)
