"""The code closure of a step: every piece of project code that its result can depend on, each with a digest.

From the step's function the names that it reads are followed, file by file, through functions, classes, constants and imports of
project code; each piece is digested by its shape (no comments, formatting or docstrings). What cannot be followed pulls in its whole
module: a name bound several times or by `global`, a star import, `eval`, a dynamic import, a module handed around as a value. What
importing does besides binding names counts too, in every module that is imported on the way (`effects`). An import of something
installed is a part of its own: what is imported, not how; `packages` adds its version.

Decorators of the project are left out: needs (cpu, memory, ...) change no result. What a function closes over, and the wrappers around
it, count by value. Files and environment variables that a module reads while it is imported are parts too (`reads`). What is read is
kept until `forget` (a project being loaded calls it).
"""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from bedplate.core.digests import PREFIX, of_json
from bedplate.core.errors import ProjectError
from bedplate.core.project import Project
from bedplate.core.records import KeyParts, Part
from bedplate.pipeline.wiring.nodes import Node

from .modules import Module, Shelf
from .reach import WHOLE, Piece, Reader, Spot
from .values import Code, Reading, Unreadable

Definition = ast.FunctionDef | ast.AsyncFunctionDef


def closure(
    function: Callable[..., Any],
    roots: Sequence[Path],
    given: frozenset[str] = frozenset(),
    main: Path | None = None,
    held: Mapping[str, Any] | None = None,
) -> tuple[Part, ...]:
    """The parts that `function` reaches: itself first, then the others by name.

    `roots` are the project's folders, `main` its file; `given` names parameters whose default is never used, so that it does not
    count. `held` are values that its decorator was given and that its result depends on, by keyword. Raises ProjectError where the source
    cannot be read.
    """
    reader = reader_of(tuple(roots))
    trail = _Trail(reader, reader.shelf.at(main, main.stem) if main else None)
    trail.function(function, given, held or {})
    trail.around()
    return trail.parts()


