"""Answered: a whole response before it is sent, whichever server sends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from .replies import Header, Problem, Send, reply

JSON_LINE: Final = b"content-type: application/json\r\n"


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A status, the header lines (each with its line end; the length is not among them) and the body; `after` is called once it is sent."""

    status: int
    lines: bytes
    body: bytes
    after: Callable[[], None] | None = None

    @property
    def headers(self) -> tuple[Header, ...]:
        """The header lines in pairs."""
        split = (line.partition(b": ") for line in self.lines.split(b"\r\n")[:-1])
        return tuple((name, value) for name, _, value in split)


def refusal(problem: Problem) -> Answered:
    """A problem in the house's own form."""
    return Answered(problem.status, JSON_LINE + lines_of(problem), problem.body())


def lines_of(problem: Problem) -> bytes:
    """The header lines that a problem asks for."""
    return b"".join(b"%b: %b\r\n" % pair for pair in problem.headers)


async def send_answered(send: Send, answered: Answered) -> None:
    """Send it through ASGI."""
    try:
        await reply(send, answered.status, answered.body, answered.headers)
    finally:
        if answered.after is not None:
            answered.after()


def said(value: Any, status: int = 200) -> Answered:
    """A value, as JSON."""
    return Answered(status, JSON_LINE, msgspec.json.encode(value))


def page(make: Callable[[], Answered]) -> Callable[[Request], Awaitable[Response]]:
    """The route of a page that is said at once."""

    async def answer(_request: Request) -> Response:
        answered = make()
        return Response(answered.body, answered.status, headers={name.decode(): value.decode() for name, value in answered.headers})

    return answer
