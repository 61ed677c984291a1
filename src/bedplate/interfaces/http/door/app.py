"""The gate: the one ASGI callable of `bedplate up`, through which every request comes, whatever its path or method.

In this order: the name of the host and the origin; the short list of open routes, by exact path; who asks; where the path leads (a path
that leads nowhere is told so only to somebody who is known); the size, the type and the depth of the body; and then, in the thread and the
transaction that answer it, who asks once more and whether he may. What is not in the table of routes, or whose action is not in the table
of permissions, is answered to nobody.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import Clock
from bedplate.core.errors import InternalError
from bedplate.core.ids import new_id
from bedplate.interfaces.http.beside.beside import Beside
from bedplate.interfaces.http.body import Gone, need_json, need_plain, read
from bedplate.interfaces.http.replies import App, Receive, Scope, Send
from bedplate.storage.job_logs import JobLogs
from bedplate.storage.store import Store

from . import memory
from .desk import Ahead, AtDesk, Denied, Emitted, Given, Passing, PlainWrite, ReadJob, WriteJob
from .endpoint import MOST_OPEN, OPEN, Endpoint, Fault, Hears, Limits, Reply, Tells, hears_nothing
from .faults import fault_of
from .lanes import Lanes
from .names import Names
from .refusals import Refusals
from .routes import Found, Route, Routes
from .sending import send_fault, send_reply
from .uploads import Incoming
from .who import Unsure, Who
from .writer import RETRY

OpenRoute = Callable[[Scope, Receive], Awaitable[Reply]]
"""Answers a request of nobody in particular."""
Shows = Callable[[Scope, Fault], Reply | None]
"""How a fault is told to a person in a browser; None where the protocol's form is what was asked for."""


def shows_nothing(_scope: Scope, _fault: Fault) -> Reply | None:
    """For a server without pages."""
    return None


MOST_IN_FLIGHT: Final = 128 << 20
"""Bytes of bodies that are read and answered at one time."""
MOST_UPLOAD: Final = 1 << 40
MOUNTED: Final = "/services/"
_OURS_ALONE: Final = frozenset({b"authorization", b"cookie"})
"""Headers that a mounted application has no use for."""


class Site(NamedTuple):
    """What the gate is given. `counted` hears the action, the status and the seconds of each request, `told` what answers emit."""

    store: Store
    clock: Clock
    random_bits: Callable[[int], int]
    names: Names
    who: Who
    lanes: Lanes
    body_limit: int
    counted: Callable[[str, int, float], None]
    told: Callable[[list[Emitted]], None]
    limits: Limits = Limits()
    tells: Tells | None = None
    hears: Hears = hears_nothing
    shows: Shows = shows_nothing
    logs: JobLogs | None = None
    beside: Beside | None = None


