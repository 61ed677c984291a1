"""Why a name cannot be followed through a project's code, and on which line: what a person changes so that it can be."""

from __future__ import annotations

import ast

from .modules import Module
from .names import Chain
from .reach import OPAQUE

_BY_NAME = "it imports a module by a name that is worked out while it runs"


def unfollowed(module: Module, chain: Chain, within: ast.AST) -> str:
    """Why these names, which stand in a statement of `module`, lead to no one piece of code."""
    return f"{_cause(module, chain)} ({module.label}, line {_line(chain[0], within)})"


def _cause(module: Module, chain: Chain) -> str:
    name = chain[0]
    if name in module.rebound:
        return f"'{name}' is bound more than once, or by `global`"
    if chain[-1] == "import_module" or chain[:2] == ("sys", "modules") or name == "__import__":
        return _BY_NAME
    if name in module.imports:
        asked = f", or asked for '{chain[1]}', which is not bound at the top of it" if len(chain) > 1 else ""
        return f"the module behind '{name}' is handed around as a value{asked}"
    if name in OPAQUE:
        return f"`{name}` may do anything"
    if module.stars:
        return f"'{name}' comes of a star import, or of nowhere"
    return f"'{name}' is bound nowhere at the top of the file"


def _line(name: str, within: ast.AST) -> int:
    """The first line of the statement that says the name; its own where that was text."""
    first, last = getattr(within, "lineno", 1), getattr(within, "end_lineno", 0) or 0
    found = [node.lineno for node in ast.walk(within) if isinstance(node, ast.Name) and node.id == name and first <= node.lineno <= last]
    return min(found, default=first)
