"""The port of gRPC: whether and where it is listened on (setting `grpc_port`), and what is said where its package is missing.

`auto` is a free port where the package is there, `none` is nowhere; a number is a port, 0 any free one.
"""

from __future__ import annotations

import importlib
import importlib.util
import socket
from typing import TYPE_CHECKING, Final

from bedplate.core.errors import UserError

from .plane.relay import Relay

if TYPE_CHECKING:
    from .inference import Inference

BACKEND: Final = "bedplate.interfaces.http.backends.grpc_server"
_NEEDS: Final = ("grpc", "google.protobuf")


def asked(wish: str) -> int | None:
    """The port to listen on, None for none. Raises UserError where one is asked for, and cannot be had without a package."""
    if wish == "none":
        return None
    missing = next((name for name in _NEEDS if not _is_there(name)), "")
    if missing and wish == "auto":
        return None
    if missing:
        raise UserError("gRPC needs a package", why=f"{missing} is not installed", next="pip install 'bedplate[grpc]'")
    return 0 if wish == "auto" else int(wish)


def relay(listening: socket.socket, inference: Inference, limit: int) -> Relay:
    """What takes in clients of gRPC; the package is imported when the first one comes."""
    return Relay(listening, lambda: importlib.import_module(BACKEND).GrpcServer(inference, limit))


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
