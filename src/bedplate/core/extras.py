"""Optional packages: a module that needs one is loaded when its feature is asked for, and what is missing is said with its remedy."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import UserError


def load(module: str, what: str, extra: str) -> Any:
    """A module by name; `what` needs it. Raises UserError that says which extra of bedplate brings what it lacks."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(f"{what} needs a package", why=f"{error.name} is not installed", next=f"pip install 'bedplate[{extra}]'") from None
