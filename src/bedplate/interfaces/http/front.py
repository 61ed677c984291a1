"""Front: the one ASGI callable. It sorts requests: `POST /NAME` to the services, everything else to the pages.

Services bypass the router: a dictionary look-up costs a twentieth of matching every route. A request must name this machine in its
Host header; otherwise a web page elsewhere could reach a server on loopback under a name of its own (DNS rebinding).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable
from typing import Final

from .asking import ask_through
from .body import header, headers_of
from .calls import Calls, ServiceDesk
from .replies import App, Problem, Receive, Scope, Send, refuse
from .streams import answer_through, streams

_LOG: Final = logging.getLogger("bedplate.serve")
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


class Front:
    """Sorts requests, and answers 500 for a mistake of our own."""

    def __init__(self, calls: Calls, pages: App, hosts: Iterable[str] = LOOPBACK) -> None:
        self._calls = calls
        self._pages = pages
        self._hosts = frozenset(hosts)
        self._known: set[bytes] = {b""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        host = header(scope, b"host")
        if host not in self._known and not self._names_us(host):
            await refuse(send, foreign())
            return
        try:
            path: str = scope["path"]
            if scope["method"] == "POST" and path.find("/", 1) < 0:
                desk = self._calls.desk(path[1:])
                if isinstance(desk, ServiceDesk) and desk.streams and streams(desk, headers_of(scope)):
                    await answer_through(desk, scope, receive, send)
                else:
                    await ask_through(desk, scope, receive, send)
            else:
                await self._pages(scope, receive, send)
        except Exception as error:  # our own mistake: the caller gets the house's error, the log the traceback
            await refuse(send, mistake(error))

    def _names_us(self, host: bytes) -> bool:
        """Whether a Host header names this machine; remembered, as callers repeat themselves."""
        if not names_us(host, self._hosts):
            return False
        if len(self._known) < 64:
            self._known.add(host)
        return True


def names_us(host: bytes, hosts: frozenset[str]) -> bool:
    """Whether a Host header names one of these hosts, whatever the port."""
    text = host.decode("latin-1").lower()
    return (text if text.endswith("]") else text.rpartition(":")[0] or text) in hosts


def foreign() -> Problem:
    """The problem of a request under a name that is not this machine's."""
    return Problem(421, "this server does not answer under that name", next="ask http://localhost or http://127.0.0.1")


def mistake(error: Exception) -> Problem:
    """The problem of a mistake of our own; the traceback goes to the log."""
    _LOG.error("a mistake of the server's own\n%s", "".join(traceback.format_exception(error)).rstrip())
    return Problem(500, "the server made a mistake", why="it is bedplate's own", next="look in the server's log")
