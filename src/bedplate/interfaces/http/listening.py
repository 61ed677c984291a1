"""What every server of ours listens with: a bound socket, uvicorn's loop, and a quiet end on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn

from bedplate.core.errors import Refused, UserError, WorldError

from .protocol import Protocol

PATIENCE_S: Final = 30
_KEEP_ALIVE_S: Final = 65
_BACKLOG: Final = 2048
_TICKS: Final = 10
_FILES: Final = 16384


class Listener(uvicorn.Server):
    """Uvicorn's server, which says when it listens and ends quietly on a signal."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    def stop(self) -> None:
        """Stop as SIGTERM does; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._listening()

    async def on_tick(self, counter: int) -> bool:
        """Uvicorn's tick, ten a second: every second one of ours looks for clients that are too slow."""
        if counter % _TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in [one for one in self.server_state.connections if isinstance(one, Protocol)]:
                connection.look(now)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT, SIGTERM and a closed terminal. They are not raised again afterwards: a stop that was asked for is a success."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM, *hangup)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def bind(host: str, port: int, verb: str = "serve", *, beyond: bool = False) -> socket.socket:
    """A socket bound to an address: a loopback one, unless those `beyond` may be taken. Raises Refused, UserError, WorldError."""
    name = "127.0.0.1" if host == "localhost" else host
    try:
        place = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        raise UserError(f"'{host}' is not an address", next=f"bedplate {verb} --host 127.0.0.1") from None
    if not place.is_loopback and not beyond:
        raise Refused(
            f"serving on {host} is refused",
            why="others could reach it, and this version has no credentials to ask them for",
            next="serve on 127.0.0.1 behind a proxy that asks for credentials",
        )
    listening = socket.socket(socket.AF_INET6 if place.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((str(place), port))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise _no_port(host, port, error, f"bedplate {verb}") from error
    return listening


def address(listening: socket.socket, scheme: str = "http") -> str:
    """The URL of a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _no_port(host: str, port: int, error: OSError | OverflowError, verb: str) -> UserError | WorldError:
    free = f"{verb} --port 0 takes any free one"
    if isinstance(error, OverflowError):
        return UserError(f"there is no port {port}", why="ports are 0 to 65535", next=free)
    if error.errno == errno.EADDRINUSE:
        return WorldError(f"port {port} is in use", why=f"another program listens on {host}:{port}", next=free)
    if error.errno == errno.EACCES:
        return WorldError(f"port {port} may not be used", why="ports below 1024 need rights", next=f"{verb} --port 8000")
    return WorldError(f"{host}:{port} cannot be listened on", why=error.strerror or str(error), next=free)


def config(app: Any, *, tls_cert: str | None = None, tls_key: str | None = None) -> uvicorn.Config:
    """How uvicorn runs `app`: quietly, with limits of ours, behind TLS where there is a certificate."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=PATIENCE_S,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )


def many_files() -> None:
    """Each connection is an open file: take as many as the machine lets this process have, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
