"""Following names through project code: from a piece of code to the pieces that it refers to.

A piece is a top-level binding of a module, a whole module, or what importing a module does besides binding names. Each is read once,
however many steps reach it.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bedplate.core.digests import of_bytes, of_json
from bedplate.core.project import STAGE_OF
from bedplate.core.records import Part, Record

from .modules import Module, Shelf
from .names import Chain, Import, References
from .shape import shape

WHOLE: Final = "*"
EFFECTS: Final = "<import>"
_OPAQUE: Final = frozenset({"eval", "exec", "globals", "__import__"})
_ADDERS: Final = frozenset({"add", "append", "extend", "insert", "register", "setdefault", "update"})
_NEVER: Final = frozenset({"__class__", "__name__", "__file__", "__doc__", "__package__", "__spec__", "__annotations__", "__builtins__"})


class Spot(NamedTuple):
    """Where a piece is: the module's file and name, and the binding (`*` all of it, `<import>` its effects)."""

    path: Path
    dotted: str
    name: str


class Piece(Record, frozen=True, kw_only=True):
    """A piece that was read: its part, and where it leads."""

    part: Part
    leads: frozenset[Spot]


class Reader:
    """Reads pieces of the code on one shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._pieces: dict[Spot, Piece] = {}
        self._by_file: dict[str, Module] = {}
        self._files: dict[Path, str] = {}
        self._effects: dict[Path, tuple[ast.stmt, ...]] = {}
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
        leads |= self._surroundings(module)
        line = nodes[0].lineno if nodes else 1
        return Piece(part=self.part(module, name, of_bytes(shape(nodes).encode()), line), leads=frozenset(leads))

    def at_label(self, file: str) -> Module | None:
        """The module that was read from the file of a part."""
        return self._by_file.get(file)

    def part(self, module: Module, name: str, digest: str, line: int, imports: str = "") -> Part:
        """A part, named `file:name`, or `file` for a whole module."""
        file = self._file(module)
        self._by_file[file] = module
        label = module.label if name == WHOLE else f"{module.label}:{name}"
        return Part(name=label, digest=digest, file=file, line=line, imports=imports)

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
        kept = [item for item in statement.decorator_list if not self._is_declaring(module, item, declared)]
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
        elif (module.stars and not hasattr(builtins, name)) or name in _OPAQUE or (not hasattr(builtins, name) and name not in _NEVER):
            yield Spot(module.path, module.dotted, WHOLE)
        if chain[-1] == "import_module" or chain[:2] == ("sys", "modules"):
            yield Spot(module.path, module.dotted, WHOLE)

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
                yield from self._surroundings(module)
                yield from self._inside(inner, chain[1:])
                return
        if chain and chain[0] in module.bindings:
            yield from self.resolve(module, chain)
            yield from self._surroundings(module)
        else:
            yield Spot(module.path, module.dotted, WHOLE)

    def _surroundings(self, module: Module) -> frozenset[Spot]:
        """What importing a module does besides binding names, and what importing its packages does."""
        if module.path not in self._around:
            self._around[module.path] = frozenset()
            parents = module.dotted.split(".")[:-1]
            around = [module, *(self.shelf.named(".".join(parents[: depth + 1])) for depth in range(len(parents)))]
            self._around[module.path] = frozenset(Spot(m.path, m.dotted, EFFECTS) for m in around if m is not None and self._doing(m))
        return self._around[module.path]

    def _doing(self, module: Module) -> tuple[ast.stmt, ...]:
        if module.path not in self._effects:
            kept = set(map(id, module.effects))
            self._effects[module.path] = tuple(s for s in module.body if id(s) in kept or self._registers(module, s))
        return self._effects[module.path]

    def _registers(self, module: Module, statement: ast.stmt) -> bool:
        """Whether a definition is entered somewhere when it is made: by a decorator that keeps it, or by its base class."""
        if isinstance(statement, ast.ClassDef):
            bases = [definition for base in statement.bases for _, definition in self._definitions(module, chain_of(base))]
            if any(isinstance(inner, ast.FunctionDef) and inner.name == "__init_subclass__" for base in bases for inner in ast.walk(base)):
                return True
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        return any(not self._is_declaring(module, item) and self._keeps(module, chain_of(item)) for item in statement.decorator_list)

    def _keeps(self, module: Module, chain: Chain) -> bool:
        for owner, definition in self._definitions(module, chain):
            if isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
                if chain[-1] in _ADDERS or _adds(owner, definition):
                    return True
            elif not isinstance(definition, ast.ClassDef):
                return True
        return False

    def _definitions(self, module: Module, chain: Chain) -> Iterator[tuple[Module, ast.stmt]]:
        for spot in self.resolve(module, chain) if chain else ():
            owner = self.shelf.at(spot.path, spot.dotted)
            found = owner.bindings.get(spot.name)
            if found is not None and spot.name not in owner.imports:
                yield owner, found

    def _is_declaring(self, module: Module, decorator: ast.expr, declared: bool = False) -> bool:
        chain = chain_of(decorator)
        if len(chain) < 2 or chain[-1] not in STAGE_OF:
            return False
        return declared or any(_makes_project(definition) for _, definition in self._definitions(module, chain[:-1]))


def absolute(module: Module, found: Import) -> str:
    """The full name of the module that an import statement in `module` names."""
    if not found.level:
        return found.module
    package = module.package.split(".")
    base = ".".join(package[: len(package) - found.level + 1])
    return f"{base}.{found.module}".strip(".")


def chain_of(node: ast.expr) -> Chain:
    """The chain of names of an expression, or of the function that it calls; empty for anything else."""
    if isinstance(node, ast.Call):
        node = node.func
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def _makes_project(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    return isinstance(value, ast.Call) and chain_of(value)[-1:] == ("Project",)


def _adds(module: Module, function: ast.stmt) -> bool:
    """Whether a decorator's body enters something into a global of its module."""
    for node in ast.walk(function):
        target: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            target = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ADDERS:
            target = node.func.value
        chain = chain_of(target) if target is not None else ()
        if chain and isinstance(module.bindings.get(chain[0]), ast.Assign | ast.AnnAssign):
            return True
    return False
