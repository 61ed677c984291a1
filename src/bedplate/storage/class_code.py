"""A class that a stored model is made of, as a record: its name, and the digest of its methods and constants. Code is never stored.

Classes of the project are digested with those of the project that they inherit from; an installed package's class goes by its name
alone, as packages have versions. What the methods reach beside is the shelf's to compare (`storage.models`).
"""

from __future__ import annotations

import importlib
import inspect
import sys
import sysconfig
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from bedplate.core import digests
from bedplate.core.errors import UserError
from bedplate.core.records import Record

from . import function_code

_CONSTANTS = (bool, int, float, str, bytes, tuple, type(None))


class NamedClass(Record, frozen=True, kw_only=True):
    """A class by module and qualified name, with the digest of its code; empty for one of an installed package."""

    module: str
    qualname: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.module}.{self.qualname}"


def named(cls: type) -> NamedClass:
    """The record of a class that can be found again. Raises UserError for one made inside a function."""
    if "<" in cls.__qualname__ or _found(cls.__module__, cls.__qualname__) is not cls:
        raise UserError(
            f"{cls.__qualname__} cannot be found again by its name",
            why="a stored model names its class, and never holds its code",
            next="write the class at the top level of the project file or of a module beside it",
        )
    return NamedClass(module=cls.__module__, qualname=cls.__qualname__, code=_digest(cls))


def at(place: str) -> NamedClass:
    """The record of the class at `module:Class`. Raises UserError where there is none."""
    module, _, qualname = place.partition(":")
    cls = _found(module, qualname) if qualname else None
    if cls is None:
        raise UserError(f"there is no class at {place}", why="it is written module:Class", next="--class homes:Net names Net in homes.py")
    return named(cls)


def found(stored: NamedClass) -> type:
    """The class as it is now. Raises UserError where it is gone or is not the one that was stored."""
    cls = _found(stored.module, stored.qualname)
    if cls is None:
        raise UserError(f"{stored} is gone", why="a stored model is made of it", next="put it back, or bedplate run to train anew")
    if _digest(cls) != stored.code:
        raise UserError(
            f"{stored} has changed since the model was stored",
            why="its predictions would not be those that were validated",
            next="bedplate run (trains and validates with the new class), or put the old one back",
        )
    return cls


def methods(cls: type) -> tuple[Callable[..., Any], ...]:
    """The functions in a class of the project, and in those of the project that it inherits from."""
    return tuple(function for base in _own(cls) for _, function in _functions(base))


def _found(module: str, qualname: str) -> type | None:
    try:
        at: Any = importlib.import_module(module)
        for part in qualname.split("."):
            at = getattr(at, part)
    except (ModuleNotFoundError, AttributeError):
        return None
    return at if isinstance(at, type) else None


def _digest(cls: type) -> str:
    own = _own(cls)
    if not own:
        return ""
    code = [
        [base.__qualname__, {name: function_code.digest(function) for name, function in _functions(base)}, _constants(base)] for base in own
    ]
    return digests.of_json(code)


def _own(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if not _is_installed(base.__module__)]


@cache
def _is_installed(module: str) -> bool:
    """Whether a module is Python's or an installed package's, not the project's."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return True
    homes = {
        Path(place).resolve() for name, place in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    return any(home in Path(file).resolve().parents for home in homes)


def _functions(base: type) -> list[tuple[str, Callable[..., Any]]]:
    bare = ((name, getattr(value, "__func__", getattr(value, "fget", value))) for name, value in sorted(vars(base).items()))
    return [(name, value) for name, value in bare if inspect.isfunction(value)]


def _constants(base: type) -> dict[str, str]:
    return {name: repr(value) for name, value in sorted(vars(base).items()) if isinstance(value, _CONSTANTS) and not name.startswith("__")}
