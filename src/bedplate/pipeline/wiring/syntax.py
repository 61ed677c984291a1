"""Source files as syntax trees, parsed once per content.

The cache is keyed by path and checked by time and size, so that ten thousand steps of one file cost one parse and an edited file is
read again. Trees are shared: nobody changes them.
"""

from __future__ import annotations

import ast
import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

from bedplate.core.records import Record


class Stamp(Record, frozen=True, kw_only=True):
    """What tells one content of a file from the next, without reading it."""

    mtime_ns: int
    size: int


class Source(Record, frozen=True, kw_only=True):
    """A parsed file; `defs` maps (name, first line, decorators included) to its function or class, nested ones too.

    `says_global`: the word is somewhere in its text, so that a `global` statement may be.
    """

    path: Path
    stamp: Stamp
    tree: ast.Module
    defs: dict[tuple[str, int], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]
    says_global: bool


_parsed: dict[Path, Source] = {}


def parse(path: Path) -> Source:
    """The tree of a file. Raises OSError, or SyntaxError as Python does."""
    stat = path.stat()
    stamp = Stamp(mtime_ns=stat.st_mtime_ns, size=stat.st_size)
    known = _parsed.get(path)
    if known is not None and known.stamp == stamp:
        return known
    text = path.read_bytes()
    with uncollected():
        tree = ast.parse(text, filename=str(path))
        _parsed[path] = Source(path=path, stamp=stamp, tree=tree, defs=_defs(tree), says_global=b"global" in text)
    return _parsed[path]


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: a big syntax tree holds no garbage, and walking it over and over costs more than parsing it."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """Where a definition starts, its decorators included: what `co_firstlineno` says."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def line_of(file: str, function: str, line: int, parameter: str = "") -> int:
    """The line of a function's parameter (or its `return` annotation); `line` where the file does not tell."""
    try:
        found = parse(Path(file)).defs.get((function, line))
    except (OSError, SyntaxError, ValueError):
        return line
    if not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
        return line
    if parameter == "return" and found.returns is not None:
        return found.returns.lineno
    arguments = found.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return next((arg.lineno for arg in every if arg is not None and arg.arg == parameter.lstrip("*")), found.lineno)


def _defs(tree: ast.Module) -> dict[tuple[str, int], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    found = {}
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[child.name, first_line(child)] = child
            if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                waiting.append(child)
    return found
