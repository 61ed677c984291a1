"""The port of gRPC: whether and where it is listened on (setting `grpc_port`), and what is said where its package is missing.

`auto` is a free port where the package is there, `none` is nowhere; a number is a port, 0 any free one.
"""

from __future__ import annotations

import importlib.util
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bedplate.core import extras
from bedplate.core.errors import UserError

from .binding import GRPC_OPTION, bind
from .plane.relay import Relay

if TYPE_CHECKING:
    from .grpc_calls import Answers, Meets

SERVER: Final = "bedplate.interfaces.http.backends.grpc_server"
METHODS: Final = "bedplate.interfaces.http.backends.grpc_methods"
_NEEDS: Final = ("grpc", "google.protobuf")
_INSTALL: Final = "pip install 'bedplate[grpc]'"


def asked(wish: str) -> int | None:
    """The port to listen on, None for none. Raises UserError where one is asked for, and cannot be had without a package."""
    if wish == "none":
        return None
    missing = _missing()
    if missing and wish == "auto":
        return None
    if missing:
        raise UserError("gRPC needs a package", why=f"{missing} is not installed", next=_INSTALL)
    return 0 if wish == "auto" else int(wish)


def bound(host: str, wish: str, verb: str = "serve", *, beyond: bool = False) -> list[socket.socket]:
    """The socket of gRPC, none where it is not wanted. Raises what `bind` and `asked` do."""
    port = asked(wish)
    return [] if port is None else [bind(host, port, verb, beyond=beyond, option=GRPC_OPTION)]


def absent(wish: str) -> str:
    """Why nothing answers gRPC, in words."""
    missing = _missing()
    return f"{missing} is not installed; next: {_INSTALL}" if missing and wish != "none" else "the setting grpc_port says none"


def relay(
    listening: socket.socket, answers: Callable[[], Answers], limit: int, meets: Meets | None = None, tls: ssl.SSLContext | None = None
) -> Relay:  # fmt: skip
    """What takes in clients of gRPC; packages are imported, and `answers` asked for, when the first one comes."""
    return Relay(listening, lambda: extras.load_grpc(SERVER, "gRPC").GrpcServer(answers(), limit, meets), tls)


def _missing() -> str:
    """The package that it lacks; empty where it has all."""
    return next((name for name in _NEEDS if not _is_there(name)), "")


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
