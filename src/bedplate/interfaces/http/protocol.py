"""Uvicorn's HTTP protocol with a limit on what comes before the body: neither long nor many headers take this server's memory.

A head (request line and headers) of more than 64 KiB, or of more than 200 headers, is answered with 431 as soon as it is seen; one that
is not HTTP, with 400. Both have the shape that every error has, and end the connection: what the client still sends is thrown away for
a second, so that one that writes before it reads sees the answer.
"""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .replies import Problem

MOST_BYTES: Final = 1 << 16
MOST_HEADERS: Final = 200
_DRAIN_S: Final = 1.0
_REASONS: Final = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}


class TooLong(Exception):
    """More headers than are read."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    _idle = True
    _in_head = False
    _begun = 0
    _seen = 0
    _taken = 0
    _refused = False

    def data_received(self, data: bytes) -> None:
        """What the client sent."""
        if self._refused:
            return
        was_idle, self._begun = self._idle, 0
        super().data_received(data)
        only_head = not self._begun or (was_idle and self._begun == 1)
        if self._in_head and only_head and not self._refused:
            self._seen += len(data)
            if self._seen > MOST_BYTES:
                self._unset_keepalive_if_required()
                self._refuse(_too_long())

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._idle, self._in_head, self._seen, self._taken = False, True, 0, 0
        self._begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header. Raises TooLong, which ends the parsing."""
        self._taken += len(name) + len(value)
        if self._taken > MOST_BYTES or len(self.headers) >= MOST_HEADERS:
            raise TooLong
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._idle = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """The answer to what could not be parsed, or was too long to be."""
        too_long = self._in_head and (self._taken > MOST_BYTES or len(self.headers or ()) >= MOST_HEADERS)
        self._refuse(_too_long() if too_long else Problem(400, "this is not an HTTP request", next="GET /docs"))

    def _refuse(self, problem: Problem) -> None:
        self._refused = True
        body = problem.body()
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (problem.status, _REASONS[problem.status], len(body)) + body)
        self.transport.write_eof()
        self.loop.call_later(_DRAIN_S, self.transport.close)


def _too_long() -> Problem:
    return Problem(
        431,
        "the headers are too long",
        why=f"at most {MOST_BYTES // 1024} KiB and {MOST_HEADERS} headers are read",
        next="send what is long in the body",
    )
