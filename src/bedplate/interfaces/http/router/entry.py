"""Entry: what answers a request to the router: health and metrics of all replicas together here, everything else a replica."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from bedplate.interfaces.http.answered import Answered, refusal, said
from bedplate.interfaces.http.front import LOOPBACK, names_us
from bedplate.interfaces.http.metrics import CONTENT_TYPE, Counted, process_now, told
from bedplate.interfaces.http.plane.counts import read_counts, write_counts
from bedplate.interfaces.http.plane.doors import Door, ForeignDoor, SaidDoor
from bedplate.interfaces.http.plane.head import Head
from bedplate.interfaces.http.plane.wire import Wire
from bedplate.interfaces.http.replies import Problem

from .member import said_of
from .question import ask
from .router import Router
from .routes import Route
from .tally import Routed

_COUNTS: Final = "router"
_UP: Final = ("ready", "waiting")


class Entry:
    """Chooses what answers. `folder` is where the replicas of ours write what they count."""

    def __init__(self, router: Router, folder: str, hosts: Iterable[str] = LOOPBACK) -> None:
        self._router = router
        self._hosts = frozenset(hosts)
        self._metrics = _MetricsDoor(router, folder)
        pages = {"/health/live": self.live, "/health/ready": self.ready, "/v2/health/live": self.live, "/v2/health/ready": self.model_ready}
        self._said: dict[str, Door] = {path: SaidDoor(page) for path, page in pages.items()}

    def choose(self, head: Head) -> Door:
        """What answers requests with this head."""
        host = head.headers.get(b"host", b"")
        if host and not names_us(host, self._hosts):
            return ForeignDoor()
        if head.method in (b"GET", b"HEAD"):
            path = unquote(head.path.decode("latin-1"))
            if path == "/metrics":
                return self._metrics
            if path in self._said:
                return self._said[path]
        return Route(self._router, head, self._router.settings.body_limit)

    def live(self) -> Answered:
        """The router answers."""
        return said({"live": True})

    def ready(self) -> Answered:
        """Whether a request would be answered, what a replica says of itself, and how each replica stands."""
        members, body = self._router.members, dict[str, Any]()
        up = sorted((one for one in members if one.standing.state in _UP), key=lambda one: _UP.index(one.standing.state))
        if up:
            body.update(up[0].said)
        is_ready = self.is_ready()
        body.update(ready=is_ready, held=self._router.held, replicas={one.name: said_of(one) for one in members})
        return said(body, 200 if is_ready else 503)

    def model_ready(self) -> Answered:
        """The same, as the Open Inference Protocol asks it."""
        is_ready = self.is_ready()
        return said({"ready": is_ready}, 200 if is_ready else 400)

    def is_ready(self) -> bool:
        """Whether somebody who may be asked is ready, or would be started."""
        home = self._router.settings.home
        ready = any(one.standing.state == "ready" and home.allows(one.standing.place) for one in self._router.members)
        return ready or self._router.more()


class _MetricsDoor:
    """Metrics of the router, and of the replicas of ours together: one of them adds up what all have counted, this process included."""

    limit = 1 << 16

    def __init__(self, router: Router, folder: str) -> None:
        self._router = router
        self._folder = folder
        self._process = ProcessCollector(registry=None)
        self._own = CollectorRegistry()
        self._own.register(Routed(router.tally, router.members, lambda: router.held))

    def answer(self, _head: Head, _body: bytes, wire: Wire) -> None:
        """Answer once a replica has."""
        wire.keeper.start(self._answer(wire))

    def refused(self, _head: Head, problem: Problem) -> Answered:
        """The house's error."""
        return refusal(problem)

    async def _answer(self, wire: Wire) -> None:
        with contextlib.suppress(OSError):  # a full disk: the router's own processor time is missing from the sum
            write_counts(self._folder, _COUNTS, Counted(process=process_now(self._process)))
        text = generate_latest(self._own)
        for member in self._router.members:
            if member.standing.is_ours and member.standing.state in _UP:
                with contextlib.suppress(OSError):  # it ended meanwhile, or hangs: what was counted is in the folder
                    status, body = await ask(member, b"/metrics")
                    if status == 200:
                        wire.answer(_page(text + body))
                        return
        wire.answer(_page(text + generate_latest(_of(read_counts(self._folder)))))


class _Told(Collector):
    """What was counted by processes that may have ended."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def collect(self) -> Any:
        """All of it."""
        return told(self._counted)


def _of(counted: Counted) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Told(counted))
    return registry


def _page(text: bytes) -> Answered:
    return Answered(200, b"content-type: %b\r\n" % CONTENT_TYPE, text)
