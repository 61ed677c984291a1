"""The desk at which a request is answered, and the jobs that answer it in the writer's thread or a reader's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import Clock, iso
from bedplate.core.errors import InternalError, NotFound
from bedplate.core.records import Record
from bedplate.interfaces.http.beside.beside import Beside
from bedplate.interfaces.http.replies import Scope
from bedplate.security.decide import Actor, Grant, decide, resource_name
from bedplate.security.permissions import PERMISSIONS, RANK
from bedplate.storage.job_logs import JobLogs
from bedplate.storage.store import Store

from . import memory
from .asked import queried
from .endpoint import NOBODY, OPEN, STATUS, Desk, Endpoint, Fault, Hears, Kind, Limits, Reply, Resource, Tells, Upload, hears_nothing
from .who import Who

_ENCODER: Final = msgspec.json.Encoder()
_JSON: Final = "application/json"
_LONGEST_NAME: Final = 1000
_UNSEEN_STATUS: Final = STATUS["RESOURCE_DOES_NOT_EXIST"]
OFTEN: Final = frozenset({"run.write", "trace.write", "artifact.write"})
"""What comes by the thousand: the audit log has the first in a minute, for each actor, route and resource. Of all else it has every act."""


class Emitted(Record, frozen=True, kw_only=False):
    """What an answer tells those who listen, once it is committed."""

    kind: str
    subject: str
    data: Mapping[str, Any]


class Given(NamedTuple):
    """What every desk of a server has."""

    store: Store
    clock: Clock
    random_bits: Callable[[int], int]
    who: Who
    write: Callable[[AtDesk, Callable[[Catalog], Any]], Any]
    """Does a work in the writer's transaction, and waits for it."""
    limits: Limits = Limits()
    tells: Tells | None = None
    hears: Hears = hears_nothing
    logs: JobLogs | None = None
    beside: Beside | None = None


