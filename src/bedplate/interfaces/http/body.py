"""Request bodies: read whole, but never more than the limit, whatever the headers say.

A body that is too large is read on and thrown away, up to four times the limit, so that a client that writes before it reads still
sees the answer; beyond that the connection is closed. One that says it will be 64 times the limit is answered before it is read.
"""

from __future__ import annotations

from typing import Final

from bedplate.core.units import show_bytes

from .replies import CLOSE, Header, Headers, Problem, Receive, Scope

_DRAIN: Final = 4
_ABSURD: Final = 64


class Gone(Exception):
    """The client went away before its request was whole."""


def header(scope: Scope, name: bytes) -> bytes:
    """A request header, empty where there is none; `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""


def headers_of(scope: Scope) -> Headers:
    """The request's headers by name, the first of each."""
    return dict(reversed(scope["headers"]))


async def read(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises Problem 413 over `limit` bytes, Gone where the client left."""
    declared = header(scope, b"content-length")
    is_too_large = declared.isdigit() and int(declared) > limit
    if is_too_large and (header(scope, b"expect") or int(declared) > limit * _ABSURD):
        raise too_large(limit, CLOSE)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= limit:
        return body
    pieces, size = [body], len(body)
    while message.get("more_body", False) and size <= limit * _DRAIN:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit or is_too_large:
            pieces.clear()
        else:
            pieces.append(piece)
    if size > limit or is_too_large:
        raise too_large(limit, *((CLOSE,) if message.get("more_body", False) else ()))
    return b"".join(pieces)


def too_large(limit: int, *headers: Header) -> Problem:
    """The problem of a body over the limit."""
    return Problem(
        413,
        f"the body is larger than {show_bytes(limit)}",
        why="that is this server's limit (setting `body_limit`)",
        next="send fewer rows at once, or raise body_limit in bedplate.toml",
        headers=headers,
    )


def media_type(headers: Headers) -> str:
    """The media type of the body, without parameters, in lower case."""
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def need_json(headers: Headers) -> None:
    """Raise Problem 415 unless the body says that it is JSON, and not compressed.

    It is demanded, not guessed: a web page elsewhere can make a browser send plain text to this address, but not JSON.
    """
    kind = media_type(headers)
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Problem(
            415,
            f"the body is {kind}, not JSON" if kind else "the body does not say what it is",
            why="a service reads JSON",
            next="send the header Content-Type: application/json",
        )
    need_plain(headers)


def need_plain(headers: Headers) -> None:
    """Raise Problem 415 for a compressed body."""
    coding = headers.get(b"content-encoding", b"")
    if coding not in (b"", b"identity"):
        raise Problem(
            415, f"the body is compressed ({coding.decode('latin-1')})", why="this server reads it as it is", next="send it plain"
        )
