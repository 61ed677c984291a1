"""Far: models that another server has, and what they are reached through.

A version of one keeps no bytes of the model: `remote.json` says where it is and what it took and gave when it was stored. `Ask` is the
port to the one guarded client, which `assembly` gives to the shelf of models; a shelf without one refuses such models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from bedplate.core.errors import UserError
from bedplate.core.model import Remote
from bedplate.core.records import Record
from bedplate.core.units import seconds

FILE: Final = "remote.json"
_FORM: Final = "http://HOST/v2/models/NAME or grpc://HOST:PORT/NAME, or .../versions/3 of it"
HTTP: Final = ("http", "https")
GRPC: Final = ("grpc", "grpcs")
SERVICE: Final = "inference.GRPCInferenceService"
"""What gRPC calls the protocol: the methods are under this name."""


class Ask(Protocol):
    """Asks a server: its status, headers in lower case, and body. `token` names the variable that holds one.

    An address of gRPC is that of a method, and what is sent and comes back is a message; the status is HTTP's for gRPC's own.
    """

    def __call__(
        self, method: str, url: str, time_s: float, *, body: bytes = b"", headers: Mapping[str, str] | None = None, token: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """Raises Refused for an address that may not be reached, UserError for a missing token, WorldError for no answer in time."""
        ...


class Shape(Record, frozen=True, kw_only=True):
    """A tensor that a model takes or gives, as its server says: -1 is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.datatype} {list(self.shape)}"

    @property
    def width(self) -> int:
        """Its columns, of one that has a row per row; -1 where its server does not say."""
        return self.shape[1] if len(self.shape) > 1 else 1


class Kept(Record, frozen=True, kw_only=True):
    """What is kept of a remote model: where it is, what its server said of it (`inputs`, `outputs`), and hence the tensors that are sent
    and read: shape [-1] is a column, [-1, n] is n columns side by side.
    """

    remote: Remote
    platform: str = ""
    versions: tuple[str, ...] = ()
    inputs: tuple[Shape, ...] = ()
    outputs: tuple[Shape, ...] = ()
    takes: tuple[Shape, ...] = ()
    gives: tuple[Shape, ...] = ()


class Place(NamedTuple):
    """Where a model is: the server's address without a path of its own, the model's, the names for messages, and the version that is
    asked for (empty: whatever serves).
    """

    server: str
    model: str
    host: str
    name: str
    version: str = ""


def place(remote: Remote) -> Place:
    """The parts of a remote model's address. Raises UserError for one that is none, or a timeout that is no time."""
    seconds(remote.timeout)
    parts = urlsplit(remote.url.rstrip("/"))
    before, found, rest = parts.path.partition("/v2/models/") if parts.scheme in HTTP else ("", *parts.path.partition("/")[1:])
    name, *more = rest.split("/")
    if parts.scheme not in (*HTTP, *GRPC) or not found or not name or (more and (len(more) != 2 or more[0] != "versions" or not more[1])):
        raise UserError(f"'{remote.url}' is no address of a model", why=f"it is {_FORM}", next="look at what its server is asked by")
    if parts.query or parts.fragment:
        raise UserError(f"'{remote.url}' is no address of a model", why="it has a query", next=f"write {_FORM}")
    if parts.scheme in GRPC and not _port_of(parts):
        raise UserError(f"'{remote.url}' is no address of a model", why="it names no port", next=f"write {_FORM}")
    server, host, version = f"{parts.scheme}://{parts.netloc}{before}", parts.hostname or "", unquote("".join(more[1:]))
    return Place(server=server, model=f"{server}{found}{rest}", host=host, name=unquote(name), version=version)


def is_address(text: str) -> bool:
    """Whether a text is an address of some model, and no path."""
    return text.partition("://")[0] in (*HTTP, *GRPC)


def port(remote: Remote) -> int:
    """The port that a remote model's server listens on."""
    parts = urlsplit(remote.url)
    return _port_of(parts) or (443 if parts.scheme == "https" else 80)


def _port_of(parts: SplitResult) -> int:
    try:
        return parts.port or 0
    except ValueError:
        return 0


def differs(kept: Kept, now: Kept) -> str:
    """What a server says else than when the version was stored; empty where it says the same."""
    wanted = kept.remote.output
    for word, before, after in (("took", kept.inputs, now.inputs), ("gave", kept.outputs, now.outputs)):
        old, new = ([one for one in side if not wanted or word == "took" or one.name == wanted] for side in (before, after))
        if old != new:
            return f"it {word} {', '.join(map(str, old)) or 'what it did not say'}, and says {', '.join(map(str, new)) or 'nothing'} now"
    return ""


def decoded(data: bytes) -> Kept:
    """What is kept of a remote model. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(data, type=Kept)