class Door:
    """Answers requests, or says why not."""

    def __init__(self, site: Site, routes: Routes, opened: Mapping[tuple[str, str], OpenRoute]) -> None:
        open_routes = [*opened, *(one for one in routes.endpoints if one.action == OPEN)]
        if len(open_routes) > MOST_OPEN:
            raise InternalError(f"{len(open_routes)} routes are open to anybody, and at most {MOST_OPEN} may be")
        self._site = site
        self._routes = routes
        self._open = opened
        self._lanes = site.lanes
        self._memory = memory.Memory()
        self._given = Given(
            site.store, site.clock, site.random_bits, site.who, site.lanes.write_for, site.limits, site.tells, site.hears, site.logs,
            site.beside,
        )  # fmt: skip
        self._mounted: App | None = None
        self._in_flight = 0
        self._refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        answered: Reply | Fault | None
        try:
            answered = await self._answer(scope, receive, send)
        except Gone:
            return
        except Exception as error:  # whatever it was, the caller gets the protocol's error, and the log what it must have
            answered = self._fault(error)
        if answered is None:
            return
        try:
            if isinstance(answered, Fault):
                shown = self._site.shows(scope, answered)
                await (send_fault(send, answered) if shown is None else send_reply(scope, receive, send, shown, self._lanes.made))
            else:
                await send_reply(scope, receive, send, answered, self._lanes.made)
        except Exception as error:  # the answer has begun: all that can be done is to cut it off, so that nobody takes it for whole
            if not isinstance(error, TimeoutError):  # a client that takes nothing is no news
                self._fault(error)
            scope["connection"].cut()
            return
        self._site.counted(scope.get("action", ""), answered.status, time.perf_counter() - started)

    def mount(self, app: App) -> None:
        """Answer what lies under `/services/` with an application of its own, once the gate has let it in."""
        self._mounted = app

    async def meets(self, headers: dict[bytes, bytes]) -> Fault | None:
        """Why who brings these credentials may ask for nothing; None for somebody who is known."""
        try:
            if not self._site.who.has_met(headers):
                await self._meet({}, headers)
        except Exception as error:  # whatever it was, it is told as it would be to a request
            return self._fault(error)
        return None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Reply | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        connection = scope.get("connection")
        if connection is not None and connection.noted is not None:
            self._memory.taken(connection)
        method, path = scope["method"], scope["path"]
        self._site.names.check(headers, method)
        as_get = "GET" if method == "HEAD" else method
        opened = self._open.get((as_get, path))
        if opened is not None:
            return await opened(scope, receive)
        if self._mounted is not None and path.startswith(MOUNTED):
            await self._pass_on(self._mounted, scope, receive, send, headers)
            return None
        if self._mounted is not None and path == MOUNTED[:-1] and as_get == "GET":
            return Reply(status=308, headers=((b"location", MOUNTED.encode()),))
        found = self._routes.find(path)
        route = found.methods.get(as_get) if found is not None else None
        if (route is None or route.endpoint.action != OPEN) and not self._site.who.has_met(headers):
            await self._meet(scope, headers)
        if found is None:
            raise Fault("ENDPOINT_NOT_FOUND", "there is no such endpoint")
        if route is None:
            allowed = ", ".join(found.methods).encode()
            raise Fault("BAD_REQUEST", "this endpoint does not take that method", status=405, headers=((b"allow", allowed),))
        scope["action"] = route.endpoint.action
        if route.endpoint.body == "bytes":
            return await self._take(scope, receive, headers, route, found)
        return await self._ask(scope, receive, headers, route, found)

    async def _ask(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], route: Route, found: Found) -> Reply:
        """Answer what comes as JSON or in the query."""
        limit = route.endpoint.most_bytes or self._site.body_limit
        said = _length(headers)
        size = limit if said is None else min(said, limit)
        if self._in_flight + size > MOST_IN_FLIGHT:
            raise Fault("TEMPORARILY_UNAVAILABLE", "too much is on its way already: send this again in a second", headers=RETRY)
        self._in_flight += size
        try:
            body = await read(scope, receive, limit)
            if body and (headers.get(b"content-type") != b"application/json" or b"content-encoding" in headers):
                need_json(headers)
            query: bytes = scope["query_string"]
            is_query = scope["method"] in ("GET", "HEAD") or (query and not body)
            asked = route.reader.query(query, found.values) if is_query else route.reader.body(body, found.values)
            return await self._in_lane(scope, headers, route.endpoint, asked, body)
        finally:
            self._in_flight -= size

    async def _in_lane(self, scope: Scope, headers: dict[bytes, bytes], endpoint: Endpoint, asked: Any, body: bytes) -> Reply:
        """Answer in the lane of the endpoint; once more, where the password must be checked anew."""
        desk = AtDesk(self._given, headers, scope, writes=endpoint.method != "GET")
        if not endpoint.writes:
            threads = self._lanes.checks if endpoint.action == OPEN else self._lanes.readers
            reply: Reply = await self._lanes.read(threads, ReadJob(desk, endpoint, asked))
            if desk.emitted:
                self._site.told(desk.emitted)
            return reply
        if endpoint.beforehand is not None:
            await self._lanes.read(self._lanes.bytes, Ahead(desk, endpoint, asked, endpoint.beforehand))
        digest, is_new = "", True
        if endpoint.repeats is not None and endpoint.repeats(asked):
            said = (headers.get(b"authorization", b"") + b"\n" + headers.get(b"cookie", b"")).decode("latin-1")
            is_new = await self._memory.is_new(memory.digest_of(said, scope["method"], scope["path"], body), scope.get("connection"))
            digest = memory.digest_of("", scope["method"], scope["path"], body)
        job = WriteJob(desk, endpoint, asked, digest, is_new)
        try:
            reply = await self._lanes.write(job)
        except Unsure:
            await self._meet(scope, headers)
            reply = await self._lanes.write(job)
        if desk.emitted:
            self._site.told(desk.emitted)
        return reply

    async def _take(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], route: Route, found: Found) -> Reply:
        """Answer what comes as bytes."""
        endpoint = route.endpoint
        if not endpoint.inflates:
            need_plain(headers)
        asked = route.reader.query(scope["query_string"], found.values)
        desk = AtDesk(self._given, headers, scope, writes=endpoint.method != "GET")
        upload = Incoming(receive, _length(headers), endpoint.most_bytes or MOST_UPLOAD)
        await upload.begin()
        desk.brings(upload)
        reply: Reply = await self._lanes.read(self._lanes.bytes, ReadJob(desk, endpoint, asked))
        if desk.emitted:
            self._site.told(desk.emitted)
        return reply

    async def _pass_on(self, app: App, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        """Have the mounted application answer somebody who may ask it. The name of the host was checked here."""
        action = "service.read" if scope["method"] in ("GET", "HEAD") else "service.call"
        if not self._site.who.has_met(headers):
            await self._meet(scope, headers)
        desk = AtDesk(self._given, headers, scope, writes=action == "service.call")
        await self._lanes.read(self._lanes.readers, Passing(desk, action))
        inner = [(name, b"localhost" if name == b"host" else value) for name, value in scope["headers"] if name not in _OURS_ALONE]
        await app({**scope, "path": scope["path"][len(MOUNTED) - 1 :], "headers": inner}, receive, send)

    async def _meet(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """See who asks, before anything of the request is read. Raises Fault 401. Tokens do not wait behind passwords that are checked."""
        is_slow = headers.get(b"authorization", b"")[:6].lower() == b"basic "
        lane = self._lanes.checks if is_slow else self._lanes.readers
        await self._lanes.read(lane, _Check(self._site, headers, (scope.get("client") or ("",))[0]))

    def _fault(self, error: Exception) -> Fault:
        """What the caller is told; a refusal for want of a right goes to the audit log."""
        if isinstance(error, Denied):
            self._refused(error)
        return fault_of(error, new_id("e", self._site.clock.now(), self._site.random_bits))

    def _refused(self, denied: Denied) -> None:
        if not self._refusals.is_news(denied.act, self._site.clock.monotonic()):
            return
        at = self._site.clock.now()

        def work(catalog: Catalog) -> None:
            catalog.audit.add(*denied.act, at, outcome="refused")

        self._lanes.writer.submit(PlainWrite(None, work), lambda _answer, _problem: None)


class _Check:
    """A look at who asks, in a thread that may take its time."""

    __slots__ = ("_headers", "_peer", "_site")

    def __init__(self, site: Site, headers: Mapping[bytes, bytes], peer: str) -> None:
        self._site = site
        self._peer = peer
        self._headers = headers

    def run(self, catalog: Catalog) -> None:
        self._site.who.meet(catalog, self._headers, self._site.clock.now(), self._peer)


def _length(headers: Mapping[bytes, bytes]) -> int | None:
    """How long the body says that it is; None where it does not."""
    said = headers.get(b"content-length")
    if said is None:
        return None if b"transfer-encoding" in headers else 0
    return int(said)
