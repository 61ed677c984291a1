"""Reading a declared function's signature: its parameters, and its annotations as types.

Annotations may be text (`from __future__ import annotations`): each is evaluated by itself in the function's module, so that one
that does not resolve is named without hiding the others.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from bedplate.core.kinds import view_of
from bedplate.core.project import Declaration
from bedplate.core.records import Record

MISSING: Any = inspect.Parameter.empty


class Parameter(Record, frozen=True, kw_only=True):
    """One parameter: its type where it has one (`MISSING` otherwise), the text of it, and its default."""

    name: str
    hint: Any = MISSING
    text: str = ""
    default: Any = MISSING
    by_name: bool = True


class Signed(Record, frozen=True, kw_only=True):
    """A function's parameters and result; `unresolved` maps a parameter (or `return`) to what its annotation raised."""

    parameters: tuple[Parameter, ...]
    result: Any = MISSING
    result_text: str = ""
    unresolved: dict[str, str]


def signed(declaration: Declaration) -> Signed:
    """The signature of a declared function, read without calling anything of the user's."""
    function = declaration.function
    given = getattr(inspect.unwrap(function), "__annotations__", {})
    hints, unresolved = _hints(function, given)
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        by_name = parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        star = (
            "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "**" if parameter.kind is inspect.Parameter.VAR_KEYWORD else ""
        )
        name = parameter.name
        hint = hints.get(name, MISSING)
        text = show(given.get(name, MISSING), hint)
        parameters.append(Parameter(name=star + name, hint=hint, text=text, default=parameter.default, by_name=by_name))
    result = hints.get("return", MISSING)
    return Signed(
        parameters=tuple(parameters), result=result, result_text=show(given.get("return", MISSING), result), unresolved=unresolved
    )


def fields_of(result: Any) -> dict[str, Any] | None:
    """The fields of a NamedTuple class with their types; None for anything else. Raises NameError for an unresolved one."""
    if not (isinstance(result, type) and issubclass(result, tuple) and hasattr(result, "_fields")):
        return None
    hints = typing.get_type_hints(result, include_extras=True)
    return {name: hints.get(name, MISSING) for name in result._fields}


def show(given: Any, hint: Any) -> str:
    """An annotation for people: as written where it is text, else the type's name, of a frame with its package."""
    if given is MISSING:
        return ""
    if isinstance(given, str):
        return given
    if isinstance(hint, type) and typing.get_origin(hint) is None:
        top = hint.__module__.partition(".")[0]
        return f"{top}.{hint.__name__}" if view_of(hint) and top != "bedplate" else hint.__name__
    return str(hint).replace("typing.", "").replace("NoneType", "None")


def _hints(function: Callable[..., Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        return typing.get_type_hints(function, include_extras=True), {}
    except Exception:  # an annotation is the user's own code: it may raise anything; which one is found out below
        pass
    names = getattr(inspect.unwrap(function), "__globals__", {})
    hints: dict[str, Any] = {}
    unresolved: dict[str, str] = {}
    for name, annotation in given.items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            hints[name] = typing.get_type_hints(holder, globalns=names, include_extras=True)[name]
        except Exception as error:  # as above
            hints[name] = Any
            unresolved[name] = f"{type(error).__name__}: {error}"
    return hints, unresolved
