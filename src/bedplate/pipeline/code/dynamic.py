"""Imports by a name that is worked out: `importlib.import_module(NAME)`, `__import__("plugins")`.

A name that the source says (text, or a constant of the module) is followed like any import. Another cannot be: the run says so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from .modules import Module
from .names import Chain

UNFOLLOWED: Final = " by a name worked out"
"""How the name of a part ends that stands for such an import."""


def is_dynamic(module: Module, chain: Chain) -> bool:
    """Whether a chain of names is the function that imports by name."""
    found = module.imports.get(chain[0])
    return chain[-1] in ("import_module", "__import__") or (found is not None and found.attribute == "import_module")


def named_by(module: Module, nodes: Sequence[ast.AST]) -> Iterator[tuple[ast.expr, str]]:
    """Each import by name inside some code, and the full name of its module; empty where that is not known."""
    called: set[ast.expr] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Call) and (chain := _chain(node.func)) and is_dynamic(module, chain):
            called.add(node.func)
            yield node, _absolute(module, _text(module, node.args[0]) if node.args else "")
        elif isinstance(node, ast.Name | ast.Attribute) and node not in called and is_dynamic(module, _chain(node) or ("",)):
            # Handed around, as in map(import_module, NAMES).
            yield node, ""


def _chain(node: ast.expr) -> Chain:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def _text(module: Module, node: ast.expr) -> str:
    """The text that an expression is: written there, or a constant of the module."""
    if isinstance(node, ast.Name) and node.id not in module.rebound:
        statement = module.bindings.get(node.id)
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        node = value if value is not None else node
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _absolute(module: Module, name: str) -> str:
    """A name with leading dots, as it is asked for beside `__package__`, in full."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    package = module.package.split(".")
    return f"{'.'.join(package[: len(package) - level + 1])}.{name[level:]}".strip(".")
