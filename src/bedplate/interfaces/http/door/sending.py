"""What goes out: every answer with the headers that keep browsers from making more of it than it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from bedplate.interfaces.http.replies import Header, Receive, Scope, Send

from .endpoint import Fault, Reply

SAFE: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)
_POLICY: Final[Header] = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox")
_JSON: Final = "application/json"
_JSON_HEAD: Final = [(b"content-type", b"application/json"), *SAFE[:2]]
"""No page: what a page may do need not be said."""
_WHOLE_HEAD: Final = b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % pair for pair in _JSON_HEAD)
_TAKEN_S: Final = 120.0

Threaded = Callable[[Callable[[], Any]], Any]
"""Awaits a call that is made in a thread."""


async def send_reply(scope: Scope, receive: Receive, send: Send, reply: Reply, threaded: Threaded) -> None:
    """Send an answer; pieces are made in a thread, one at a time, as the client takes them, or on the event loop as they come."""
    body = reply.body
    if isinstance(body, AsyncIterator):
        await _stream(receive, send, _head(reply), body)
        return
    if isinstance(body, bytes):
        if reply.status == 200 and reply.media_type == _JSON and not reply.headers:
            connection = scope.get("connection")
            if connection is not None and connection.answer(scope, _WHOLE_HEAD, body):
                return
        await send({"type": "http.response.start", "status": reply.status, "headers": [*_head(reply), _length(body)]})
        await send({"type": "http.response.body", "body": body})
        return
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": _head(reply)})
        while (piece := await threaded(lambda: next(body, None))) is not None:
            async with asyncio.timeout(_TAKEN_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await threaded(lambda: _close(body))


async def _stream(receive: Receive, send: Send, head: list[Header], pieces: AsyncIterator[bytes]) -> None:
    """Send pieces as they come, until there are no more or the client leaves, whichever is first."""

    async def give() -> None:
        await send({"type": "http.response.start", "status": 200, "headers": head})
        async for piece in pieces:
            async with asyncio.timeout(_TAKEN_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def leave() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(give()), asyncio.ensure_future(leave())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def send_fault(send: Send, fault: Fault) -> None:
    """Send an error in the protocol's form."""
    body = fault.body()
    await send({"type": "http.response.start", "status": fault.status, "headers": [*_JSON_HEAD, *fault.headers, _length(body)]})
    await send({"type": "http.response.body", "body": body})


def _head(reply: Reply) -> list[Header]:
    if reply.media_type == _JSON and not reply.headers:
        return _JSON_HEAD
    named = {name for name, _ in reply.headers}
    own = [one for one in (*SAFE, _POLICY) if one[0] not in named]
    return [(b"content-type", reply.media_type.encode("latin-1", "replace")), *own, *reply.headers]


def _length(body: bytes) -> Header:
    return b"content-length", b"%d" % len(body)


def _close(pieces: Iterator[bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
