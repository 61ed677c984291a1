"""Streams over HTTP: a service whose function is a generator, asked with `Accept: text/event-stream`, answers in server-sent events.

Each value is an event of its own as soon as it is there: `data: VALUE` in JSON. The last event is `end`, with the prediction's id and how
many values there were; where the function raises in between it is `error`, with the house's error. What is wrong before the first value is
answered as of any other request.

The generator is advanced when the client has taken what was sent, and not before. A client that leaves ends it: it is closed at the next
value, or at once where it awaits something. While no value comes, a comment is sent every 15 seconds, so that whoever has gone is noticed.
Without that header the same service answers with the list of its values.

A stream is one prediction in the record: its result is the list of values, of which the first thousand are kept.

Limits: one object is asked, not an array of them; at most 64 streams at a time (503 beyond), and no more where 64 that nobody waits for
are still busy with a value, as each has a thread. What is counted as a request's time is that to its first value.
"""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial
from typing import Any, Final, Protocol, TypeGuard, runtime_checkable

import msgspec

from bedplate.core import calling
from bedplate.core.errors import AnswerError
from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.recorder import Prediction
from bedplate.stages.deploy.streams import End, Pulled, Raised, Value, begun
from bedplate.stages.deploy.trials import Tried

from .answered import Answered, send_answered
from .asking import Desk, refused
from .body import Gone, headers_of, read
from .replies import Headers, Problem, Receive, Scope, Send
from .rolled import Trying
from .rolled_stream import RolledStream

MOST: Final = 64
KEPT: Final = 1000
"""Values of a stream that the record keeps."""
PULSE_S: Final = 15.0
_LOOK_S: Final = 1.0
_LEFT: Final = 499
"""The status in the record of a stream whose client left; nobody is answered with it."""
EVENTS: Final = b"text/event-stream"
_LINES: Final = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-store\r\nx-accel-buffering: no\r\n"
_PULSE: Final = b":\n\n"


class Out(Protocol):
    """Where the answer to one request goes, whichever server read it."""

    async def whole(self, answered: Answered) -> None:
        """The answer is this, and no stream."""
        ...

    async def begin(self, lines: bytes) -> None:
        """Begin a stream, with these header lines."""
        ...

    async def send(self, data: bytes) -> bool:
        """Send a piece; returns once the client takes more, and whether it is still there."""
        ...

    async def end(self) -> None:
        """The stream is whole."""
        ...

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        ...

    @property
    def silent(self) -> bool:
        """Whether the client sends no more: it has left, or only asked once; a piece that is sent finds out."""
        ...


class StreamRoom:
    """How many streams there are, of all services, and the threads of those that are left but not over."""

    def __init__(self) -> None:
        self.count = 0
        self._left: list[Pulled] = []

    def enter(self, name: str) -> None:
        """One more. Raises Problem 503 where there are too many."""
        self._left = [one for one in self._left if not one.is_over]
        if self.count >= MOST or len(self._left) >= MOST:
            why = f"{MOST} streams are answered at a time, and {len(self._left)} that clients left are busy with a value"
            raise Problem(503, f"{name} cannot stream now", why=why, next="try again in a second", headers=((b"retry-after", b"1"),))
        self.count += 1

    def leave(self) -> None:
        """One less."""
        self.count -= 1

    def put_away(self, pulled: Pulled) -> None:
        """No more values of it are wanted; a generator that is busy or sleeps keeps its thread until its next value."""
        pulled.close()
        self._left.append(pulled)


@runtime_checkable
class StreamingDesk(Desk, Protocol):
    """A service that may stream: whether it does, and the stream that a body asks for."""

    streams: bool

    def stream(self, headers: Headers, body: bytes, started: float) -> Stream:
        """The stream that a body asks for. Raises Problem 400, 422 or 503."""
        ...


def streams(desk: Desk | StreamingDesk, headers: Headers) -> TypeGuard[StreamingDesk]:
    """Whether a request is answered in events: its service streams, and who asks wants them."""
    return isinstance(desk, StreamingDesk) and desk.streams and EVENTS in headers.get(b"accept", b"").lower()


async def answer(desk: StreamingDesk, headers: Headers, body: bytes, out: Out) -> None:
    """Answer a request that is whole in events."""
    try:
        stream = desk.stream(headers, body, time.perf_counter())
    except Problem as problem:
        await out.whole(refused(desk, headers, problem))
        return
    await stream.run(out)


