"""What goes back over the wire: JSON replies, and one shape for every error.

An error is `{"error": {"what", "why", "next"}}`, as on the command line. Nothing of the user's code or of the machine is in it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]
Headers = Mapping[bytes, bytes]
"""A request's headers by name in lower case, the first of each."""

JSON: Final[Header] = (b"content-type", b"application/json")
CLOSE: Final[Header] = (b"connection", b"close")


class Problem(Exception):
    """A request that cannot be answered: an HTTP status, and what, why and what next in words for the caller.

    `recorded` says that the prediction log has it already.
    """

    def __init__(self, status: int, what: str, *, why: str = "", next: str = "", headers: tuple[Header, ...] = ()) -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.why = why
        self.next = next
        self.headers = headers
        self.recorded = False

    def body(self) -> bytes:
        """The error as JSON."""
        return msgspec.json.encode({"error": {"what": self.what, "why": self.why, "next": self.next}})


async def reply(send: Send, status: int, body: bytes, headers: tuple[Header, ...] = (JSON,)) -> None:
    """Send one whole response."""
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, problem: Problem) -> None:
    """Send an error."""
    await reply(send, problem.status, problem.body(), (JSON, *problem.headers))
