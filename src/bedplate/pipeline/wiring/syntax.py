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

_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


class Stamp(Record, frozen=True, kw_only=True):
    """What tells one content of a file from the next, without reading it."""

    mtime_ns: int
    size: int


class Source(Record, frozen=True, kw_only=True):
    """A parsed file.

    `defs` maps (name, first line, decorators included) to its function or class, nested ones too; `imports` are its import statements,
    wherever they stand. `says_global`: the word is somewhere in its text, so that a `global` statement may be.
    """

    path: Path
    stamp: Stamp
    tree: ast.Module
    defs: dict[tuple[str, int], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    says_global: bool


_parsed: dict[Path, Source] = {}


def parse(path: Path) -> Source:
    """The tree of a file. Raises OSError, or SyntaxError as Python does, also for an expression too deep for it."""
    stat = path.stat()
    stamp = Stamp(mtime_ns=stat.st_mtime_ns, size=stat.st_size)
    known = _parsed.get(path)
    if known is not None and known.stamp == stamp:
        return known
    text = path.read_bytes()
    with uncollected():
        try:
            tree = ast.parse(text, filename=str(path))
        except (RecursionError, MemoryError) as error:
            deepest = max(enumerate(text.splitlines(), 1), key=lambda line: len(line[1]), default=(1, b""))[0]
            raise SyntaxError("an expression is nested too deep for Python", (str(path), deepest, 1, None)) from error
        _parsed[path] = _source(path, stamp, tree, says_global=b"global" in text)
    return _parsed[path]


def _source(path: Path, stamp: Stamp, tree: ast.Module, *, says_global: bool) -> Source:
    defs: dict[tuple[str, int], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef] = {}
    imports: list[ast.Import | ast.ImportFrom] = []
    for statement in _statements(tree):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defs[statement.name, first_line(statement)] = statement
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            imports.append(statement)
    return Source(path=path, stamp=stamp, tree=tree, defs=defs, imports=tuple(imports), says_global=says_global)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Every statement, those inside others too (and the `except` and `case` that they stand in)."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for name in _BODIES:
            inner = getattr(node, name, ())
            yield from inner
            waiting.extend(inner)


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
