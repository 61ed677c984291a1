"""The one outgoing HTTP client, over httpcore.

Choices: a name is resolved here and the connection goes to the very address that was checked, so that no second answer of a name server
comes between; every redirect is checked again, at most five; a token goes to the origin that it is for and to nobody else; size and time
are limits of the whole answer, not of one read; no proxy, no cookie, no netrc, no compression (a small answer stays small).
Limits: HTTP/1.1; one connection at a time, or `connections` that are kept for whoever asks next.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpcore
import msgspec

from bedplate.core.clock import Clock
from bedplate.core.errors import UserError, WorldError
from bedplate.network.guard import MOST_REDIRECTS, Network, checked, origin, redirected

from .reach import reach

_CHUNK_WAIT_S = 30.0
_KEPT_S = 30.0
"""How long a connection that nobody uses is kept."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SENT: list[tuple[bytes | str, bytes | str]] = [("User-Agent", "bedplate"), ("Accept-Encoding", "identity"), ("Accept", "*/*")]
_NO_HEAD = frozenset({400, 403, 405, 501})


class Limits(msgspec.Struct, frozen=True):
    """The most bytes that an answer's body may have, and the most seconds that all of it may take."""

    size_bytes: int
    time_s: float


class Answer(msgspec.Struct, frozen=True):
    """An answer's status and headers (names in lower case) and its body in pieces, limited in size and time."""

    status: int
    headers: dict[str, str]
    body: Iterator[bytes]


class Client:
    """Asks addresses of the outside, as `network.guard` allows."""

    def __init__(self, clock: Clock, allowed: Sequence[Network] = (), connections: int = 1) -> None:
        self._clock = clock
        self._pool = httpcore.ConnectionPool(network_backend=_Guarded(allowed), max_connections=connections, keepalive_expiry=_KEPT_S)

    def close(self) -> None:
        """Let go of the connection."""
        self._pool.close()

    @contextmanager
    def ask(
        self, method: str, url: str, limits: Limits, token: str = "", *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Iterator[Answer]:
        """The answer after its redirects; what is sent with a body follows none. `headers` go to the origin alone, as the token does.

        Raises Refused for an address that may not be reached, WorldError for no or a broken answer.
        """
        end = self._clock.monotonic() + limits.time_s
        home = origin(checked(url))
        for _ in range(MOST_REDIRECTS + 1):
            own = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
            sent = [*_SENT, *own.items()] if origin(checked(url)) == home else _SENT
            waits = {"timeout": _waits(end - self._clock.monotonic())}
            with _told(url), self._pool.stream(method, url, headers=sent, content=body or None, extensions=waits) as said:
                told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in said.headers}
                if said.status not in _REDIRECTS or "location" not in told or body:
                    yield Answer(said.status, told, self._limited(url, said, told, limits, end))
                    return
            url = redirected(url, told["location"])
        raise WorldError(f"{checked(url).hostname} redirects without end", why=f"more than {MOST_REDIRECTS} times")

    def head(self, url: str, limits: Limits, token: str = "") -> Answer:
        """What an address says of its content, without the body; with GET where HEAD is not answered. Raises as `ask`, and for 4xx."""
        with self.ask("HEAD", url, limits, token) as answer:
            if answer.status not in _NO_HEAD:
                return msgspec.structs.replace(found(url, answer), body=iter(()))
        with self.ask("GET", url, limits, token) as answer:
            return msgspec.structs.replace(found(url, answer), body=iter(()))

    def _limited(self, url: str, said: httpcore.Response, headers: Mapping[str, str], limits: Limits, end: float) -> Iterator[bytes]:
        promised = headers.get("content-length", "")
        size = int(promised) if promised.isdecimal() else 0
        if size > limits.size_bytes:
            raise _too_much(url, size, limits)
        size = 0
        with _told(url):
            for piece in typing.cast("Iterable[bytes]", said.iter_stream()):
                size += len(piece)
                if size > limits.size_bytes:
                    raise _too_much(url, size, limits)
                if self._clock.monotonic() > end:
                    raise WorldError(f"{checked(url).hostname} took longer than {limits.time_s:g} s", next='Http(..., time="1 hour")')
                yield piece


def found(url: str, answer: Answer) -> Answer:
    """The answer, where it has what was asked for. Raises UserError for 4xx, WorldError for anything else that is no success."""
    if 200 <= answer.status < 300:
        return answer
    host = checked(url).hostname
    if answer.status in (408, 425, 429) or answer.status >= 500 or answer.status < 400:
        raise WorldError(f"{host} answered {answer.status}", why=f"{url} was asked for", next="bedplate run, when it is back")
    next = 'Http(..., token="NAME") sends a token' if answer.status in (401, 403) else "look at the address"
    raise UserError(f"{host} answered {answer.status}", why=f"{url} was asked for", next=next)


def _too_much(url: str, size: int, limits: Limits) -> UserError:
    return UserError(
        f"{checked(url).hostname} sends more than the {limits.size_bytes:,} bytes that are allowed",
        why=f"{size:,} bytes or more at {url}",
        next='Http(..., size="10 GB")',
    )


def _waits(left_s: float) -> dict[str, float]:
    wait = max(0.001, min(_CHUNK_WAIT_S, left_s))
    return {"connect": wait, "read": wait, "write": wait, "pool": wait}


@contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        why = str(error) or type(error).__name__
        raise WorldError(
            f"{checked(url).hostname} did not answer", why=f"{why} ({url})", next="bedplate run, when it can be reached"
        ) from error


class _Guarded(httpcore.NetworkBackend):
    """Connects to addresses that may be reached, and to no other that a name stands for."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first of the host's addresses that may be reached."""
        return self._plain.connect_tcp(reach(host, port, self._allowed), port, timeout, local_address, socket_options)

    def sleep(self, seconds: float) -> None:
        """As the plain backend."""
        self._plain.sleep(seconds)
