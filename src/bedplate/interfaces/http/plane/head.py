"""Head: a request's line and headers, read by one strict grammar or refused.

The grammar is RFC 9112 without what two readers could read in two ways: a line ends with CR LF and nothing else, a name is followed by its
colon, no line goes on in the next, no control character is in a value, a length is digits and said once, chunks are the only transfer
coding and exclude a length, a host is said once. Every expression is possessive, so that reading is linear in what was sent.

Clients send the same head again and again: `Heads` keeps what it read last, and does not read it twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from bedplate.interfaces.http.replies import Problem

MOST_BYTES: Final = 1 << 16
MOST_HEADERS: Final = 200
MOST_TARGET: Final = 1 << 14
CHUNKED: Final = -1
END: Final = b"\r\n\r\n"
BARE: Final = re.compile(rb"(?<!\r)\n")
"""An end of a line that only some readers take for one."""
_KEPT: Final = 256
_KEPT_BYTES: Final = 1 << 11
_OTHERS: Final = frozenset({b"CONNECT", b"QUERY", b"TRACE"})
"""Methods of HTTP that are never answered."""
_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"})
_LINE: Final = re.compile(rb"([A-Z]{1,20}+) ([!-~]++) HTTP/1\.([01])\r\n")
FIELDS: Final = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n")
"""Headers, each on a line, and the empty line after them."""
_LENGTH: Final = re.compile(rb"[0-9]{1,19}+")
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]*+\]|[0-9A-Za-z._~-]*+)(?::[0-9]{0,5}+)?+")
_ONCE: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-encoding", b"authorization", b"origin", b"expect"}
)
_OWN: Final = frozenset({b"x-request-id", b"idempotency-key", b"authorization", b"connect-timeout-ms", b"cookie", b"traceparent"})
"""Headers that differ from one request to the next, or that nobody should find in memory later."""


class Head(msgspec.Struct, frozen=True, eq=False):
    """What a request says before its body. `length` is that of the body in bytes (CHUNKED: it says so itself); `raw` is all of it.

    `path` is the target without its query, as it was sent. `handler` is what answers it, chosen once by who reads.
    """

    method: bytes
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    length: int
    keep_alive: bool
    expects: bool
    raw: bytes
    minor: int
    handler: Any = None


class Heads:
    """Reads heads. `choose` says what answers one."""

    def __init__(self, choose: Callable[[Head], Any]) -> None:
        self._choose = choose
        self._kept: dict[bytes, Head] = {}

    def read(self, raw: bytes) -> Head:
        """The head that `raw` is, its empty line included. Raises Problem."""
        kept = self._kept.get(raw)
        if kept is not None:
            return kept
        head = read(raw)
        head = msgspec.structs.replace(head, handler=self._choose(head))
        if len(raw) <= _KEPT_BYTES and not _OWN & head.headers.keys():
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[raw] = head
        return head


def read(raw: bytes) -> Head:
    """The head that `raw` is, its empty line included. Raises Problem 400, 414, 405, 417, 431 or 501."""
    if len(raw) > MOST_BYTES:
        raise too_long()
    line = _LINE.match(raw)
    if line is None:
        raise unreadable("its first line is not METHOD TARGET HTTP/1.1")
    method, target, minor = line[1], line[2], int(line[3])
    if FIELDS.fullmatch(raw, line.end()) is None:
        raise unreadable("a header is not NAME: VALUE on one line")
    lines = raw[line.end() : -len(END)].split(b"\r\n") if len(raw) > line.end() + 2 else []
    if len(lines) > MOST_HEADERS:
        raise too_long()
    if len(target) > MOST_TARGET:
        raise Problem(
            414, "the address is too long", why=f"at most {MOST_TARGET // 1024} KiB are read", next="send what is long in the body"
        )
    headers = _named(lines)
    path, query = _target(method, target, headers)
    return Head(
        method=method,
        path=path,
        query=query,
        headers=headers,
        length=_length(headers, minor),
        keep_alive=minor == 1 and b"close" not in _tokens(headers.get(b"connection", b"")),
        expects=_expects(headers, minor),
        raw=raw,
        minor=minor,
    )


def pairs(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Every header of a head that was read, in order, names in lower case."""
    lines = raw.split(b"\r\n")[1:-2]
    return [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]


def _named(lines: list[bytes]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in headers:
            if name in _ONCE:
                raise unreadable(f"it says {name.decode()} twice")
            if name != b"connection":
                continue
            value = headers[name] + b"," + value
        headers[name] = value.strip(b" \t")
    return headers


def _target(method: bytes, target: bytes, headers: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """The path and the query. An address in full must name the host that the header names."""
    if method not in _METHODS:
        known = b", ".join(sorted(_METHODS))
        refused = 405 if method in _OTHERS else 501
        raise Problem(
            refused, "this is no method of this server", why=f"it knows {known.decode()}", next="GET /docs", headers=((b"allow", known),)
        )
    if not target.startswith(b"/") and not (target == b"*" and method == b"OPTIONS"):
        scheme, _, rest = target.partition(b"://")
        authority, slash, rest = rest.partition(b"/")
        if scheme.lower() not in (b"http", b"https") or not authority or authority != headers.get(b"host"):
            raise unreadable("its address is neither a path nor one of the host that it names")
        target = slash + rest or b"/"
    if b"#" in target:
        raise unreadable("its address has a fragment")
    path, _, query = target.partition(b"?")
    return path, query


def _length(headers: dict[bytes, bytes], minor: int) -> int:
    host, said, coding = headers.get(b"host"), headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if host is None:
        if minor == 1:
            raise unreadable("it names no host")
    elif _HOST.fullmatch(host) is None:
        raise unreadable("its host is no name")
    if coding is not None:
        if said is not None or minor == 0 or coding.lower() != b"chunked":
            raise unreadable("the end of its body could be read in two ways")
        return CHUNKED
    if said is None:
        return 0
    if _LENGTH.fullmatch(said) is None:
        raise unreadable("its content-length is no number")
    return int(said)


def _expects(headers: dict[bytes, bytes], minor: int) -> bool:
    said = headers.get(b"expect")
    if said is None or minor == 0:
        return False
    if said.lower() != b"100-continue":
        raise Problem(417, "this server cannot do what the request expects", why="it knows 100-continue", next="send it without Expect")
    return True


def _tokens(value: bytes) -> list[bytes]:
    return [one.strip() for one in value.lower().split(b",")]


def unreadable(why: str) -> Problem:
    """The problem of a request that cannot be read, or could be in two ways."""
    return Problem(400, "this is not an HTTP request", why=why, next="GET /docs")


def too_long() -> Problem:
    """The problem of a head over the limits."""
    return Problem(
        431,
        "the headers are too long",
        why=f"at most {MOST_BYTES // 1024} KiB and {MOST_HEADERS} headers are read",
        next="send what is long in the body",
    )


def too_slow(what: str, limit_s: float) -> Problem:
    """The problem of a client that takes its time."""
    return Problem(408, f"{what} came too slowly", why=f"they are waited for {limit_s:.0f} s", next="send the request again")
