"""The shape of code: its syntax tree as text, without comments, formatting, docstrings and places.

Two pieces of code have one shape when Python would build one tree of them. The text is our own, so that it does not change with the
way a Python release prints trees.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final

_LEFT_OUT: Final = frozenset({"ctx", "type_comment", "kind", "type_ignores"})
_fields: dict[type[ast.AST], tuple[str, ...]] = {}


def shape(nodes: Sequence[ast.AST]) -> str:
    """The shape of statements, one after the other."""
    out: list[str] = []
    for node in nodes:
        _write(node, out)
    return "".join(out)


def body_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) -> list[ast.stmt]:
    """The statements of a body without its docstring."""
    body = node.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
        return body[1:]
    return body


def _write(node: ast.AST, out: list[str]) -> None:
    cls = node.__class__
    names = _fields.get(cls)
    if names is None:
        names = _fields[cls] = tuple(name for name in cls._fields if name not in _LEFT_OUT)
    out.append("(" + cls.__name__)
    for name in names:
        value = getattr(node, name, None)
        if value.__class__ is list:
            if name == "body" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                value = body_of(node)
            out.append("[")
            for item in value:
                _value(item, out)
            out.append("]")
        else:
            _value(value, out)
    out.append(")")


def _value(value: Any, out: list[str]) -> None:
    if isinstance(value, ast.AST):
        _write(value, out)
    elif value is None:
        out.append("~")
    else:
        out.append(f"<{value.__class__.__name__} {value!r}>")
