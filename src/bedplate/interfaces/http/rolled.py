"""Rolled: a request while another version is tried beside the one that serves.

A canary answers the requests that its rule gives it. Where it raises, gives what the annotation does not allow, or no number, the
version in production is asked instead: the client sees its answer, and the canary's outcome counts against it. A shadow is asked after
the client has its answer, on a thread of its own; what it says is logged under `predictions/shadow/`, by the id of the answer that was
given.

Limits: a shadow falls behind rather than slow a request: more than 64 that wait are passed over, and counted.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from bedplate.planner.rollout.rule import HEADER, Rule
from bedplate.planner.rollout.verdict import Outcome
from bedplate.stages.deploy.service import plain
from bedplate.stages.deploy.trials import Candidate, Seen, Tried

from .lanes import Lane, Pool
from .replies import Headers

WAITING: Final = 64
"""Requests that may wait for a shadow."""


class Shadows:
    """The thread on which shadows are asked; `count` hears of each request that was passed over."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="bedplate-shadow")
        self._room = threading.Semaphore(WAITING)

    def ask(self, candidate: Candidate, call: Callable[[], None]) -> None:
        """Make the call soon, or not at all; returns at once."""
        if not self._room.acquire(blocking=False):
            self._count(counted(candidate, "passed over"))
            return
        self._count(counted(candidate, "asked"))
        self._executor.submit(self._made, call)

    def close(self) -> None:
        """Drop what waits, and wait for the call that runs."""
        self._executor.shutdown(cancel_futures=True)

    def _made(self, call: Callable[[], None]) -> None:
        try:
            call()
        finally:
            self._room.release()


class Trying:
    """What the desks of a server try versions with: the pool for the canaries' calls, the thread of the shadows, the counters."""

    def __init__(self, pool: Pool, count: Callable[[str], None]) -> None:
        self.count = count
        self.shadows = Shadows(count)
        self._pool = pool
        self._lanes: dict[int, tuple[Seen, Lane]] = {}

    def lane(self, candidate: Candidate) -> Lane:
        """Where a canary is asked: off the loop, until it has shown that it is quick."""
        seen = candidate.seen
        kept = self._lanes.get(id(seen))
        if kept is None:
            self._lanes = {id(seen): (seen, Lane(self._pool, math.inf)), **dict(list(self._lanes.items())[:WAITING])}
            return self._lanes[id(seen)][1]
        return kept[1]


def counted(candidate: Candidate, what: str) -> str:
    """The name under which a request is counted: `late@7 canary answered`."""
    return f"{candidate.trial.salt} {candidate.trial.move.alias} {what}"


def note_old(tried: Tried, outcome: Outcome) -> None:
    """Note what became of production, for each version that is tried beside it."""
    for candidate in (tried.canary, tried.shadow):
        if candidate is not None:
            candidate.seen.old.append(outcome)


def picks(candidate: Candidate | None, field: Callable[[str], Any], headers: Headers, drawn_by: str) -> bool:
    """Whether a request is the candidate's, by its rule; one without the key is drawn for itself, by `drawn_by`."""
    if candidate is None:
        return False
    rule: Rule = candidate.trial.rule
    value = _text(rule.where, field, headers) if rule.where else ""
    return rule.takes(candidate.trial.salt, (_text(rule.by, field, headers) if rule.by else "") or drawn_by, value)


def _text(key: str, field: Callable[[str], Any], headers: Headers) -> str:
    """What a request has under a key, as text; empty where nothing."""
    if key.startswith(HEADER):
        return headers.get(key.removeprefix(HEADER).encode(), b"").decode("latin-1")
    value = field(key)
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value, enc_hook=str).decode()


def timed(note: Callable[[Outcome], None], call: Callable[[], Any], read: Callable[[Any], Any]) -> Any:
    """What `call` makes, read; `note` hears of its outcome. Raises what either raises."""
    started, failed, empty = time.perf_counter(), True, False
    try:
        raw = call()
        empty = is_empty(raw)
        made = read(raw)
        failed = False
        return made
    finally:
        note(Outcome(time.perf_counter() - started, failed and not empty, empty))


def is_empty(made: Any) -> bool:
    """Whether an answer is no number, or holds one that is none: not-a-number, infinite, nothing."""
    return _holds_none(plain(made))


def _holds_none(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_none, value))
    return any(map(_holds_none, value.values())) if isinstance(value, Mapping) else value is None


def apart(one: Any, other: Any, within: float) -> bool:
    """Whether two plain answers differ by more than `within` (0: nobody looks); of another shape they do."""
    if not within:
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) != len(other) or any(apart(mine, theirs, within) for mine, theirs in zip(one, other, strict=True))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) > within
    return bool(one != other)
