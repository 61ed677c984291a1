"""A project's own function as a record: its name, and the digest of its code. The code itself is never stored and never run from a file.

The digest is of the syntax, without comments, docstrings and formatting, so that it is the same in every process. The
source is read from the file, so it is compared with what this process has in memory: a long-lived process whose project file was
edited since must not take the new text for the old function.

Limit: only the function itself is compared here. What it reaches is kept beside it, and compared by the shelf (`storage.models`).
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from bedplate.core import digests
from bedplate.core.errors import UserError
from bedplate.core.records import Record

_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef)


class Named(Record, frozen=True, kw_only=True):
    """A function by module and qualified name, with the digest of its code."""

    module: str
    qualname: str
    code: str

    def __str__(self) -> str:
        return f"{self.module}.{self.qualname}"


def named(function: Any) -> Named:
    """The record of a function that can be found again. Raises UserError for a lambda, a nested one, or one whose file is gone."""
    qualname = getattr(function, "__qualname__", "")
    if not inspect.isfunction(function) or "<" in qualname:
        raise UserError(
            f"{qualname or type(function).__name__} cannot be found again by its name",
            why="a model of your own is stored with its function's name, never with its code",
            next="write the function at the top level of the project file: def predict(params, columns): ...",
        )
    return Named(module=function.__module__, qualname=qualname, code=digest(function))


def found(stored: Named) -> Callable[..., Any]:
    """The project's function as it is now. Raises UserError where it is gone or is not the one that was stored."""
    try:
        function: Any = importlib.import_module(stored.module)
        for part in stored.qualname.split("."):
            function = getattr(function, part)
    except (ModuleNotFoundError, AttributeError):
        raise UserError(
            f"{stored} is gone", why="a stored model predicts with it", next="put it back, or bedplate run to train anew"
        ) from None
    if not inspect.isfunction(function) or digest(function) != stored.code:
        raise UserError(
            f"{stored} has changed since the model was stored",
            why="its predictions would not be those that were validated",
            next="bedplate run (trains and validates with the new function), or put the old one back",
        )
    return function


def digest(function: Any) -> str:
    """The digest of a function's code. Raises UserError where its source is not what this process runs."""
    function = inspect.unwrap(function)
    try:
        tree = ast.parse(Path(function.__code__.co_filename).read_bytes())
        module = compile(tree, "<project>", "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        raise _stale(function) from None
    # The whole file is compiled, as the code of a call depends on what the file imports.
    lines = [code.co_firstlineno for code in _codes(module) if _shape(code) == _shape(function.__code__)]
    nodes = [
        node for node in ast.walk(tree) if isinstance(node, _DEFINITION) and node.name == function.__name__ and _first_line(node) in lines
    ]
    if not nodes:
        raise _stale(function)
    for node in ast.walk(nodes[0]):
        if isinstance(node, (*_DEFINITION, ast.ClassDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return digests.of_bytes(ast.unparse(nodes[0]).encode())


def _codes(code: CodeType) -> Iterator[CodeType]:
    """All code within a module's."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _shape(code: CodeType) -> tuple[Any, ...]:
    """What code does, without where it is written."""
    constants = tuple(_shape(constant) if isinstance(constant, CodeType) else repr(constant) for constant in code.co_consts)
    return code.co_qualname, code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants


def _stale(function: Any) -> UserError:
    return UserError(
        f"the source of {function.__module__}.{function.__qualname__} is not what this process runs",
        why="its file is gone, or was edited after this process read it",
        next="start this command again",
    )