class AtDesk:
    """One request's desk."""

    __slots__ = (
        "_given",
        "_headers",
        "_query",
        "_scheme",
        "_upload",
        "_writes",
        "actor",
        "ahead",
        "catalog",
        "doing",
        "emitted",
        "noted",
        "now",
        "now_ms",
        "peer",
    )

    def __init__(self, given: Given, headers: Mapping[bytes, bytes], scope: Scope, *, writes: bool) -> None:
        self._given = given
        self._headers = headers
        self._query: bytes = scope["query_string"]
        self._writes = writes
        self._scheme: str = scope.get("scheme", "http")
        self.peer = (scope.get("client") or ("",))[0]
        self._upload: Upload | None = None
        self.now = given.clock.now()
        self.now_ms = int(self.now.timestamp() * 1000)
        self.actor: Actor
        self.catalog: Catalog
        self.emitted: list[Emitted] = []
        self.noted: dict[str, str] = {}
        self.doing: tuple[Endpoint, str] | None = None
        self.ahead: Any = None

    def open(self, catalog: Catalog, *, slow: bool, to_all: bool = False) -> None:
        """Begin in the thread that answers: on its connection, with who asks recognised there. Raises Fault, Unsure."""
        self.catalog = catalog
        if to_all:
            self.actor = NOBODY
            return
        self.actor = self._given.who.recognise(catalog, self._headers, self.now, writes=self._writes, slow=slow, peer=self.peer)

    @property
    def store(self) -> Store:
        """Where bytes are kept."""
        return self._given.store

    @property
    def logs(self) -> JobLogs:
        """What steps printed. Raises Fault where this server has none."""
        if self._given.logs is None:
            raise Fault("NOT_IMPLEMENTED", "this server has no logs of steps")
        return self._given.logs

    @property
    def beside(self) -> Beside | None:
        """The project beside the server."""
        return self._given.beside

    @property
    def limits(self) -> Limits:
        """How much may be uploaded."""
        return self._given.limits

    @property
    def csrf(self) -> str:
        """The text that what this session changes must carry; empty where there is no session."""
        return self._given.who.csrf(self.catalog, self._headers, self.now)

    @property
    def base(self) -> str:
        """The URL under which the client reached this server."""
        return f"{self._scheme}://{self._headers.get(b'host', b'').decode('latin-1')}"

    def random_bits(self, count: int) -> int:
        """That many random bits."""
        return self._given.random_bits(count)

    def header(self, name: bytes) -> bytes:
        """A header of the request."""
        return self._headers.get(name, b"")

    def query(self) -> Mapping[str, list[str]]:
        """The query of the request."""
        return queried(self._query)

    def sees(self, kind: Kind) -> frozenset[str] | None:
        """The ids that the actor may see; None: all."""
        scope = self.actor.scope.resource
        prefix = f"{kind}:"
        limited = None if scope == "*" else frozenset({scope.removeprefix(prefix)} if scope.startswith(prefix) else ())
        if self.actor.is_admin:
            return limited
        grants = [one for one in self.catalog.grants.of(self.actor.name) if RANK[one.role] >= RANK["viewer"]]
        if any(one.resource == "*" for one in grants):
            return limited
        mine = frozenset(one.resource.removeprefix(prefix) for one in grants if one.resource.startswith(prefix))
        return mine if limited is None else mine & limited

    def may(self, action: str, resource: Resource) -> bool:
        """Whether the actor may do that with something else that is named in what is asked."""
        name = resource_name(resource.kind, resource.id)
        grants = () if self.actor.is_admin else self.catalog.grants.there(self.actor.name, name)
        return decide(self.actor, action, name, grants).allowed

    def knows(self, password: str) -> bool:
        """Whether that is the actor's password; slow, and slower for who guesses. Raises Fault 429."""
        return self._given.who.proves(self.catalog, self.actor.name, password, self.now, self.peer)

    def owns(self, made: Resource) -> None:
        """Make the actor the maintainer of what was just made."""
        if not self.actor.is_admin:
            name, actor = resource_name(made.kind, made.id), self.actor.name
            self.catalog.grants.put(Grant(account=actor, resource=name, role="maintainer", granted_by=actor, granted_at=iso(self.now)))

    def note(self, **said: str) -> None:
        """What the audit log is to say of this act."""
        self.noted.update(said)

    def add_often(self, catalog: Catalog, endpoint: Endpoint, resource: str) -> None:
        """An entry for one of those acts that come by the thousand."""
        catalog.audit.add_often(self.actor.name, endpoint.action, resource, endpoint.path, self.now)

    def emit(self, kind: str, subject: str, data: Mapping[str, Any]) -> None:
        """Tell who listens, once what was done is committed."""
        self.emitted.append(Emitted(kind, subject, data))

    def brings(self, upload: Upload) -> None:
        """Give the desk a body of bytes."""
        self._upload = upload

    @property
    def tells(self) -> Tells:
        """What tells webhooks. Raises Fault where nobody is told."""
        if self._given.tells is None:
            raise Fault("NOT_IMPLEMENTED", "this server tells no webhooks")
        return self._given.tells

    def hear(self, endpoint: Endpoint, asked: Any, reply: Reply) -> None:
        """Let those hear who are told of it later; inside its transaction."""
        self._given.hears(self.catalog, endpoint, asked, reply, self.now_ms)

    def upload(self) -> Upload:
        """The body of bytes. Raises InternalError where the endpoint has none."""
        if self._upload is None:
            raise InternalError("this endpoint takes no body of bytes")
        return self._upload

    def write(self, work: Callable[[Catalog], Any]) -> Any:
        """Do `work` in the writer's transaction, and wait until it is committed."""
        return self._given.write(self, work)


class Denied(Fault):
    """A refusal for want of a right, with what was refused: for the audit log."""

    def __init__(self, fault: Fault, actor: str, action: str, resource: str) -> None:
        super().__init__(fault.code, fault.message, fault.status)
        self.act = (actor, action, resource)


def judge(desk: AtDesk, endpoint: Endpoint, asked: Any) -> str:
    """The name of what is asked about, where the actor may do that with it.

    Finds what is asked about, and decides; raises Fault 404 for what may not be seen, 403 for what may not be done.

    What is not there and what may not be seen are answered with the same words.
    """
    try:
        resource = endpoint.on(desk, asked)
    except (NotFound, Fault) as error:
        if desk.actor.is_admin or (isinstance(error, Fault) and error.status != _UNSEEN_STATUS):
            raise
        raise _unseen(endpoint.action) from None
    return judged(desk, endpoint.action, resource_name(resource.kind, resource.id), hides=True)


def judged(desk: AtDesk, action: str, name: str, *, hides: bool = False) -> str:
    """The name of a resource, where the actor may do that with it; `hides`: what may not be seen is not there. Raises Denied."""
    if len(name) > _LONGEST_NAME:  # nothing has such a name: it is neither remembered nor noted
        raise _unseen(action)
    grants = () if desk.actor.is_admin else desk.catalog.grants.there(desk.actor.name, name)
    decision = decide(desk.actor, action, name, grants)
    if not decision.allowed:
        fault = _unseen(action) if hides and not decision.seen else Fault("PERMISSION_DENIED", decision.rule)
        raise Denied(fault, desk.actor.name, action, name)
    return name


def _unseen(action: str) -> Fault:
    return Fault("RESOURCE_DOES_NOT_EXIST", f"there is no such {PERMISSIONS[action].on}, or you may not see it")


