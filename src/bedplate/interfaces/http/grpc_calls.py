"""A call of gRPC as a request of HTTP: what a router hands to a replica, and `up` to its own gate; and how a server takes it in.

The form is that of Connect's unary calls (connectrpc.com): the message is the body of a POST to the method's own path, of type
`application/proto`, and the answer is a message; what only reads is asked with GET, the message in the address; an error is
`{"code", "message"}` under HTTP's own status. So a call goes wherever a request goes, by the same rules, and is let in by the same
permission.

Limits: one message each way, and not compressed; metadata that would be headers of the connection are left out.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

import msgspec

from bedplate.storage.far import SERVICE

from .answered import JSON_LINE, Answered, lines_of
from .infer_forms import words_of
from .replies import Header, Headers, Problem

PATH: Final = f"/{SERVICE}/"
INFER: Final = "ModelInfer"
READS: Final = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "RepositoryIndex")
"""The methods that change nothing."""
PROTO: Final = b"application/proto"
PROTO_LINE: Final = b"content-type: %b\r\n" % PROTO
MOST_IN_ADDRESS: Final = 1 << 10
"""A longer message is a body, whatever its method."""
_CODES: Final = {
    400: "invalid_argument", 401: "unauthenticated", 403: "permission_denied", 404: "not_found", 409: "aborted", 413: "resource_exhausted",
    415: "invalid_argument", 422: "invalid_argument", 429: "resource_exhausted", 501: "unimplemented", 502: "unavailable",
    503: "unavailable", 504: "deadline_exceeded",
}  # fmt: skip
_TIMEOUT: Final = b"connect-timeout-ms"
_OF_CONNECTIONS: Final = frozenset(
    {b"accept-encoding", b"connection", b"content-encoding", b"content-length", b"content-type", b"cookie", b"expect", b"host",
     b"keep-alive", b"origin", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)  # fmt: skip
_OF_PROTOCOLS: Final = (b"connect-", b"grpc-", b"proxy-", b"sec-")
_OF_ANSWERS: Final = frozenset({b"connection", b"content-length", b"content-type", b"date", b"transfer-encoding"})
_NAME: Final = re.compile(rb"[a-z0-9_.-]++(?<!-bin)")
_PLAIN: Final = re.compile(rb"[\x20-\x7e]*+")
_LONGEST: Final = 300


class Called(msgspec.Struct, frozen=True, gc=False):
    """A call: its method, its message, its metadata, and how long its client waits (None: as long as it takes)."""

    method: str
    body: bytes
    headers: Headers
    remaining_s: float | None = None


class Answers(Protocol):
    """What answers calls."""

    def ask(self, called: Called) -> Answered | Awaitable[Answered]:
        """The message of the answer, of what is refused the status and the words; at once where it is quick."""
        ...


class Message(msgspec.Struct, frozen=True):
    """An error, as it is said over HTTP."""

    code: str
    message: str


Meets = Callable[[Headers], Awaitable[Answered | None]]
"""Sees who makes a call, by its metadata, before its message is read: the refusal, None for somebody who may be heard."""


def code_of(status: int) -> str:
    """What gRPC calls a status of HTTP."""
    return _CODES.get(status, "internal")


def refused(problem: Problem) -> Answered:
    """The status, the metadata and the words of a call that is refused."""
    return Answered(problem.status, lines_of(problem), words_of(problem).encode())


def over_http(answered: Answered) -> Answered:
    """An answer to a call, as it is said over HTTP."""
    if answered.status == 200:
        return Answered(200, PROTO_LINE + answered.lines, answered.body, answered.after)
    error = Message(code_of(answered.status), answered.body.decode("utf-8", "replace"))
    return Answered(answered.status, JSON_LINE + answered.lines, msgspec.json.encode(error), answered.after)


def heard(status: int, headers: Iterable[Header], body: bytes) -> Answered:
    """What was said over HTTP, as an answer to the call."""
    pairs = [(name.lower(), value) for name, value in headers]
    lines = b"".join(b"%b: %b\r\n" % pair for pair in pairs if pair[0] not in _OF_ANSWERS and _is_metadata(*pair))
    if status == 200 and (b"content-type", PROTO) not in pairs:
        return Answered(502, lines, b"what answered speaks no messages of the protocol")
    return Answered(status, lines, body if status == 200 else _words(body).encode())


def target(called: Called) -> tuple[bytes, bytes, bytes, bytes]:
    """The method, the path, the query and the body by which a call is asked over HTTP."""
    path = (PATH + called.method).encode()
    if called.method in READS and len(called.body) <= MOST_IN_ADDRESS:
        return b"GET", path, b"encoding=proto&base64=1&message=%b" % base64.urlsafe_b64encode(called.body), b""
    return b"POST", path, b"", called.body


def headers_of(called: Called) -> list[Header]:
    """The headers by which a call is asked over HTTP."""
    headers = [(name, value) for name, value in map(_plain, called.headers.items()) if _passes(name, value)]
    headers.append((b"content-type", PROTO))
    if called.remaining_s is not None:
        headers.append((_TIMEOUT, b"%d" % max(1, int(called.remaining_s * 1e3))))
    return headers


def read(method: str, path: str, query: bytes, headers: Headers, body: bytes) -> Called:
    """The call that a request is. Raises Problem 400, 404, 405 or 415."""
    name = path.removeprefix(PATH)
    if name != INFER and name not in READS:
        raise Problem(404, f"{SERVICE} has no method {name[:100]}", why=f"it has {', '.join((INFER, *READS))}")
    if method != "POST" and (method != "GET" or name == INFER):
        raise Problem(405, f"{name} is asked with POST, not {method}", headers=((b"allow", b"POST"),))
    if method == "POST" and headers.get(b"content-type") != PROTO:
        raise Problem(415, "the body does not say that it is a message", why=f"its type is {PROTO.decode()}")
    return Called(name, body if method == "POST" else _message(query), headers, _remaining_s(headers))


def _message(query: bytes) -> bytes:
    try:
        given = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=8, strict_parsing=True)
        if given["encoding"] != ["proto"] or given["base64"] != ["1"]:
            raise ValueError("encoding=proto and base64=1 are needed")
        text = given["message"][0].rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (KeyError, ValueError, binascii.Error) as error:
        raise Problem(400, "the address has no message", why=f"{error}; ?encoding=proto&base64=1&message=...") from None


def _remaining_s(headers: Headers) -> float | None:
    said = headers.get(_TIMEOUT)
    if said is None:
        return None
    if not said.isdigit() or len(said) > 10:
        raise Problem(400, f"{_TIMEOUT.decode()} is no number of milliseconds")
    return int(said) / 1e3


def _plain(pair: Header) -> Header:
    name, value = pair
    return (name, base64.b64encode(value)) if name.endswith(b"-bin") else pair


def _passes(name: bytes, value: bytes) -> bool:
    return name not in _OF_CONNECTIONS and not name.startswith(_OF_PROTOCOLS) and _PLAIN.fullmatch(value) is not None


def _is_metadata(name: bytes, value: bytes) -> bool:
    """Whether a header is one that gRPC can say, too."""
    return _NAME.fullmatch(name) is not None and not name.startswith(b"grpc-") and _PLAIN.fullmatch(value) is not None


def _words(body: bytes) -> str:
    """What an error says, in whichever form of ours it came: of a call, of the protocol, of the house."""
    try:
        told: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        told = None
    if isinstance(told, dict):
        error = told.get("message", told.get("error"))
        if isinstance(error, dict):
            error = ": ".join(str(error[part]) for part in ("what", "why") if error.get(part))
        if isinstance(error, str):
            return error
    return body[:_LONGEST].decode("utf-8", "replace")
