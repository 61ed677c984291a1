"""Optional packages: a module that needs one is loaded when its feature is asked for, and what is missing is said with its remedy."""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

from .errors import UserError

_FORKS: Final = "GRPC_ENABLE_FORK_SUPPORT"


def load(module: str, what: str, extra: str) -> Any:
    """A module by name; `what` needs it. Raises UserError that says which extra of bedplate brings what it lacks."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(f"{what} needs a package", why=f"{error.name} is not installed", next=f"pip install 'bedplate[{extra}]'") from None


def load_grpc(module: str, what: str) -> Any:
    """The same, of a module that needs gRPC's package. Who forks only to start a command needs none of gRPC's work around forks, which it
    comments on in the log.
    """
    os.environ.setdefault(_FORKS, "0")
    return load(module, what, "grpc")
