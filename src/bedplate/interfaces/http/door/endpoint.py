"""What an endpoint is: a row of the one table of routes, the desk that it is answered at, and the errors that it may raise.

A module of endpoints declares what it asks as msgspec structs, writes each answer as a function of (Desk, asked), and lists them:

    class GetRun(Asks):
        run_id: str

    def on_run(desk: Desk, asked: GetRun) -> Resource:
        return Resource("experiment", desk.catalog.tracking.runs.experiment(asked.run_id))

    ENDPOINTS = (Endpoint("GET", "/api/2.0/mlflow/runs/get", GetRun, "run.read", on_run, get_run),)

`up/table.py` says which packages' modules are read for that.

Choices. A path is given under `/api/`, and is served under `/ajax-api/` too. `{name}` in it is one segment, `{name...}` all that is left;
both fill the field of that name. What is asked is filled from the JSON body, for GET from the query (and for a body of bytes).
Where `writes` is true, `on` and `answer` run in the one transaction of the writer, and may run again after a conflict: they change the
record and nothing else: nothing of theirs waits for the store or the network, for all writes would wait with it. What has to be read
there is read by `beforehand`, outside of the transaction, once `on` and the permissions let it; `answer` finds it as `desk.ahead`, and sees
that it is still what is asked for. `on` only reads. Otherwise they run on a reading connection, in one of several threads.
`on` says what is asked about; raise `missing(...)` where it is not there. Who may not see it is told the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal, Protocol

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.core.records import Record
from bedplate.interfaces.http.beside.beside import Beside
from bedplate.security.decide import Actor
from bedplate.storage.job_logs import JobLogs
from bedplate.storage.store import Store

Kind = Literal["experiment", "model", "server"]

STATUS: Final[Mapping[str, int]] = {
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_CONFLICT": 409,
    "RESOURCE_EXHAUSTED": 429,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "INTERNAL_ERROR": 500,
    "INVALID_STATE": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}
"""The protocol's error codes, and the HTTP status of each where none is given."""


