"""Addresses and sockets: what every server of ours is bound to, and what is said where it cannot be."""

from __future__ import annotations

import errno
import ipaddress
import resource
import socket
from typing import Final

from bedplate.core.errors import Refused, UserError, WorldError

BACKLOG: Final = 2048
_FILES: Final = 16384
GRPC_OPTION: Final = "--grpc-port"


def bind(host: str, port: int, verb: str = "serve", *, beyond: bool = False, shared: bool = False, option: str = "--port") -> socket.socket:
    """A socket bound to an address: a loopback one, unless those `beyond` may be taken. Raises Refused, UserError, WorldError.

    `option` is what the port was asked for with. A `shared` one leaves the port to others of this user that say the same; the kernel gives
    each connection to one of them.
    """
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
    if shared:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((str(place), port))
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise _no_port(host, port, error, f"bedplate {verb} {option}") from error
    return listening


def address(listening: socket.socket, scheme: str = "http") -> str:
    """The URL of a bound socket."""
    return f"{scheme}://{place_of(listening)}"


def place_of(listening: socket.socket) -> str:
    """Host and port of a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _no_port(host: str, port: int, error: OSError | OverflowError, typed: str) -> UserError | WorldError:
    free = f"{typed} 0 takes any free one"
    if isinstance(error, OverflowError):
        return UserError(f"there is no port {port}", why="ports are 0 to 65535", next=free)
    if error.errno == errno.EADDRINUSE:
        return WorldError(f"port {port} is in use", why=f"another program listens on {host}:{port}", next=free)
    if error.errno == errno.EACCES:
        return WorldError(f"port {port} may not be used", why="ports below 1024 need rights", next=f"{typed} 8000")
    return WorldError(f"{host}:{port} cannot be listened on", why=error.strerror or str(error), next=free)


def many_files() -> None:
    """Each connection is an open file: take as many as the machine lets this process have, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
