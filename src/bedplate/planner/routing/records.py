"""What is known of a replica, what a router is told, and what is decided: frozen records, times in seconds of the caller's clock."""

from __future__ import annotations

from typing import Literal

import msgspec

from bedplate.core.records import Record
from bedplate.planner.batching.breaker import Trust

State = Literal["ready", "waiting", "suspect", "starting", "draining", "gone"]
"""`ready` answers; `waiting` answers, but something of its own waits for a version; `suspect` did not answer the last looks at it;
`starting` will be ready; `draining` gets nothing more; `gone` is away, and nobody knows whether it comes back."""
Why = Literal["full", "away", "ejected", "outside"]
"""Why nobody gets a request: all have as much as they take, none answers, all failed again and again, or none is where it may go."""


class Place(Record, frozen=True, kw_only=True):
    """Where something runs; nothing is said where a text is empty."""

    zone: str = ""
    region: str = ""


class Home(Record, frozen=True, kw_only=True):
    """Where the router is, and the `regions` that requests may go to (none named: its own; without one of its own: any)."""

    place: Place = Place()
    regions: tuple[str, ...] = ()

    @property
    def allowed(self) -> tuple[str, ...]:
        """The regions that a request may go to; empty: any."""
        return self.regions or ((self.place.region,) if self.place.region else ())

    def allows(self, place: Place) -> bool:
        """Whether a request may go there."""
        allowed = self.allowed
        return not allowed or place.region in allowed

    def distance(self, place: Place) -> int:
        """How far it is: 0 the same zone, 1 the same region, 2 another."""
        if place.region != self.place.region:
            return 2
        return 0 if place.zone == self.place.zone else 1


class Rules(Record, frozen=True, kw_only=True):
    """`most` requests that one replica has in hand, `held` how many may wait until one is there, for `patience_s` at most.

    `trust` says when a replica that fails is left alone, `tries` how often a request is sent until its answer is given up.
    """

    most: int = 256
    held: int = 1024
    patience_s: float = 30.0
    tries: int = 3
    trust: Trust = Trust()


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How a replica stands: `running` requests in hand, `failures` in a row, left alone until `closed_until`, last chosen as `turn`.

    `is_ours`: its process is a child of the router's, so that the end of a connection without an answer is the end of the request.
    """

    name: str
    place: Place = Place()
    is_ours: bool = True
    state: State = "ready"
    running: int = 0
    failures: int = 0
    closed_until: float = 0.0
    turn: int = 0

    def sent(self, turn: int) -> Standing:
        """It got a request."""
        return self._with(self.state, self.running + 1, self.failures, self.closed_until, turn)

    def answered(self) -> Standing:
        """It answered one, which is what closes a breaker."""
        return self._with(self.state, self.running, 0, 0.0, self.turn)

    def left(self) -> Standing:
        """A request is not in its hand any more, answered or not."""
        return self._with(self.state, self.running - 1, self.failures, self.closed_until, self.turn)

    def failed(self, trust: Trust, now: float, state: State) -> Standing:
        """It ended, or could not be reached; what it had in hand leaves it one by one."""
        failures = self.failures + 1
        return self._with(state, self.running, failures, now + trust.pause(failures), self.turn)

    def seen(self, state: State) -> Standing:
        """It was looked at."""
        return self if state == self.state else self._with(state, self.running, self.failures, self.closed_until, self.turn)

    def _with(self, state: State, running: int, failures: int, closed_until: float, turn: int) -> Standing:
        return Standing(self.name, self.place, self.is_ours, state, running, failures, closed_until, turn)


class Send(msgspec.Struct, frozen=True, gc=False):
    """The replica at this place of the list gets it."""

    at: int


class Hold(msgspec.Struct, frozen=True, gc=False):
    """It waits: a replica is about to be there."""


class Refuse(msgspec.Struct, frozen=True, gc=False):
    """Nobody gets it; in `retry_s` seconds somebody may."""

    why: Why
    retry_s: float = 1.0


Choice = Send | Hold | Refuse
