"""Calls: gRPC of `up --serve`. A call is a request to the gate, under `/services/`: who asks, and whether he may, is decided as over HTTP.

A call brings a token in its metadata (`authorization: Bearer TOKEN`). What only reads needs what reading a service needs, an inference what
calling one needs; a refusal is on record as that of a request is. Limits: tokens only, no names with passwords, no sessions.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from bedplate.interfaces.http.answered import Answered
from bedplate.interfaces.http.door.app import MOUNTED, Door
from bedplate.interfaces.http.grpc_calls import Called, headers_of, heard, refused, target
from bedplate.interfaces.http.replies import Header, Headers, Message, Problem, Scope

from .place import Place

_BEARER: Final = b"bearer "
_PROTOCOL: Final = "h2"


class Calls:
    """Answers calls with what the gate answers."""

    def __init__(self, door: Door, scheme: str) -> None:
        self._door = door
        self._scheme = scheme

    async def meets(self, headers: Headers) -> Answered | None:
        """The refusal of a call from nobody that is known."""
        token = headers.get(b"authorization", b"")
        if token[: len(_BEARER)].lower() != _BEARER:
            return refused(Problem(401, "this server needs a token that counts", why="the metadata have no authorization: Bearer TOKEN"))
        fault = await self._door.meets({b"authorization": token})
        return None if fault is None else refused(Problem(fault.status, str(fault), headers=fault.headers))

    async def ask(self, called: Called) -> Answered:
        """The answer of a service's model, or the gate's refusal."""
        method, path, query, body = target(called)
        headers = [(b"host", b"localhost"), (b"content-length", b"%d" % len(body)), *headers_of(called)]
        told = _Exchange(body)
        await self._door(self._scope(method, f"{MOUNTED[:-1]}{path.decode()}", query, headers), told.receive, told.send)
        return heard(told.status, told.headers, b"".join(told.pieces))

    def _scope(self, method: bytes, path: str, query: bytes, headers: list[Header]) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method.decode(),
            "scheme": self._scheme,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": None,
            "server": None,
        }


class _Exchange:
    """A request and its answer, as an application has them."""

    def __init__(self, body: bytes) -> None:
        self.status = 500
        self.headers: list[Header] = []
        self.pieces: list[bytes] = []
        self._body: bytes | None = body

    async def receive(self) -> Message:
        """The request; whoever leaves after that ends the call itself."""
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """A part of the answer."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.pieces.append(message.get("body", b""))


def tls_of(place: Place) -> ssl.SSLContext | None:
    """What a socket of gRPC is wrapped in; None where the server has no certificate."""
    if not place.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(place.tls_cert, place.tls_key)
    context.set_alpn_protocols([_PROTOCOL])
    return context
