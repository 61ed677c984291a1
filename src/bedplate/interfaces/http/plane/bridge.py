"""Bridge: one request to an ASGI application, over our own wire.

The request is whole before the application sees it. An answer of one piece is sent as it is; one of several goes out as it is made, in
chunks where its length is not said, and no faster than the client takes it. An application that fails in the middle of an answer takes the
connection with it, so that nobody takes half of it for the whole.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.front import mistake
from bedplate.interfaces.http.replies import App, Message, Scope

from .head import Head, pairs
from .wire import Wire

_LATIN: Final = "latin-1"


class Exchange:
    """A request and its answer, as an application has them."""

    def __init__(self, head: Head, body: bytes, wire: Wire) -> None:
        self._head = head
        self._wire = wire
        self._body: bytes | None = body
        self._status = 0
        self._lines = b""
        self._is_chunked = self._has_begun = self._is_done = False

    async def run(self, app: App) -> None:
        """Have the application answer."""
        try:
            await app(self._scope(), self._receive, self._send)
            whole = self._is_done
        except Exception as error:  # our own mistake: the caller gets the house's error, the log the traceback
            whole, problem = False, mistake(error)
            if not self._has_begun and not self._is_done:
                self._wire.answer(refusal(problem))
                return
        if not self._is_done:
            self._wire.finish(whole=whole)

    def _scope(self) -> Scope:
        head = self._head
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": f"1.{head.minor}",
            "method": head.method.decode(),
            "scheme": "http",
            "path": unquote(head.path.decode(_LATIN)),
            "raw_path": head.path,
            "query_string": head.query,
            "root_path": "",
            "headers": pairs(head.raw),
            "client": None,
            "server": None,
        }

    async def _receive(self) -> Message:
        """The request, and then, once it is so, that the client has gone."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._wire.keeper.parted(self._wire)
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._lines = message["status"], _lines(message["headers"])
            return
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            self._end(body)
            return
        if not self._has_begun:
            self._begin()
        if not self._piece(body):
            await self._wire.keeper.drained(self._wire)

    def _begin(self) -> None:
        self._has_begun = True
        self._is_chunked = b"content-length:" not in self._lines.lower() and self._head.minor == 1
        coding = b"transfer-encoding: chunked\r\n" if self._is_chunked else b""
        self._wire.begin(self._status, self._lines + coding)

    def _piece(self, body: bytes) -> bool:
        if not body or self._head.method == b"HEAD":
            return True
        return self._wire.piece(b"%x\r\n%b\r\n" % (len(body), body) if self._is_chunked else body)

    def _end(self, body: bytes) -> None:
        self._is_done = True
        if not self._has_begun:
            self._wire.answer(Answered(self._status, _without_length(self._lines), body))
            return
        self._piece(body)
        if self._is_chunked and self._head.method != b"HEAD":
            self._wire.piece(b"0\r\n\r\n")
        self._wire.finish(whole=True)


def _lines(headers: Any) -> bytes:
    return b"".join(b"%b: %b\r\n" % (name, value) for name, value in headers)


def _without_length(lines: bytes) -> bytes:
    """The lines but the length, which the wire says."""
    return b"".join(line + b"\r\n" for line in lines.split(b"\r\n")[:-1] if not line.lower().startswith(b"content-length:"))
