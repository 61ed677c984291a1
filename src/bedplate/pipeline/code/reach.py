"""Following names through project code: from a piece of code to the pieces that it refers to.

A piece is a top-level binding of a module, a whole module, or what importing a module does besides binding names. Each is read once,
however many steps reach it.
"""

from __future__ import annotations

import ast
import builtins
import copy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bedplate.core.digests import of_bytes, of_json
from bedplate.core.project import STAGE_OF
from bedplate.core.records import Part, Record

from .dynamic import UNFOLLOWED, is_dynamic, named_by
from .effects import Effects, chain_of
from .modules import Module, Shelf
from .names import Chain, Import, References, imports_of
from .reads import of_module
from .shape import shape

WHOLE: Final = "*"
EFFECTS: Final = "<import>"
OPAQUE: Final = frozenset({"eval", "exec", "globals", "__import__"})
"""Built-in functions that may reach any code."""
_WIDE: Final = frozenset({"__subclasses__", "__globals__", "f_globals", "f_back"})
"""Attributes that lead anywhere in the code that is imported."""
_NEVER: Final = frozenset({"__class__", "__name__", "__file__", "__doc__", "__package__", "__spec__", "__annotations__", "__builtins__"})


class Spot(NamedTuple):
    """Where a piece is: the module's file and name, and the binding (`*` all of it, `<import>` its effects)."""

    path: Path
    dotted: str
    name: str