def files_of(parts: Sequence[Part], roots: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """The files that parts were read from, with the time (ns) and size that each had then."""
    reader = reader_of(tuple(roots))
    modules = filter(None, (reader.at_label(file) for file in {part.file for part in parts}))
    return {str(module.path): (module.source.stamp.mtime_ns, module.source.stamp.size) for module in modules}


def step_code(node: Node, roots: Sequence[Path], main: Path | None = None) -> tuple[Part, ...]:
    """The closure of a node's function, and what its decorator says that changes results.

    Left out are the defaults of settings (their values are in the key) and of `use` (the version received is).
    """
    given = frozenset(wire.name for wire in node.wires if wire.role == "setting" or wire.is_use)
    declared = node.declaration
    parts = closure(declared.function, roots, given, main, {} if declared.expects is None else {"expects": declared.expects})
    said = {"features": declared.features, "promotes": declared.promotes or None}
    if not any(said.values()):
        return parts
    first = parts[0]
    return (*parts, Part(name=f"{first.name}<decorator>", digest=of_json(said), file=first.file, line=declared.line))


def key(parts: KeyParts) -> str:
    """The cache key: the digest of all that can change the result; places and version numbers cannot."""
    return of_json(
        {
            "code": sorted((part.name, part.digest) for part in parts.code),
            "inputs": parts.inputs,
            "sources": parts.sources,
            "settings": parts.settings,
            "packages": parts.packages,
            "python": parts.python,
            "kinds": parts.kinds,
            "part": parts.part,
        }
    )


def seed(cache_key: str) -> int:
    """The step's seed, 31 bits of its cache key: equal work draws equal numbers."""
    return int(cache_key.removeprefix(PREFIX)[:8], 16) & 0x7FFFFFFF


_readers: dict[tuple[Path, ...], Reader] = {}


def reader_of(roots: tuple[Path, ...]) -> Reader:
    """The reader of these roots, kept until `forget`."""
    if roots not in _readers:
        _readers[roots] = Reader(Shelf(roots))
    return _readers[roots]


def forget() -> None:
    """Read code anew from now on."""
    _readers.clear()


@contextmanager
def anew() -> Iterator[None]:
    """Read code anew inside; what was read before is what counts again afterwards."""
    before = dict(_readers)
    _readers.clear()
    try:
        yield
    finally:
        _readers.clear()
        _readers.update(before)


class _Trail:
    """One walk from a function: the pieces that it has reached."""

    def __init__(self, reader: Reader, main: Module | None) -> None:
        self._reader = reader
        self._main = main
        self._pieces: dict[Spot, Piece] = {}
        self._values: dict[str, Part] = {}
        self._first = ""

    def parts(self) -> tuple[Part, ...]:
        found = {piece.part.name: piece.part for piece in self._pieces.values()} | self._values
        for piece in self._pieces.values():
            found.update((part.name, part) for part in (*piece.lost, *self._reader.reads(piece)))
        rest = sorted(name for name in found if name != self._first)
        return (found[self._first], *(found[name] for name in rest))

    def function(self, function: Callable[..., Any], given: frozenset[str], held: Mapping[str, Any]) -> None:
        """Read a function, and the wrappers around it, by their places in the file and with the values that they hold."""
        plain = inspect.unwrap(function)
        module = self._code(plain, given)
        if plain.__qualname__ not in module.bindings:
            self._defaults(module, plain, given)
        for variable, cell in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=False):
            try:
                self._held(module, f"{plain.__qualname__}<{variable}>", cell.cell_contents)
            except ValueError:
                # Not bound yet.
                continue
        if function is not plain:
            self._held(module, f"{plain.__qualname__}<wrapper>", function)
        for keyword, value in held.items():
            self._held(module, f"{plain.__qualname__}<{keyword}=>", value)

    def around(self) -> None:
        """Add what importing the project's file does: whatever a step's own module imports, that came first."""
        for spot in self._reader.around(self._main) if self._main else ():
            self._spot(spot)

    def _code(self, function: FunctionType, given: frozenset[str] = frozenset()) -> Module:
        """Read a function's code."""
        code = function.__code__
        module = self._module(function)
        found = module.source.defs.get((code.co_name, code.co_firstlineno))
        name = code.co_qualname  # a wrapper goes by the name of what it wraps
        spot = Spot(module.path, module.dotted, name)
        if spot in self._pieces:
            return module
        if isinstance(found, Definition):
            bare = self._reader.plain(module, found, declared=not self._first)
            piece = self._reader.read(module, [_without(bare, given)], name, frozenset(code.co_freevars))
        else:
            # A lambda, or a file that changed since its import: the place says nothing.
            piece = self._reader.piece(Spot(module.path, module.dotted, WHOLE))
        self._first = self._first or piece.part.name
        self._pieces[spot] = piece
        self._follow(piece)
        return module

    def _follow(self, piece: Piece) -> None:
        waiting = list(piece.leads)
        while waiting:
            spot = waiting.pop()
            if spot not in self._pieces:
                self._pieces[spot] = self._reader.piece(spot)
                waiting.extend(self._pieces[spot].leads)

    def _spot(self, spot: Spot) -> None:
        if spot not in self._pieces:
            self._pieces[spot] = self._reader.piece(spot)
            self._follow(self._pieces[spot])

    def _defaults(self, module: Module, function: FunctionType, given: frozenset[str]) -> None:
        """Defaults of a function that another made were worked out there."""
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        defaults = function.__defaults__ or ()
        values = {**dict(zip(names[len(names) - len(defaults) :], defaults, strict=True)), **(function.__kwdefaults__ or {})}
        for name, value in values.items():
            if name not in given:
                self._held(module, f"{function.__qualname__}<{name}>", value)

    def _held(self, module: Module, name: str, value: Any) -> None:
        """A value that a function holds, deeply; where it says nothing, all the code around it."""
        if isinstance(value, Project):
            return
        try:
            digest = of_json(Reading(lambda code: self._object(module, code)).said(value))
        except (Unreadable, RecursionError):
            digest = of_json(type(value).__qualname__)
            for start in filter(None, (module, self._main)):
                for one in self._reader.reached(start):
                    self._spot(Spot(one.path, one.dotted, WHOLE))
        self._value(module, name, digest)

    def _value(self, module: Module, name: str, digest: str) -> None:
        part = self._reader.part(module, name, digest, 1)
        self._values[part.name] = part

    def _object(self, module: Module, value: Code) -> bool:
        """Follow a function, class or module that is held; whether it is the project's."""
        dotted = value.__name__ if isinstance(value, ModuleType) else value.__module__ or "builtins"
        if isinstance(value, FunctionType):
            dotted = value.__globals__.get("__name__", dotted)
        called = getattr(value, "__qualname__", WHOLE)
        owner = self._reader.shelf.named(dotted)
        if owner is None:
            self._spot(Spot(module.path, module.dotted, f"import {dotted}"))
        elif isinstance(value, FunctionType):
            self._code(value)
        else:
            self._spot(Spot(owner.path, owner.dotted, called if called in owner.bindings else WHOLE))
        return owner is not None

    def _module(self, function: FunctionType) -> Module:
        path = function.__code__.co_filename
        try:
            return self._reader.shelf.of_code(path, function.__globals__.get("__name__", function.__module__))
        except (OSError, SyntaxError, ValueError) as error:
            raise ProjectError(
                f"the source of {function.__qualname__} cannot be read: {error}",
                why="a step is known by its code",
                next=f"put it in a file ({path})",
            ) from None


def _without(statement: ast.stmt, given: frozenset[str]) -> ast.stmt:
    """A definition in which the defaults of `given` parameters are `...`."""
    if not given or not isinstance(statement, Definition):
        return statement
    bare, arguments = copy.copy(statement), copy.copy(statement.args)
    gone = ast.Constant(...)
    names = [arg.arg for arg in (*arguments.posonlyargs, *arguments.args)]
    with_default = names[len(names) - len(arguments.defaults) :]
    arguments.defaults = [gone if name in given else value for name, value in zip(with_default, arguments.defaults, strict=True)]
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    arguments.kw_defaults = [gone if value is not None and arg.arg in given else value for arg, value in pairs]
    bare.args = arguments
    return bare
