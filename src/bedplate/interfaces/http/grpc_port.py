"""The port of gRPC: whether and where it is listened on (setting `grpc_port`), and what is said where its package is missing.

`auto` is a free port where the package is there, `none` is nowhere; a number is a port, 0 any free one.
"""

from __future__ import annotations

import importlib
import importlib.util
import socket
from typing import Final

from bedplate.core.errors import UserError

from .inference import Inference
from .plane.relay import Relay

BACKEND: Final = "bedplate.interfaces.http.backends.grpc_server"
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


def absent(wish: str, *, routed: bool) -> str:
    """Why nothing answers gRPC, in words."""
    if routed:
        return "a router reads HTTP only"
    missing = _missing()
    return f"{missing} is not installed; next: {_INSTALL}" if missing and wish != "none" else "the setting grpc_port says none"


def relay(listening: socket.socket, inference: Inference, limit: int) -> Relay:
    """What takes in clients of gRPC; the package is imported when the first one comes."""
    return Relay(listening, lambda: importlib.import_module(BACKEND).GrpcServer(inference, limit))


def _missing() -> str:
    """The package that it lacks; empty where it has all."""
    return next((name for name in _NEEDS if not _is_there(name)), "")


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
