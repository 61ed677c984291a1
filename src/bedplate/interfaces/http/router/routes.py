"""Routes: what of a request's head goes to a replica. One for each head that is seen, so that a head that comes again costs nothing.

Headers that are about the connection stay here (RFC 9110, 7.6.1), and so do those that `Connection` names; everything else, as trace and
request ids, goes on as it came. The length is said anew: a body that came in chunks goes on whole.
"""

from __future__ import annotations

from typing import Final, Protocol

from bedplate.interfaces.http import infer_forms
from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.plane.head import Head, pairs
from bedplate.interfaces.http.plane.wire import Wire
from bedplate.interfaces.http.replies import Problem

from .passing import Desk, Passing

_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"content-length", b"expect"}
)  # fmt: skip


_ENDS: Final = frozenset(
    {b"accept", b"authorization", b"content-encoding", b"content-type", b"host", b"idempotency-key", b"inference-header-content-length",
     b"x-request-id"}
)  # fmt: skip
"""Headers that no `Connection` takes away: a request would mean something else without them."""


class Takes(Desk, Protocol):
    """The router, as a route knows it."""

    def take(self, passing: Passing) -> Answered | None:
        """Take a request on; the answer where it is refused at once."""
        ...

    def late_s(self, service: str) -> float:
        """When an answer of a service is late; 0: it says nothing of that."""
        ...


class Route:
    """Requests with one head, to whichever replica."""

    def __init__(self, router: Takes, head: Head, limit: int) -> None:
        self.limit = limit
        self._router = router
        self._path = head.path
        self._lines = _ahead(head)
        self._host = b"host: %b\r\n" % head.headers.get(b"host", b"")
        self.late_s = router.late_s(head.path[1:].decode("latin-1")) if head.method == b"POST" else 0.0

    def ahead(self, host: bytes | None, length: int) -> bytes:
        """The head as a replica gets it."""
        named = self._host if host is None else b"host: %b\r\n" % host
        return b"%b%bcontent-length: %d\r\n\r\n" % (self._lines, named, length)

    def answer(self, head: Head, body: bytes, wire: Wire) -> Answered | None:
        """Have a replica answer; what is refused is answered at once."""
        return self._router.take(Passing(self._router, self, head, body, wire))

    def refused(self, _head: Head, problem: Problem) -> Answered:
        """The house's error, in the protocol's own form under its paths."""
        of_models = self._path.startswith((b"/v2", b"/v1/models"))
        return infer_forms.refusal(problem) if of_models else refusal(problem)


def _ahead(head: Head) -> bytes:
    """The request's line and headers as a replica gets them, without host and length. It is asked with GET where the client said HEAD:
    how long a body would be is known once it is there.
    """
    method = b"GET" if head.method == b"HEAD" else head.method
    query = b"?" + head.query if head.query else b""
    named = {one.strip().lower() for one in head.headers.get(b"connection", b"").split(b",")}
    lines = [
        b"%b: %b\r\n" % (name, value)
        for name, value in pairs(head.raw)
        if name not in _HOP and name != b"host" and (name not in named or name in _ENDS)
    ]
    return b"%b %b%b HTTP/1.1\r\n%b" % (method, head.path, query, b"".join(lines))