class Piece(Record, frozen=True, kw_only=True):
    """A piece that was read: its part, and where it leads; `lost` are imports in it that cannot be followed, `spans` the lines that
    it stands on.
    """

    part: Part
    leads: frozenset[Spot]
    lost: tuple[Part, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


class Reader:
    """Reads pieces of the code on one shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._pieces: dict[Spot, Piece] = {}
        self._by_file: dict[str, Module] = {}
        self._files: dict[Path, str] = {}
        self._effects = Effects(self)
        self._doings: dict[Path, tuple[ast.stmt, ...]] = {}
        self._reached: dict[Path, tuple[Module, ...]] = {}
        self._edges: dict[Path, tuple[Module, ...]] = {}
        self._around: dict[Path, frozenset[Spot]] = {}

    def piece(self, spot: Spot) -> Piece:
        """The piece at a spot."""
        if spot not in self._pieces:
            self._pieces[spot] = self._read(spot)
        return self._pieces[spot]

    def read(self, module: Module, nodes: Sequence[ast.stmt], name: str, hidden: frozenset[str] = frozenset()) -> Piece:
        """Digest statements of `module`; `hidden` are names that are not the module's (free variables)."""
        references = References()
        for node in nodes:
            references.read(node)
        chains = {chain for chain in references.chains if chain[0] not in hidden}
        leads = {spot for chain in chains for spot in self.resolve(module, chain)}
        leads.update(spot for found in references.imports for spot in self._imported(module, found))
        leads |= self.around(module)
        if references.attributes & _WIDE:
            leads.update(Spot(one.path, one.dotted, WHOLE) for one in self.reached(module))
        lost: list[Part] = []
        if any(is_dynamic(module, chain) for chain in chains):
            for call, dotted in named_by(module, nodes):
                if dotted:
                    leads.update(self._imported(module, Import(name="", module=dotted)))
                else:
                    lost.append(self.part(module, f"{ast.unparse(call)}{UNFOLLOWED}", of_bytes(b""), call.lineno))
        line = nodes[0].lineno if nodes else 1
        part = self.part(module, name, of_bytes(shape(nodes).encode()), line)
        spans = tuple((node.lineno, node.end_lineno or node.lineno) for node in nodes)
        return Piece(part=part, leads=frozenset(leads), lost=tuple(lost), spans=spans)

    def at_label(self, file: str) -> Module | None:
        """The module that was read from the file of a part."""
        return self._by_file.get(file)

    def part(self, module: Module, name: str, digest: str, line: int, imports: str = "") -> Part:
        """A part, named `file:name`, or `file` for a whole module."""
        file = self._file(module)
        self._by_file[file] = module
        label = module.label if name == WHOLE else f"{module.label}:{name}"
        return Part(name=label, digest=digest, file=file, line=line, imports=imports)

    def reads(self, piece: Piece) -> Iterator[Part]:
        """What the statements of a piece read when its module was imported."""
        module = self._by_file[piece.part.file]
        for read in of_module(str(module.path)):
            if any(first <= read.line <= last for first, last in piece.spans):
                yield self.part(module, f"reads {read.name}", read.digest, read.line)

    def _file(self, module: Module) -> str:
        """How a part names its file: by its label inside the project, else by its whole path."""
        if module.path not in self._files:
            inside = any(module.path.is_relative_to(root) for root in self.shelf.roots)
            self._files[module.path] = module.label if inside else str(module.path)
        return self._files[module.path]

    def plain(self, module: Module, statement: ast.stmt, declared: bool = False) -> ast.stmt:
        """A definition without its project decorators; `declared`: it is known to have one."""
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) or not statement.decorator_list:
            return statement
        kept = [item for item in statement.decorator_list if not self.is_declaring(module, item, declared)]
        if len(kept) == len(statement.decorator_list):
            return statement
        bare = copy.copy(statement)
        bare.decorator_list = kept
        return bare

    def resolve(self, module: Module, chain: Chain) -> Iterator[Spot]:
        """The pieces that a chain of names in `module` leads to."""
        name = chain[0]
        if name in module.rebound:
            yield Spot(module.path, module.dotted, WHOLE)
        elif name in module.imports:
            yield from self._imported(module, module.imports[name], chain[1:])
        elif name in module.bindings:
            yield Spot(module.path, module.dotted, name)
        elif name in OPAQUE or not (hasattr(builtins, name) or name in _NEVER) or self._starred(module, name, set()):
            yield Spot(module.path, module.dotted, WHOLE)
        if chain[-1] == "import_module" or chain[:2] == ("sys", "modules"):
            yield Spot(module.path, module.dotted, WHOLE)

    def _starred(self, module: Module, name: str, seen: set[Path]) -> bool:
        """Whether a star import of `module` may bind a name of Python's own."""
        seen.add(module.path)
        for star in module.stars:
            target = self.target(module, star)
            if target is None:
                if name in getattr(sys.modules.get(absolute(module, star)), "__dict__", {}):
                    return True
            elif name in target.bindings or name in target.rebound or (target.path not in seen and self._starred(target, name, seen)):
                return True
        return False

    def _read(self, spot: Spot) -> Piece:
        module = self.shelf.at(spot.path, spot.dotted)
        if spot.name == WHOLE:
            return self.read(module, [self.plain(module, statement) for statement in module.body], WHOLE)
        if spot.name == EFFECTS:
            return self.read(module, [self.plain(module, statement) for statement in self._doing(module)], EFFECTS)
        if spot.name not in module.bindings or (spot.name in module.imports and spot.name not in module.rebound):
            return self._foreign(module, spot.name)
        return self.read(module, [self.plain(module, module.bindings[spot.name])], spot.name)

    def _foreign(self, module: Module, name: str) -> Piece:
        """An import of something that is not project code: which, not how it is written."""
        found = module.imports.get(name)
        target = [found.module, found.attribute] if found else [name.removeprefix("import "), ""]
        line = module.bindings[name].lineno if name in module.bindings else 1
        return Piece(part=self.part(module, name, of_json(target), line, ".".join(filter(None, target))), leads=frozenset())

    def _imported(self, module: Module, found: Import, rest: Chain = ()) -> Iterator[Spot]:
        dotted = absolute(module, found)
        target = self.shelf.named(dotted)
        if target is None and found.attribute not in ("", "*"):
            target = self.shelf.named(f"{dotted}.{found.attribute}")
            if target is not None:
                yield from self._inside(target, rest)
                return
        if target is None and rest:
            # A package without __init__.py, or one that is not imported yet: its modules may still be found.
            target = self.shelf.named(f"{dotted}.{rest[0]}")
            rest = rest[1:] if target else rest
        if target is None:
            direct = module.imports.get(found.name) is found
            yield Spot(module.path, module.dotted, found.name if direct else f"import {dotted}")
        elif found.attribute == "*":
            yield Spot(target.path, target.dotted, WHOLE)
        else:
            yield from self._inside(target, (found.attribute, *rest) if found.attribute else rest)

    def _inside(self, module: Module, chain: Chain) -> Iterator[Spot]:
        """What `module.a.b` leads to: a binding, a module inside the package, or all of it where it is passed around."""
        if chain and chain[0] not in module.bindings:
            inner = self.shelf.named(f"{module.dotted}.{chain[0]}")
            if inner is not None:
                yield from self.around(module)
                yield from self._inside(inner, chain[1:])
                return
        if chain and chain[0] in module.bindings:
            yield from self.resolve(module, chain)
            yield from self.around(module)
        else:
            yield Spot(module.path, module.dotted, WHOLE)

    def around(self, module: Module) -> frozenset[Spot]:
        """What importing a module does: what it, its packages and all that they import do besides binding names."""
        if module.path not in self._around:
            self._around[module.path] = frozenset()
            found: set[Spot] = set()
            for one in self.reached(module):
                if self._doing(one):
                    found.add(Spot(one.path, one.dotted, EFFECTS))
                found.update(Spot(for_it.path, for_it.dotted, WHOLE) for for_it in self._only_imported(one))
            self._around[module.path] = frozenset(found)
        return self._around[module.path]

    def reached(self, module: Module) -> tuple[Module, ...]:
        """A module, its packages, and every module of the project that they import, wherever the import stands."""
        if module.path not in self._reached:
            found = {module.path: module}
            waiting = [module]
            while waiting:
                for one in self._next(waiting.pop()):
                    if one.path not in found:
                        found[one.path] = one
                        waiting.append(one)
            self._reached[module.path] = tuple(found.values())
        return self._reached[module.path]

    def _next(self, module: Module) -> tuple[Module, ...]:
        """The packages of a module, and the modules of the project that it imports."""
        if module.path not in self._edges:
            names = set(_lineage(module.dotted))
            for statement in module.source.imports:
                for found in imports_of(statement):
                    dotted = absolute(module, found)
                    names.update(_lineage(dotted), (f"{dotted}.{found.attribute}",) if found.attribute not in ("", "*") else ())
                if isinstance(statement, ast.Import):
                    names.update(name for alias in statement.names for name in _lineage(alias.name))
            modules = (self.shelf.named(name) for name in sorted(names))
            self._edges[module.path] = tuple(one for one in modules if one is not None and one.path != module.path)
        return self._edges[module.path]

    def _only_imported(self, module: Module) -> Iterator[Module]:
        """Modules of the project that are imported by `import name`, and never asked for anything."""
        for name, found in module.imports.items():
            target = self.target(module, found) if not found.attribute else None
            if target is not None and not any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(module.source.tree)):
                yield target

    def target(self, module: Module, found: Import) -> Module | None:
        """The module of the project that an import in `module` names, whole or something in it."""
        dotted = absolute(module, found)
        return self.shelf.named(dotted) or (self.shelf.named(f"{dotted}.{found.attribute}") if found.attribute not in ("", "*") else None)

    def _doing(self, module: Module) -> tuple[ast.stmt, ...]:
        if module.path not in self._doings:
            self._doings[module.path] = self._effects.of(module)
        return self._doings[module.path]

    def definitions(self, module: Module, chain: Chain) -> Iterator[tuple[Module, ast.stmt]]:
        """What defines a name in the project's code: the statement, and the module that it stands in."""
        for spot in self.resolve(module, chain) if chain else ():
            owner = self.shelf.at(spot.path, spot.dotted)
            found = owner.bindings.get(spot.name)
            if found is not None and spot.name not in owner.imports:
                yield owner, found

    def is_declaring(self, module: Module, decorator: ast.expr, declared: bool = False) -> bool:
        """Whether an expression is a decorator of the project, or a call of one."""
        chain = chain_of(decorator)
        if len(chain) < 2 or chain[-1] not in STAGE_OF:
            return False
        return declared or any(_makes_project(definition) for _, definition in self.definitions(module, chain[:-1]))


def absolute(module: Module, found: Import) -> str:
    """The full name of the module that an import statement in `module` names."""
    if not found.level:
        return found.module
    package = module.package.split(".")
    base = ".".join(package[: len(package) - found.level + 1])
    return f"{base}.{found.module}".strip(".")


def _makes_project(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    return isinstance(value, ast.Call) and chain_of(value)[-1:] == ("Project",)


def _lineage(dotted: str) -> list[str]:
    """A module's name and those of its packages."""
    names = dotted.split(".")
    return [".".join(names[: depth + 1]) for depth in range(len(names))] if dotted else []
