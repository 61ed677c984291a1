"""Doors: what answers a request, chosen by its head alone, so that a head that was seen before needs no choosing.

`POST /NAME`, `/v2/models/NAME/infer`, `/v1/models/NAME:predict` and gRPC's methods are answered here, and so are health and metrics; every
other path goes to the ASGI application. A request must name this machine in its Host header; otherwise a web page elsewhere could reach a
server on loopback under a name of its own (DNS rebinding).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol
from urllib.parse import unquote

from bedplate.interfaces.http.answered import Answered, refusal
from bedplate.interfaces.http.asking import Desk
from bedplate.interfaces.http.front import LOOPBACK, foreign, names_us
from bedplate.interfaces.http.grpc_calls import PATH
from bedplate.interfaces.http.messages import Messages
from bedplate.interfaces.http.replies import App, Problem
from bedplate.interfaces.http.streams import streams

from .ask_door import AskDoor
from .bridge import Exchange
from .events import StreamDoor
from .head import Head
from .message_door import MessageDoor
from .wire import Wire

_PREDICT: Final = re.compile(r"/v1/models/([^/:]++)(?:/versions/([^/:]++))?:predict")
_INFER: Final = re.compile(r"/v2/models/([^/]++)(?:/versions/([^/]++))?/infer")

Said = Callable[[], Answered]
"""Says something of the server as it is now."""


class Door(Protocol):
    """Answers requests with one head; `limit` is the largest body that it takes, in bytes."""

    limit: int

    def answer(self, head: Head, body: bytes, wire: Wire) -> Answered | None:
        """The answer, or None where the wire will get it later."""
        ...

    def refused(self, head: Head, problem: Problem) -> Answered:
        """The answer to a request that is refused before it is whole."""
        ...


class SaidDoor:
    """A page that is said at once."""

    limit = 1 << 16

    def __init__(self, said: Said) -> None:
        self._said = said

    def answer(self, _head: Head, _body: bytes, _wire: Wire) -> Answered:
        """The page."""
        return self._said()

    def refused(self, _head: Head, problem: Problem) -> Answered:
        """The house's error."""
        return refusal(problem)


class BridgeDoor:
    """The ASGI application."""

    def __init__(self, app: App, limit: int) -> None:
        self.limit = limit
        self._app = app

    def answer(self, head: Head, body: bytes, wire: Wire) -> None:
        """Have the application answer, in a task of its own."""
        wire.keeper.start(Exchange(head, body, wire).run(self._app))

    def refused(self, _head: Head, problem: Problem) -> Answered:
        """The house's error."""
        return refusal(problem)


class ForeignDoor:
    """A request under a name that is not this machine's."""

    limit = 1 << 16

    def answer(self, _head: Head, _body: bytes, _wire: Wire) -> Answered:
        """The refusal."""
        return refusal(foreign())

    def refused(self, _head: Head, problem: Problem) -> Answered:
        """The house's error."""
        return refusal(problem)


class Doors:
    """All that can be asked of a server. `services`, `models` and `predicts` give desks by name (and version), `said` pages by path."""

    def __init__(
        self,
        services: Callable[[str], Desk],
        models: Callable[[str, str | None], Desk],
        said: Mapping[str, Said],
        app: App,
        body_limit: int,
        hosts: Iterable[str] = LOOPBACK,
        *,
        predicts: Callable[[str, str | None], Desk] | None = None,
        messages: Messages | None = None,
    ) -> None:
        self._services = services
        self._models = models
        self._predicts = predicts
        self._calls = MessageDoor(messages) if messages is not None else None
        self._said = {path: SaidDoor(one) for path, one in said.items()}
        self._bridge = BridgeDoor(app, body_limit)
        self._hosts = frozenset(hosts)

    def choose(self, head: Head) -> Door:
        """What answers requests with this head."""
        host = head.headers.get(b"host", b"")
        if host and not names_us(host, self._hosts):
            return ForeignDoor()
        path = unquote(head.path.decode("latin-1"))
        if head.method == b"POST":
            if path.find("/", 1) < 0:
                desk = self._services(path[1:])
                return StreamDoor(desk, head) if streams(desk, head.headers) else AskDoor(desk, head)
            if found := _INFER.fullmatch(path):
                return AskDoor(self._models(found[1], found[2]), head)
            if self._predicts is not None and (found := _PREDICT.fullmatch(path)):
                return AskDoor(self._predicts(found[1], found[2]), head)
        elif head.method in (b"GET", b"HEAD") and path in self._said:
            return self._said[path]
        return self._calls if self._calls is not None and path.startswith(PATH) else self._bridge
