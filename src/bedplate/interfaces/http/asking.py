"""Asking: one request to a service or a model, the same whichever server read it.

A *desk* is what can be asked: it looks at the headers, makes a *call* of a body, and says what a refusal is in its protocol. A call knows
its lane, what to run there, and what the answer is. Quick calls are answered at once, by `ask`; slow ones are `Pending`, and waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from bedplate.stages.deploy.trace import Trace

from .answered import Answered, send_answered
from .body import Gone, headers_of, read
from .lanes import Lane
from .replies import Headers, Problem, Receive, Scope, Send
from .tracing import ASKED, PARENT, Tracer, told


class Failed(Exception):
    """What was called raised, while it worked on this row (`ALL`: on all of them); the cause is what it raised."""

    ALL: Final = -1

    def __init__(self, row: int = 0) -> None:
        super().__init__(row)
        self.row = row


class Call(Protocol):
    """One request, decoded and admitted."""

    rows: int
    lane: Lane

    @property
    def gathers(self) -> bool:
        """Whether it is answered together with others that ask the same: then it is waited for."""
        ...

    async def gathered(self) -> Any:
        """What `run` gives, of a call that gathers. Raises Failed, Problem."""
        ...

    def run(self) -> Any:
        """Predict; made in the lane. Raises Failed, Problem."""
        ...

    def finish(self, made: Any) -> Answered:
        """The answer, given what `run` made; records it. Raises Problem."""
        ...

    def fail(self, failed: Failed) -> Problem:
        """What the caller is told where `run` raised; records it."""
        ...

    def close(self) -> None:
        """Give back what the call held, however it ended."""
        ...

    def follow(self, trace: Trace) -> None:
        """Have the trace recorded with what is answered."""
        ...


class Desk(Protocol):
    """What can be asked; `limit` is the largest body that it takes, in bytes."""

    limit: int
    tracer: Tracer

    def check(self, headers: Headers) -> None:
        """Look at the headers, and at nothing that changes, before the body is read. Raises Problem."""
        ...

    def begin(self, headers: Headers, body: bytes, started: float) -> Call:
        """The call that a body asks for. Raises Problem."""
        ...

    def refuse(self, headers: Headers, problem: Problem, started: float) -> Answered:
        """The answer to a request that is refused; records it."""
        ...

    def count(self, status: int, seconds: float, rows: int) -> None:
        """Count an answer."""
        ...


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A call that takes too long to wait for on the loop, or is answered together with others."""

    desk: Desk
    call: Call
    headers: Headers
    started: float
    trace: Trace | None = None

    async def wait(self) -> Answered:
        """The answer, once there is one."""
        rows = 0
        try:
            try:
                call = self.call
                answered = call.finish(await (call.gathered() if call.gathers else call.lane.run(call.rows, _run(call, self.trace))))
                rows = self.call.rows
            except Failed as failed:
                raise self.call.fail(failed) from None
            finally:
                self.call.close()
        except Problem as problem:
            answered = self.desk.refuse(self.headers, problem, self.started)
        self.desk.count(answered.status, time.perf_counter() - self.started, rows)
        return answered if self.trace is None else told(self.trace, answered)


def ask(desk: Desk, headers: Headers, body: bytes, arrived: float = 0.0) -> Answered | Pending:
    """The answer to a request that is whole, at once where it is quick; `arrived` is when its first byte came, where that was before."""
    started, rows, trace = time.perf_counter(), 0, None
    tracer = desk.tracer
    tracer.left -= 1
    if tracer.left <= 0 or PARENT in headers or ASKED in headers:
        trace = tracer.begin(headers, arrived, started)
    try:
        call = desk.begin(headers, body, started)
        if trace is not None:
            trace.begun = trace.ran = trace.made = time.perf_counter()
            call.follow(trace)
        if call.gathers or not call.lane.is_quick(call.rows):
            return Pending(desk, call, headers, started, trace)
        try:
            answered = call.finish(call.lane.now(call.rows, call.run if trace is None else partial(trace.work, call.run)))
            rows = call.rows
        except Failed as failed:
            raise call.fail(failed) from None
        finally:
            call.close()
    except Problem as problem:
        answered = desk.refuse(headers, problem, started)
    desk.count(answered.status, time.perf_counter() - started, rows)
    return answered if trace is None else told(trace, answered)


def refused(desk: Desk, headers: Headers, problem: Problem) -> Answered:
    """The answer to a request that is refused before it is whole, counted and recorded."""
    started = time.perf_counter()
    answered = desk.refuse(headers, problem, started)
    desk.count(answered.status, time.perf_counter() - started, 0)
    return answered


def _run(call: Call, trace: Trace | None) -> Callable[[], Any]:
    return call.run if trace is None else partial(trace.work, call.run)


async def ask_through(desk: Desk, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request of an ASGI server."""
    headers = headers_of(scope)
    try:
        desk.check(headers)
        body = await read(scope, receive, desk.limit)
    except Gone:
        return
    except Problem as problem:
        answered = refused(desk, headers, problem)
    else:
        asked = ask(desk, headers, body)
        answered = await asked.wait() if isinstance(asked, Pending) else asked
    await send_answered(send, answered)