class Stream:
    """One request that is answered in events. `desk` is the service's (`calls.ServiceDesk`)."""

    def __init__(self, desk: Any, active: Active, request: Any, given_id: bytes, started: float) -> None:
        self._desk, self._active, self._request, self._started = desk, active, request, started
        self._at = desk.ledger.clock.now()
        self._request_id, (self._id,) = desk.ledger.names(1, given_id, self._at)
        self._values: list[Any] = []
        self._count = 0
        self._first_s = 0.0
        self._views: dict[str, Any] = {}
        self._pulled: Pulled | None = None
        self._rolled: RolledStream | None = None

    def roll(self, trying: Trying, tried: Tried, headers: Headers) -> None:
        """Let the versions that are tried have their part in it."""
        self._rolled = RolledStream(trying, tried, self._request, self._id, headers)

    async def run(self, out: Out) -> None:
        """Answer, to the end of the stream or until the client leaves; recorded and counted however it ends."""
        status, error, problem = _LEFT, "the server stopped", None
        try:
            told = await self._first(out)
            self._first_s = time.perf_counter() - self._started
            if isinstance(told, Raised):
                problem, error = self._desk.ledger.failure(self._desk.name, told.error, self._at)
                status = problem.status
            else:
                status, error = await self._streamed(told, out)
        finally:
            self._desk.room.leave()
            self._put_away()
            self._end(status, error)
            self._desk.count(status, self._first_s or time.perf_counter() - self._started, int(status == 200 or self._count > 0))
        if problem is not None:
            problem.recorded = True
            await out.whole(self._desk.refuse({}, problem, self._started))

    async def _first(self, out: Out) -> Value | End | Raised | None:
        """The first value: of the version that is tried, where the request is its and it gives one, else of production."""
        rolled = self._rolled
        if rolled is not None and rolled.canary is not None:
            production, self._active = self._active, rolled.canary
            self._pull()
            began = time.perf_counter()
            told = await self._next(out, sending=False, most_s=rolled.wait_s)
            if out.gone or rolled.first(told, time.perf_counter() - began):
                return told
            self._put_away()
            self._active = production
        self._pull()
        return await self._next(out, sending=False)

    def _pull(self) -> None:
        """Call the function of the version that is asked now."""
        item, _ = calling.streamed(self._active.service.returns)
        self._pulled = Pulled(partial(self._start, self._active), calling.reader(item, AnswerError))

    def _put_away(self) -> None:
        if self._pulled is not None:
            self._desk.room.put_away(self._pulled)
            self._pulled = None

    async def _streamed(self, told: Value | End | Raised | None, out: Out) -> tuple[int, str]:
        """Send values while there are any: the status and error of the record."""
        if told is not None:
            await out.begin(self._lines())
        while isinstance(told, Value):
            self._count += 1
            if self._rolled is not None:
                self._rolled.saw(told.value)
            if len(self._values) < KEPT:
                self._values.append(told.value)
            told_all = await out.send(b"data: %b\n\n" % told.text)
            told = await self._next(out, sending=True) if told_all else None
        if told is None:
            return _LEFT, f"the client left after {self._count:,} values"
        if isinstance(told, Raised):
            problem, error = self._desk.ledger.failure(self._desk.name, told.error, self._at)
            await out.send(b"event: error\ndata: %b\n\n" % problem.body())
            await out.end()
            return problem.status, error
        last = msgspec.json.encode({"prediction_id": self._id, "values": self._count})
        await out.send(b"event: end\ndata: %b\n\n" % last)
        await out.end()
        return 200, f"of {self._count:,} values the first {KEPT:,} are kept" if self._count > KEPT else ""

    async def _next(self, out: Out, *, sending: bool, most_s: float = math.inf) -> Value | End | Raised | None:
        """What the generator gives next; None where the client leaves before, or it takes longer than `most_s`."""
        assert self._pulled is not None, "it was called"
        future, waited = self._pulled.next(), 0.0
        until = time.perf_counter() + most_s
        while not out.gone and (left := until - time.perf_counter()) > 0:
            done, _ = await asyncio.wait({future}, timeout=min(_LOOK_S, left))
            if done:
                return future.result()
            waited += _LOOK_S
            if sending and (out.silent or waited >= PULSE_S):
                waited = 0.0
                if not await out.send(_PULSE):
                    break
        return None

    def _start(self, active: Active) -> Any:
        values, self._views = begun(active, msgspec.structs.asdict(self._request))
        return values

    def _lines(self) -> bytes:
        names = (self._request_id, self._active.label, self._id)
        return _LINES + b"x-request-id: %b\r\nx-model-version: %b\r\nx-prediction-id: %b\r\n" % tuple(one.encode() for one in names)

    def _end(self, status: int, error: str) -> None:
        """Record it, and have it count for the version that answered."""
        looked = {name: view.row for name, view in self._views.items() if view.row is not None} or None
        result = self._values if self._count or status == 200 else None
        latency_ms = (time.perf_counter() - self._started) * 1e3
        kept = Prediction(
            self._id, self._request_id, self._at, latency_ms, status, error, self._active.models_text, self._request, looked, result
        )
        self._desk.ledger.record(self._desk.log, [kept])
        if self._rolled is None or not self._first_s or (status == _LEFT and not self._count):
            return
        self._rolled.ended(self._first_s, failed=status >= 500)
        if status == 200 and not error:
            self._rolled.then(self._desk.form.read, kept, self._desk.shadowed)


class AsgiOut:
    """To the client of an ASGI server. `watch` has to run beside it: it hears when the client leaves."""

    silent = False

    def __init__(self, receive: Receive, send: Send) -> None:
        self.gone = False
        self._receive, self._send = receive, send

    async def watch(self) -> None:
        """Wait until the client leaves."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True

    async def whole(self, answered: Answered) -> None:
        """The answer is this."""
        await send_answered(self._send, answered)

    async def begin(self, lines: bytes) -> None:
        """Begin a stream."""
        await self._send({"type": "http.response.start", "status": 200, "headers": Answered(200, lines, b"").headers})

    async def send(self, data: bytes) -> bool:
        """Send a piece; the server waits while its client does not keep up."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        return not self.gone

    async def end(self) -> None:
        """The stream is whole."""
        await self._send({"type": "http.response.body", "body": b""})


async def answer_through(desk: StreamingDesk, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request of an ASGI server in events."""
    headers = headers_of(scope)
    out = AsgiOut(receive, send)
    try:
        desk.check(headers)
        body = await read(scope, receive, desk.limit)
    except Gone:
        return
    except Problem as problem:
        await out.whole(refused(desk, headers, problem))
        return
    watching = asyncio.ensure_future(out.watch())
    try:
        await answer(desk, headers, body, out)
    finally:
        watching.cancel()
