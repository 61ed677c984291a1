"""Rolled: a request while another version is tried beside the one that serves.

A canary answers the requests that its rule gives it. Where it raises, gives what the annotation does not allow, or no number, or does not
return in time, the version in production is asked instead: the client sees its answer, and the canary's outcome counts against it. A
shadow is asked after the client has its answer, on a thread of its own; what it says is logged under `predictions/shadow/`, by the id of
the answer that was given.

Limits: a shadow falls behind rather than slow a request: more than 64 that wait are passed over, and counted.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from bedplate.planner.batching.breaker import Breaker
from bedplate.planner.rollout.rule import HEADER, Rule
from bedplate.planner.rollout.verdict import Outcome
from bedplate.stages.deploy.service import plain
from bedplate.stages.deploy.trials import Candidate, Seen, Tried

from .lanes import Lane, OffLoop
from .pool import GivenUp, Pool
from .replies import Headers

WAITING: Final = 64
"""Requests that may wait for a shadow."""
_LONGEST: Final = 200
_WAITERS: Final = 32
"""Requests that wait for a canary, or are answered by production in its place, at once."""
_TIMES: Final = 10.0
_LEAST_S: Final = 1.0
_MOST_S: Final = 10.0

Result = TypeVar("Result")


class Shadows:
    """The thread on which shadows are asked; `count` hears of each request that was passed over."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._pool = Pool(1)
        self._asking: set[asyncio.Task[None]] = set()

    def ask(self, candidate: Candidate, call: Callable[[], None]) -> None:
        """Make the call soon, or not at all; returns at once. On the event loop."""
        if len(self._asking) >= WAITING:
            self._count(counted(candidate, "passed over"))
            return
        self._count(counted(candidate, "asked"))
        task = asyncio.get_running_loop().create_task(self._made(candidate, call))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    @property
    def held(self) -> int:
        """Threads that are held by calls that were given up."""
        return self._pool.lost

    def close(self) -> None:
        """Drop what waits, and wait a moment for the call that runs."""
        self._pool.close()

    async def _made(self, candidate: Candidate, call: Callable[[], None]) -> None:
        """One that never returns is a failure of its version's."""
        try:
            await self._pool.run(call)
        except GivenUp as given_up:
            if given_up.begun:
                candidate.seen.new.append(Outcome(self._pool.patience_s, failed=True))


class Trying:
    """What the desks of a server try versions with: the threads of canaries and shadows, and the counters.

    A canary is asked in a thread of its own, and waited for no longer than its time: then production answers, and the thread is left to
    it. After three such calls in a row it is asked no more for a while, which its breaker says.
    """

    def __init__(self, count: Callable[[str], None]) -> None:
        self.count = count
        self.shadows = Shadows(count)
        self._pool = Pool(_WAITERS)
        self._canaries = Pool()
        self._breakers: dict[int, tuple[Seen, Breaker]] = {}

    @property
    def held(self) -> int:
        """Threads that are held by calls that were given up."""
        return self._canaries.lost + self.shadows.held

    def close(self) -> None:
        """Let the threads go."""
        self.shadows.close()
        self._canaries.close()
        self._pool.close()

    def lane(self) -> Lane:
        """Where a canary's request is worked on: never on the loop, as nobody knows what it takes."""
        return OffLoop(self._pool)

    def call(self, candidate: Candidate, usual: Lane, rows: int, call: Callable[[], Result]) -> Result:
        """Ask a canary for rows, in a thread that can wait. Raises what it raises, and GivenUp."""
        seconds = self.wait_s(candidate, usual.usual_s * rows)
        if not seconds:
            raise GivenUp(0.0, begun=False)
        try:
            made = self._canaries.wait(call, seconds)
        except GivenUp:
            self.waited(candidate, in_time=False)
            candidate.seen.new.append(Outcome(seconds, failed=True))
            raise
        self.waited(candidate, in_time=True)
        return made

    def wait_s(self, candidate: Candidate, usual_s: float) -> float:
        """How long a canary is waited for, where production takes `usual_s`; 0: it is asked no more for a while."""
        if self._breaker(candidate.seen).wait_s(time.perf_counter()) > 0.0:
            return 0.0
        return _time_s(candidate.seen.limit_s, usual_s)

    def waited(self, candidate: Candidate, *, in_time: bool) -> None:
        """Whether a canary returned in the time that it had."""
        breaker = self._breaker(candidate.seen)
        if in_time:
            breaker.worked()
        else:
            breaker.failed(time.perf_counter())

    def _breaker(self, seen: Seen) -> Breaker:
        kept = self._breakers.get(id(seen))
        if kept is None:
            self._breakers = {id(seen): (seen, Breaker()), **dict(list(self._breakers.items())[:WAITING])}
            return self._breakers[id(seen)][1]
        return kept[1]


def _time_s(limit_s: float, usual_s: float) -> float:
    """How long a canary is waited for: ten times what is allowed, else what production takes; at least a second, at most ten."""
    expected = limit_s or (usual_s if math.isfinite(usual_s) else _MOST_S)
    return min(max(_TIMES * expected, _LEAST_S), _MOST_S)


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
    started, error, empty = time.perf_counter(), "", False
    try:
        raw = call()
        empty = is_empty(raw)
        return read(raw)
    except BaseException as raised:  # whatever it is, it is noted
        error = in_words(raised)
        raise
    finally:
        failed = bool(error) and not empty
        note(Outcome(time.perf_counter() - started, failed, empty, error=error if failed else ""))


def in_words(error: BaseException) -> str:
    """What a version raised, for who has to mend it."""
    return f"{type(error).__name__}: {error}"[:_LONGEST]


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