def encoded(answer: Any) -> Reply:
    """An answer as a reply: what is none already is JSON."""
    return answer if isinstance(answer, Reply) else Reply(body=_ENCODER.encode(answer), media_type=_JSON)


class ReadJob:
    """A request that reads, answered in a reader's thread."""

    __slots__ = ("_asked", "_endpoint", "desk")

    def __init__(self, desk: AtDesk, endpoint: Endpoint, asked: Any) -> None:
        self.desk = desk
        self._endpoint = endpoint
        self._asked = asked

    def run(self, catalog: Catalog) -> Reply:
        """Judge and answer."""
        to_all = self._endpoint.action == OPEN
        self.desk.open(catalog, slow=True, to_all=to_all)
        if not to_all:
            self.desk.doing = (self._endpoint, judge(self.desk, self._endpoint, self._asked))
        return encoded(self._endpoint.answer(self.desk, self._asked))


class Ahead:
    """What a request that writes has to read first, in a thread for bytes: who may not write does not have it read."""

    __slots__ = ("_asked", "_beforehand", "_desk", "_endpoint")

    def __init__(self, desk: AtDesk, endpoint: Endpoint, asked: Any, beforehand: Callable[[Desk, Any], Any]) -> None:
        self._desk = desk
        self._endpoint = endpoint
        self._asked = asked
        self._beforehand = beforehand

    def run(self, catalog: Catalog) -> None:
        """Judge and read. The write judges once more, in its transaction."""
        self._desk.open(catalog, slow=True)
        judge(self._desk, self._endpoint, self._asked)
        self._desk.ahead = self._beforehand(self._desk, self._asked)


class Passing:
    """A look whether somebody may do an action that is about the server, answered elsewhere."""

    __slots__ = ("_action", "_desk")

    def __init__(self, desk: AtDesk, action: str) -> None:
        self._desk = desk
        self._action = action

    def run(self, catalog: Catalog) -> None:
        """Judge."""
        self._desk.open(catalog, slow=True)
        judged(self._desk, self._action, resource_name("server"))


class WriteJob:
    """A request that writes, answered in the writer's transaction.

    `digest` is set where an equal request of the last minute is answered as it was; `is_new` says that this one is no retry of it. What the
    record keeps is a digest of who asked, not of how he proved it: a password could be found out by that.
    """

    __slots__ = ("_asked", "_digest", "_endpoint", "_is_new", "_resource", "desk")

    def __init__(self, desk: AtDesk, endpoint: Endpoint, asked: Any, digest: str = "", is_new: bool = True) -> None:
        self.desk = desk
        self._endpoint = endpoint
        self._asked = asked
        self._digest = digest
        self._is_new = is_new
        self._resource = ""

    def ready(self, catalog: Catalog) -> None:
        """Judge."""
        self.desk.open(catalog, slow=False)
        self._resource = judge(self.desk, self._endpoint, self._asked)

    def apply(self, catalog: Catalog) -> Reply:
        """Answer, or tell again what was answered to an equal request."""
        self.desk.emitted.clear()
        self.desk.noted.clear()
        digest = self._digest and memory.digest_of(repr(self.desk.actor), "", "", self._digest.encode())
        if digest and not self._is_new and (told := catalog.answers.find(digest, self.desk.now_ms)) is not None:
            return Reply(body=told, media_type=_JSON)
        reply = encoded(self._endpoint.answer(self.desk, self._asked))
        self.desk.hear(self._endpoint, self._asked, reply)
        if self._endpoint.action in OFTEN:
            self.desk.add_often(catalog, self._endpoint, self._resource)
        else:
            catalog.audit.add(self.desk.actor.name, self._endpoint.action, self._resource, self.desk.now, data=self.desk.noted)
        if digest and isinstance(reply.body, bytes):
            catalog.answers.keep(digest, reply.body, self.desk.now_ms)
        return reply


class PlainWrite:
    """A work that an answer has done in the writer's transaction."""

    __slots__ = ("_desk", "_emitted", "_work")

    def __init__(self, desk: AtDesk | None, work: Callable[[Catalog], Any]) -> None:
        self._desk = desk
        self._emitted = len(desk.emitted) if desk is not None else 0
        self._work = work

    def ready(self, _catalog: Catalog) -> None:
        """It was judged where it came from."""

    def apply(self, catalog: Catalog) -> Any:
        """Do it."""
        if self._desk is not None:
            del self._desk.emitted[self._emitted :]
        answer = self._work(catalog)
        if self._desk is not None and self._desk.doing is not None and self._desk.doing[0].action in OFTEN:
            self._desk.add_often(catalog, *self._desk.doing)
        return answer
