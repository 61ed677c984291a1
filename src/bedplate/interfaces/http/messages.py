"""Messages: calls of gRPC that come over HTTP (`grpc_calls.py`), answered with the models of this process.

The package of messages is imported when the first one comes, in a thread: who never asks so does not pay for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.routing import Route

from bedplate.core.errors import UserError

from .answered import Answered, send_answered
from .body import Gone, headers_of, need_plain, read
from .grpc_calls import PATH, Answers, Called, over_http, refused
from .grpc_calls import read as read_call
from .replies import Headers, Problem, Receive, Scope, Send


class Messages:
    """What answers requests under the path of gRPC's service; `make` makes what answers calls, `limit` is the longest body in bytes."""

    def __init__(self, make: Callable[[], Answers], limit: int) -> None:
        self.limit = limit
        self._make = make
        self._answers: Answers | None = None

    def routes(self) -> list[Route]:
        """The routes of an ASGI application."""
        return [Route(f"{PATH}{{method}}", self, methods=["GET", "POST"])]

    def ask(self, method: str, path: str, query: bytes, headers: Headers, body: bytes) -> Answered | Awaitable[Answered]:
        """The answer to a request that is whole, at once where it is quick."""
        try:
            need_plain(headers)
            called = read_call(method, path, query, headers, body)
        except Problem as problem:
            return self.refused(problem)
        if self._answers is None:
            return self._opened(called)
        made = self._answers.ask(called)
        return over_http(made) if isinstance(made, Answered) else _later(made, called.remaining_s)

    def refused(self, problem: Problem) -> Answered:
        """The refusal of a request, as calls are refused."""
        return over_http(refused(problem))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of an ASGI server."""
        try:
            body = await read(scope, receive, self.limit)
        except Gone:
            return
        except Problem as problem:
            await send_answered(send, self.refused(problem))
            return
        made = self.ask(scope["method"], scope["path"], scope["query_string"], headers_of(scope), body)
        await send_answered(send, made if isinstance(made, Answered) else await made)

    async def _opened(self, called: Called) -> Answered:
        """The answer to the first call."""
        try:
            self._answers = answers = await asyncio.get_running_loop().run_in_executor(None, self._make)
        except UserError as error:
            return self.refused(Problem(501, error.what, why=error.why))
        made = answers.ask(called)
        return over_http(made) if isinstance(made, Answered) else await _later(made, called.remaining_s)


async def _later(made: Awaitable[Answered], remaining_s: float | None) -> Answered:
    """The answer, or that its time is over: then it is worked on no more, as where a client of gRPC leaves."""
    try:
        async with asyncio.timeout(remaining_s):
            return over_http(await made)
    except TimeoutError:
        return over_http(refused(Problem(504, "the time is over that was given for an answer")))
