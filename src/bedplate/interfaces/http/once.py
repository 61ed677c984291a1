"""Once: a request that is sent again gets the answer that it got, and is worked out and recorded once.

A request is known by what its client calls it: the header `Idempotency-Key`, else `X-Request-Id`, else the `id` of the Open Inference
Protocol. Two are the same where they name the same service or model and their bodies are equal; an idempotency key with another body is
refused, the other names are simply those of another request. One that comes while the first is worked on waits for its answer. Only answers
that came out well are kept: what failed may be tried again. The reply says `Idempotent-Replayed: true`.

Of several processes that serve together each knows its own requests, and the idempotency keys of all (`shared.py`).

Limit: answers are kept for the setting `retry_window`, while there is room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec

from bedplate.stages.deploy.kept import Keeping
from bedplate.stages.deploy.trace import Trace

from .answered import Answered
from .asking import Call, Failed
from .lanes import Lane
from .replies import Headers, Problem
from .shared import Busy, Said, Shared

KEY: Final = b"idempotency-key"
REQUEST: Final = b"x-request-id"
_LONGEST: Final = 255
_REPLAYED: Final = b"idempotent-replayed: true\r\n"


class Name(msgspec.Struct, frozen=True, gc=False):
    """What a request is known by, and the digest of its body where the name alone does not say which one it is."""

    key: bytes
    digest: bytes


def named(of: str, headers: Headers, body: bytes, id: str = "") -> Name | None:
    """The name of a request to a service or model; None where its client gave none. Raises Problem 400 for a key that is too long."""
    given = headers.get(KEY, b"")
    if len(given) > _LONGEST:
        raise Problem(400, "the idempotency key is too long", why=f"at most {_LONGEST} characters are read", next="send a UUID")
    digest = blake2b(body, digest_size=16).digest()
    if given:
        return Name(b"k%b\0%b" % (of.encode(), given), digest)
    given = headers.get(REQUEST, b"") or id.encode()
    return Name(b"r%b\0%b\0%b" % (of.encode(), digest, given), b"") if 0 < len(given) <= _LONGEST else None


class Once:
    """What a server remembers of named requests, on its event loop. `count` hears of each that was sent again, by service or model."""

    def __init__(self, keeping: Keeping, window_s: float, timer: Callable[[], float], count: Callable[[str], None], lane: Lane) -> None:
        self.window_s = window_s
        self.count = count
        self.lane = lane
        self._keeping = keeping
        self._timer = timer
        self._begun: dict[bytes, Begun] = {}
        self.shared: Shared | None = None
        """What other processes know, where there are any."""

    def begin(self, of: str, name: Name | None, make: Callable[[], Call]) -> Call:
        """The call of a request that may have a name: what answers it once more, or a new one. Raises what `make` does, Problem 422."""
        if name is None or not self.window_s:
            return make()
        return self._again(of, name) or self._elsewhere(of, name) or self._first(name, make)

    def _again(self, of: str, name: Name) -> Call | None:
        """The call that gives the answer once more; None where the request is new. Raises Problem 422 for a key with another body."""
        begun = self._begun.get(name.key)
        if begun is not None:
            _need_same(begun.name, name)
            self.count(of)
            return Waiting(self, begun)
        kept = self._keeping.get(name.key, self._timer())
        if kept is None:
            return None
        digest, answered = kept.value
        _need_same(Name(name.key, digest), name)
        self.count(of)
        return Replay(self, answered)

    def _elsewhere(self, of: str, name: Name) -> Call | None:
        """The call that gives the answer of another process; None where there is none. Raises Problem 409 where one works on it, 422."""
        if self.shared is None or not name.digest:
            return None
        try:
            said = self.shared.claim(name.key)
        except Busy:
            raise Problem(
                409, "the same request is worked on", why="it was sent before", next="send it again", headers=((b"retry-after", b"1"),)
            ) from None
        except OSError:  # a full disk: the request is worked out here
            return None
        if said is None:
            return None
        _need_same(Name(name.key, said.digest), name)
        self.count(of)
        return Replay(self, said.answered)

    def _first(self, name: Name, make: Callable[[], Call]) -> Call:
        """The call, whose answer is kept. Raises what `make` does."""
        begun = Begun(name)
        try:
            call = make()
        except BaseException:
            self._tell(begun)
            raise
        self._begun[name.key] = begun
        return First(self, begun, call)

    def _tell(self, begun: Begun) -> None:
        """Let other processes know what came of it."""
        name, answered = begun.name, begun.answered
        if self.shared is None or not name.digest:
            return
        if answered is None:
            self.shared.drop(name.key)
        else:
            self.shared.put(name.key, Said(name.digest, answered.status, answered.lines, answered.body))

    def ended(self, begun: Begun) -> None:
        """The first is over: who waits hears what came of it, and a good answer is kept."""
        name, answered, begun.is_over = begun.name, begun.answered, True
        self._begun.pop(name.key, None)
        self._tell(begun)
        if answered is not None:
            size = len(answered.lines) + len(answered.body)
            self._keeping.put(name.key, (name.digest, answered), size, self._timer(), self.window_s)
        for one in begun.waiting:
            if not one.done():
                one.set_result(answered)


class Begun:
    """A request that is worked on: whether it `is_over`, its answer, once there is one, and who waits for it."""

    __slots__ = ("answered", "is_over", "name", "waiting")

    def __init__(self, name: Name) -> None:
        self.name = name
        self.answered: Answered | None = None
        self.is_over = False
        self.waiting: list[asyncio.Future[Answered | None]] = []


class First:
    """A call that is made once: the one that it is, and what it leaves for others."""

    __slots__ = ("_begun", "_call", "_once", "lane", "rows")

    def __init__(self, once: Once, begun: Begun, call: Call) -> None:
        self.lane, self.rows = call.lane, call.rows
        self._once, self._begun, self._call = once, begun, call

    @property
    def gathers(self) -> bool:
        """As the call itself."""
        return self._call.gathers

    async def gathered(self) -> Any:
        """As the call itself."""
        return await self._call.gathered()

    def run(self) -> Any:
        """As the call itself."""
        return self._call.run()

    def finish(self, made: Any) -> Answered:
        """The answer, which is kept."""
        self._begun.answered = answered = self._call.finish(made)
        return answered

    def fail(self, failed: Failed) -> Problem:
        """As the call itself."""
        return self._call.fail(failed)

    def follow(self, trace: Trace) -> None:
        """As the call itself."""
        self._call.follow(trace)

    def close(self) -> None:
        """It is over, however it ended."""
        self._call.close()
        self._once.ended(self._begun)


class Replay:
    """A call whose answer is known."""

    gathers = False
    rows = 0

    def __init__(self, once: Once, answered: Answered) -> None:
        self.lane = once.lane
        self._answered = answered

    async def gathered(self) -> Answered:
        """As `run`."""
        return self._answered

    def run(self) -> Answered:
        """The answer, as it was given."""
        return self._answered

    def finish(self, made: Answered) -> Answered:
        """The same, and that it is."""
        return replayed(made)

    def fail(self, failed: Failed) -> Problem:
        """Nothing fails here."""
        return Problem(500, "the answer was lost", why=str(failed))

    def follow(self, trace: Trace) -> None:
        """It is recorded once, with its first answer."""

    def close(self) -> None:
        """It holds nothing."""


class Waiting(Replay):
    """A call whose answer is being worked out by the first of its name."""

    gathers = True

    def __init__(self, once: Once, begun: Begun) -> None:
        self.lane = once.lane
        self._begun = begun

    async def gathered(self) -> Answered:
        """The answer of the first. Raises Problem 409 where it got none."""
        begun = self._begun
        if not begun.is_over:  # it may have ended since this one was read
            future: asyncio.Future[Answered | None] = asyncio.get_running_loop().create_future()
            begun.waiting.append(future)
            await future
        answered = begun.answered
        if answered is None:
            why = "it was sent twice, and the first was not answered well"
            raise Problem(409, "the same request failed", why=why, next="send it again", headers=((b"retry-after", b"1"),))
        return answered


def replayed(answered: Answered) -> Answered:
    """The answer, marked as one that was given before."""
    return Answered(answered.status, answered.lines + _REPLAYED, answered.body)


def _need_same(first: Name, name: Name) -> None:
    if first.digest != name.digest:
        raise Problem(
            422,
            "the idempotency key was used for another request",
            why="its body was another one",
            next="send a key of its own with each request",
        )