class Fault(Exception):
    """A request that is not answered as asked: an error code of the protocol, a message for the caller, an HTTP status.

    `status` is needed only where it is not the code's own (413, 415, 421: as BAD_REQUEST).
    """

    def __init__(self, code: str, message: str, status: int = 0, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUS[code]
        self.headers = headers

    def body(self) -> bytes:
        """The error in the protocol's form; what a browser could take for markup is escaped, whatever was sent is in the message."""
        said = msgspec.json.encode({"error_code": self.code, "message": self.message})
        return said.replace(b"<", b"\\u003c").replace(b">", b"\\u003e")


def invalid(message: str) -> Fault:
    """A value that cannot be taken; the message names its field."""
    return Fault("INVALID_PARAMETER_VALUE", message)


def missing(message: str) -> Fault:
    """Something asked about that is not there."""
    return Fault("RESOURCE_DOES_NOT_EXIST", message)


def taken(message: str) -> Fault:
    """A name that is given already."""
    return Fault("RESOURCE_ALREADY_EXISTS", message)


class Resource(Record, frozen=True, kw_only=False):
    """What a request is about: an experiment by id, a registered model by name, or the server itself."""

    kind: Kind
    id: str = ""


SERVER: Final = Resource("server")
OPEN: Final = "open"
"""The action of an endpoint that answers anybody (a login): its actor is nobody, and it is answered by the threads that check passwords."""
MOST_OPEN: Final = 6
"""Routes that answer anybody, all together."""
NOBODY: Final = Actor(name="")


class Asks(msgspec.Struct, frozen=True, kw_only=True):
    """The base of what an endpoint asks; a field that is unknown is passed over, one without a default must be there.

    As the protocol's JSON has it: whole numbers may come as text, so may `NaN` and `Infinity`, and null is the same as nothing.
    """


class Reply(Record, frozen=True):
    """An answer that is not JSON: bytes whole, or in pieces as they are made.

    An iterator runs in a thread and is closed at the end; an asynchronous one runs on the event loop until the client leaves.
    """

    body: bytes | Iterator[bytes] | AsyncIterator[bytes] = b""
    status: int = 200
    media_type: str = "application/octet-stream"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Limits(Record, frozen=True, kw_only=True):
    """How many bytes one uploaded file may have, and how many the files of one experiment may take together (0: no end).

    `drift_psi` is the population stability index above which a column counts as drifted.
    """

    file_bytes: int = 10_000_000_000
    experiment_bytes: int = 0
    drift_psi: float = 0.2


class Upload(Protocol):
    """A body of bytes on its way in; to be read in a thread."""

    length: int | None

    def pieces(self) -> Iterator[bytes]:
        """The pieces as they come. Raises Fault for one that is too large, too slow or cut off."""
        ...


class Answered(Protocol):
    """How the receiver of a webhook answered: its status (None: it did not), and the beginning of what it said, or why it did not."""

    @property
    def is_ok(self) -> bool:
        """Whether it was taken."""
        ...

    @property
    def status(self) -> int | None:
        """Of HTTP."""
        ...

    @property
    def said(self) -> str:
        """In its words or ours."""
        ...


class Tells(Protocol):
    """What tells webhooks."""

    def check(self, url: str) -> None:
        """Raises Refused for an address that may not be reached, whatever name it has today."""
        ...

    def send(self, url: str, event: str, number: str, body: str, secret: str) -> Answered:
        """Send it once; in a thread."""
        ...


class Desk(Protocol):
    """What an answer may use."""

    catalog: Catalog
    actor: Actor
    now: datetime
    now_ms: int
    ahead: Any
    """What the endpoint's `beforehand` gave; None without one."""

    @property
    def peer(self) -> str:
        """The address that the request came from."""
        ...

    @property
    def store(self) -> Store:
        """Where bytes are kept."""
        ...

    @property
    def logs(self) -> JobLogs:
        """What steps printed. Raises Fault where this server has none."""
        ...

    @property
    def beside(self) -> Beside | None:
        """The project beside the server; None where the state has none."""
        ...

    @property
    def limits(self) -> Limits:
        """How much is too much, as the site says."""
        ...

    @property
    def csrf(self) -> str:
        """The text that what this session changes must carry in X-CSRF-Token; empty for who came by a token or a password."""
        ...

    @property
    def base(self) -> str:
        """The URL under which the client reached this server, without a path."""
        ...

    def random_bits(self, count: int) -> int:
        """That many random bits."""
        ...

    def header(self, name: bytes) -> bytes:
        """A header of the request, empty where there is none; `name` in lower case."""
        ...

    def query(self) -> Mapping[str, list[str]]:
        """The query of the request."""
        ...

    def sees(self, kind: Kind) -> frozenset[str] | None:
        """The ids that the actor may see, for searches; None: all."""
        ...

    def may(self, action: str, resource: Resource) -> bool:
        """Whether the actor may do that with something else that is named in what is asked."""
        ...

    def knows(self, password: str) -> bool:
        """Whether that is the actor's password; slow, and slower for who guesses. Raises Fault 429."""
        ...

    def owns(self, made: Resource) -> None:
        """Make the actor the maintainer of what was just made, in the same transaction."""
        ...

    def note(self, **said: str) -> None:
        """What the audit log is to say of this act, beside who did what to what."""
        ...

    def emit(self, kind: str, subject: str, data: Mapping[str, Any]) -> None:
        """Tell who listens (webhooks, metrics), once what was done is committed."""
        ...

    @property
    def tells(self) -> Tells:
        """What tells webhooks."""
        ...

    def upload(self) -> Upload:
        """The body of an endpoint whose `body` is bytes."""
        ...

    def write(self, work: Callable[[Catalog], Any]) -> Any:
        """From an answer that is no write: do `work` in the writer's transaction and wait until it is committed."""
        ...


class Endpoint(Record, frozen=True, kw_only=False):
    """One row of the table of routes.

    `action` is a row of the table of permissions, or OPEN. `body` 'bytes' is for uploads: what is asked comes from the path and the query,
    and the answer reads `desk.upload()` in a thread. `most_bytes` limits the body (0: the server's own limit). `repeats` says that an equal
    request, whose answer the client never got, is answered as it was before: for what makes something new under an id of our own.
    `inflates` says that the answer reads compressed bytes, within `most_bytes` of what they become. `beforehand` reads what a write needs
    of the store, in a thread for bytes, before the write waits for its turn.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    asks: type[msgspec.Struct]
    action: str
    on: Callable[[Desk, Any], Resource]
    answer: Callable[[Desk, Any], Any]
    writes: bool = False
    body: Literal["json", "bytes"] = "json"
    most_bytes: int = 0
    repeats: Callable[[Any], bool] | None = None
    inflates: bool = False
    beforehand: Callable[[Desk, Any], Any] | None = None


def on_server(_desk: Desk, _asked: Any) -> Resource:
    """For what is about no experiment or model in particular."""
    return SERVER


Hears = Callable[[Catalog, Endpoint, Any, Reply, int], None]
"""Hears, inside the transaction of a write, what was asked and answered, and when (ms)."""


def hears_nothing(_catalog: Catalog, _endpoint: Endpoint, _asked: Any, _reply: Reply, _now_ms: int) -> None:
    """For a server that tells nobody."""


def always(_asked: Any) -> bool:
    """For `repeats`: whatever is asked, an equal request whose answer was lost is told what was made."""
    return True
