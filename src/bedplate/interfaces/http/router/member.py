"""Member: a replica as the router has it: where it is, how it stands, and the connections to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.planner.routing.records import Place, Standing

from .link import Pool

_WRITE: Final = "write --replica http://10.0.0.7:8000,zone=a,region=eu"


class Remote(Record, frozen=True, kw_only=True):
    """A replica at an address; `authority` is what its `Host` header says."""

    host: str
    port: int
    tls: bool
    authority: str
    place: Place


class Member:
    """One replica. `host` is what it is called in requests (None: what the client calls the server)."""

    def __init__(self, standing: Standing, connect: Callable[[Any], Any], timer: Callable[[], float], host: bytes | None = None) -> None:
        self.standing = standing
        self.host = host
        self.connect = connect
        self.pool = Pool(connect, timer)
        self.misses = 0
        """Looks in a row that it did not answer."""
        self.said: dict[str, Any] = {}
        """What it said of itself when it was looked at last."""
        self.answered = 0
        self.lost = 0

    @property
    def name(self) -> str:
        """What it is called in messages and metrics."""
        return self.standing.name


def said_of(member: Member) -> dict[str, Any]:
    """How a replica stands, as the router says it: one of its own has no address, and `versions` are those of the last look."""
    standing = member.standing
    return {
        "address": (member.host or b"").decode(), "versions": member.said.get("models", {}),
        "state": standing.state, "running": standing.running, "failures": standing.failures, "zone": standing.place.zone,
        "region": standing.place.region,
    }  # fmt: skip


def local(name: str, path: str, place: Place, timer: Callable[[], float]) -> Member:
    """A replica that is a process of ours, at a socket in the file system."""

    def connect(factory: Any) -> Any:
        return asyncio.get_running_loop().create_unix_connection(factory, path)

    return Member(Standing(name, place, True, "starting"), connect, timer)


def remote(at: Remote, timer: Callable[[], float]) -> Member:
    """A replica somewhere else."""
    context = ssl.create_default_context() if at.tls else None

    def connect(factory: Any) -> Any:
        return asyncio.get_running_loop().create_connection(factory, at.host, at.port, ssl=context)

    return Member(Standing(at.authority, at.place, False, "starting"), connect, timer, at.authority.encode())


def read_remote(text: str) -> Remote:
    """A replica as an option or a setting says it: `URL,zone=a,region=eu`. Raises UserError."""
    url, *labels = text.split(",")
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or not port or parts.path not in ("", "/") or "@" in parts.netloc:
        raise UserError(f"'{url}' is no address of a replica", why="http:// or https://, a host and a port are needed", next=_WRITE)
    return Remote(
        host=parts.hostname, port=port, tls=parts.scheme == "https", authority=parts.netloc.lower(), place=read_place(",".join(labels))
    )  # fmt: skip


def read_remotes(text: str) -> tuple[Remote, ...]:
    """Several, apart by spaces. Raises UserError."""
    return tuple(read_remote(one) for one in text.split())


def read_place(text: str) -> Place:
    """A place as a setting says it: `zone=a,region=eu`. Raises UserError."""
    place = Place()
    for label in filter(None, text.split(",")):
        name, equals, value = label.partition("=")
        if name not in ("zone", "region") or not equals or not value or not value.replace("-", "").replace("_", "").isalnum():
            raise UserError(f"'{label}' is no label of a place", why="known: zone=NAME, region=NAME", next="write zone=a,region=eu")
        place = msgspec.structs.replace(place, **{name: value})
    return place
