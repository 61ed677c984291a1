"""What a value that a function closes over is, as JSON: by value and deeply, so that equal text means equal behaviour.

Code that a value holds (functions, classes, modules) is handed to `follow`, which reads it as code is read; what such a function closes
over itself is part of the value. An object counts by its class and its attributes. Raises Unreadable for what says nothing of itself (a
lock, an open file).
"""

from __future__ import annotations

import enum
import functools
import pickle
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from bedplate.core.digests import of_bytes, of_json
from bedplate.core.project import Project

Code = FunctionType | BuiltinFunctionType | type | ModuleType
Follow = Callable[[Code], bool]
"""Follows a piece of code; answers whether it is the project's."""


class Unreadable(Exception):
    """A value of which nothing can be said."""


class Reading:
    """Reads one value; what it meets a second time is not read again."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._met: dict[int, int] = {}
        self._kept: list[Any] = []

    def said(self, value: Any) -> Any:
        """The value as JSON."""
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if isinstance(value, float | complex | bytes) and type(value).__module__ == "builtins":
            return [type(value).__name__, repr(value)]
        if isinstance(value, Project):
            return ["project"]
        if id(value) in self._met:
            return ["again", self._met[id(value)]]
        self._met[id(value)] = len(self._met)
        self._kept.append(value)  # so that its id is not given to another
        if isinstance(value, FunctionType | BuiltinFunctionType | type | ModuleType):
            return self._code(value)
        return self._held(value)

    def _code(self, value: Code) -> Any:
        own = self._follow(value)
        named = [getattr(value, "__module__", None) or "", getattr(value, "__qualname__", value.__name__)]
        if isinstance(value, FunctionType) and (own or value.__closure__):
            return [*named, cells(self, value), self.said(value.__defaults__), self.said(value.__kwdefaults__), self._wrapped(value)]
        if isinstance(value, BuiltinFunctionType) and value.__self__ is not None and not isinstance(value.__self__, ModuleType):
            return [*named, self.said(value.__self__)]
        return named

    def _wrapped(self, value: Any) -> Any:
        return self.said(getattr(value, "__wrapped__", None))

    def _held(self, value: Any) -> Any:
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if isinstance(value, functools.partial):
            return [name, self.said(value.func), self.said(value.args), self.said(value.keywords)]
        if isinstance(value, MethodType):
            return [name, self.said(value.__func__), self.said(value.__self__)]
        if isinstance(value, set | frozenset):
            return [name, sorted(of_json(self.said(item)) for item in value)]
        own = type(value).__module__ != "builtins" and self._follow(type(value))
        if isinstance(value, enum.Enum):
            return [name, value.name]
        held: list[Any] = []
        if isinstance(value, Mapping) and hasattr(value, "items"):
            held.append([[self.said(key), self.said(item)] for key, item in value.items()])
        elif isinstance(value, list | tuple):
            held.append([self.said(item) for item in value])
        elif not own or isinstance(value, int | float | str | bytes):
            return [name, self._foreign(value)]
        attributes = {**getattr(value, "__dict__", {}), **_slots(value)}
        return [name, *held, [[key, self.said(item)] for key, item in sorted(attributes.items())]]

    def _foreign(self, value: Any) -> Any:
        """An object of an installed class: by its wrapped function, else as it would be pickled."""
        inner = getattr(value, "__wrapped__", None)
        if isinstance(inner, FunctionType):
            return self.said(inner)
        try:
            return of_bytes(pickle.dumps(value, protocol=4))
        except Exception as error:  # whatever a class does when it is pickled
            raise Unreadable from error


def cells(reading: Reading, function: FunctionType) -> list[Any]:
    """What a function closes over, variable by variable."""
    found = []
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found.append([variable, reading.said(cell.cell_contents)])
        except ValueError:  # not bound yet
            found.append([variable])
    return found


def _slots(value: Any) -> dict[str, Any]:
    names = {name for cls in type(value).__mro__ for name in _names(getattr(cls, "__slots__", ()))}
    return {name: getattr(value, name) for name in names if name not in ("__dict__", "__weakref__") and hasattr(value, name)}


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)
