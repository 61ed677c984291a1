"""What importing a module does besides binding fresh names: statements that enter, patch or set something, for whoever looks later.

A statement counts unless it is seen to be quiet: a definition whose decorators and base classes keep nothing, a value made by code that
changes nothing outside itself. Code of the project is looked into; of installed code the usual decorators (`functools`, `dataclass`,
...) are known to keep nothing, and a call that gives a value is taken to do no more.

Limit: an alias of a global that went through a call of installed code is taken for something fresh.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, Protocol

from .modules import Module
from .names import Chain, Import, bound, imports_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
ADDERS: Final = frozenset({"add", "append", "extend", "insert", "register", "setdefault", "update", "pop", "clear", "remove"})
_READS: Final = frozenset(
    {
        "copy", "count", "endswith", "format", "get", "index", "items", "join", "keys",
        "lower", "match", "replace", "search", "split", "startswith", "strip", "title", "upper", "values",
    }
)  # fmt: skip
_ACTING: Final = frozenset({"setattr", "delattr", "exec", "eval", "__import__", "import_module", "seed", "run_path", "run_module"})
_KNOWN: Final = frozenset({"functools", "dataclasses", "contextlib", "typing", "typing_extensions", "abc", "enum", "warnings", "bedplate"})
_QUIET: Final = frozenset(
    {
        "cache", "define", "fixture", "frozen", "getter", "guvectorize",
        "jit", "jitclass", "njit", "setter", "deleter", "validate_call", "vectorize",
    }
)  # fmt: skip
_SAID: Final = frozenset({"print", "log", "logger", "logging", "warnings", "super"})
_FRESH: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Constant, ast.BinOp, ast.JoinedStr, ast.Compare)


class Spot(Protocol):
    """Where a name leads."""

    @property
    def name(self) -> str: ...


class Reader(Protocol):
    """What is asked about names: `reach.Reader` knows."""

    def resolve(self, module: Module, chain: Chain) -> Iterator[Spot]: ...

    def target(self, module: Module, found: Import) -> Module | None: ...

    def definitions(self, module: Module, chain: Chain) -> Iterator[tuple[Module, ast.stmt]]: ...

    def is_declaring(self, module: Module, decorator: ast.expr) -> bool: ...


class Effects:
    """Finds them, asking a reader what names mean."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[ast.AST, bool] = {}

    def of(self, module: Module) -> tuple[ast.stmt, ...]:
        """The statements of a module that do something."""
        loud = set(map(id, module.effects))
        return tuple(statement for statement in module.body if id(statement) in loud or self._does(module, statement))

    def _does(self, module: Module, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            defaults = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
            return self._kept(module, statement.decorator_list) or any(self._expression(module, value) for value in defaults)
        if isinstance(statement, ast.ClassDef):
            return (
                self._kept(module, statement.decorator_list)
                or self._registers(module, statement, set())
                or any(isinstance(one, ast.Expr | ast.For | ast.With | ast.While) and not _is_text(one) for one in statement.body)
                or any(self._does(module, inner) for inner in statement.body)
            )
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            return statement.value is not None and self._expression(module, statement.value)
        if isinstance(statement, ast.If | ast.Try):
            handlers = [inner for handler in getattr(statement, "handlers", []) for inner in handler.body]
            inside = [*statement.body, *handlers, *statement.orelse, *getattr(statement, "finalbody", [])]
            tested = isinstance(statement, ast.If) and self._expression(module, statement.test)
            return tested or any(self._does(module, inner) for inner in inside)
        return False

    def _kept(self, module: Module, decorators: list[ast.expr]) -> bool:
        """Whether a decorator enters what it decorates somewhere."""
        return any(not self._reader.is_declaring(module, one) and self._keeps(module, chain_of(one)) for one in decorators)

    def _keeps(self, module: Module, chain: Chain) -> bool:
        if not chain or chain[-1] in _QUIET or (chain[0] not in module.bindings and not module.stars):
            return not chain
        found = list(self._reader.definitions(module, chain))
        if not found:
            return self._foreign_keeps(module, chain)
        for owner, definition in found:
            if isinstance(definition, ast.ClassDef):
                if self._class_acts(owner, definition):
                    return True
            elif not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef) or chain[-1] in ADDERS or self._acts(owner, definition):
                return True
        return False

    def _foreign_keeps(self, module: Module, chain: Chain) -> bool:
        """Decorators of installed code keep what they decorate, but for those known."""
        found = module.imports.get(chain[0])
        return chain[-1] in ADDERS or found is None or found.module.partition(".")[0] not in _KNOWN

    def _registers(self, module: Module, definition: ast.ClassDef, seen: set[int]) -> bool:
        """Whether a class is entered somewhere by its metaclass or by a base class of the project."""
        if id(definition) in seen:
            return False
        seen.add(id(definition))
        metaclasses = [chain_of(one.value) for one in definition.keywords if one.arg == "metaclass"]
        if any(True for chain in metaclasses for _ in self._reader.definitions(module, chain)):
            return True
        for base in definition.bases:
            for owner, found in self._reader.definitions(module, chain_of(base)):
                hooks = (inner for inner in ast.walk(found) if isinstance(inner, ast.FunctionDef))
                if any(inner.name == "__init_subclass__" for inner in hooks):
                    return True
                if isinstance(found, ast.ClassDef) and self._registers(owner, found, seen):
                    return True
        return False

    def _expression(self, module: Module, value: ast.expr) -> bool:
        """Whether working out a value changes something else."""
        return any(self._call(module, node) for node in ast.walk(value) if isinstance(node, ast.Call))

    def _call(self, module: Module, call: ast.Call) -> bool:
        chain = chain_of(call)
        if not chain:
            return _adds_to(call) in module.bindings
        if self._reader.is_declaring(module, call):
            return False
        if chain[-1] in _ACTING:
            return True
        given = [chain_of(one) for one in call.args if isinstance(one, ast.Name | ast.Attribute)]
        return self._called(module, chain) or any(self._acts_given(module, one) for one in given)

    def _called(self, module: Module, chain: Chain) -> bool:
        if chain[0] not in module.bindings:
            return bool(module.stars) and any(spot.name == "*" for spot in self._reader.resolve(module, chain))
        if chain[0] in module.rebound and chain[0] not in module.imports:
            return True
        for owner, definition in self._reader.definitions(module, chain):
            if isinstance(definition, ast.ClassDef):
                if self._class_acts(owner, definition):
                    return True
            elif isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
                if self._acts(owner, definition):
                    return True
            elif len(chain) > 1 and (chain[-1] in ADDERS or (chain[-1] not in _READS and not self._is_foreign_made(owner, definition))):
                return True
        return False

    def _acts_given(self, module: Module, chain: Chain) -> bool:
        """Whether a function that is handed over would change something when it is called."""
        found = self._reader.definitions(module, chain) if chain and chain[0] in module.bindings else ()
        return any(isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and self._acts(owner, one) for owner, one in found)

    def _class_acts(self, module: Module, definition: ast.ClassDef) -> bool:
        """Whether making or calling an instance changes more than the instance."""
        made = [one for one in definition.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
        return any(self._acts(module, one, method=True) for one in made if one.name in ("__init__", "__new__", "__post_init__", "__call__"))

    def _acts(self, module: Module, function: Function, method: bool = False) -> bool:
        """Whether a function, or one inside it, changes something that it did not make."""
        if function not in self._known:
            self._known[function] = False
            self._known[function] = self._changes(module, function, method)
        return self._known[function]

    def _changes(self, module: Module, function: Function, method: bool) -> bool:
        local, fresh = _locals(function)
        if method and function.args.args:
            fresh.add(function.args.args[0].arg)
        for node in ast.walk(function):
            if isinstance(node, ast.Global) or (isinstance(node, ast.Import | ast.ImportFrom) and self._imports_project(module, node)):
                return True
            if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load) and _root(node) not in fresh:
                return True
            if isinstance(node, ast.Call) and self._call_inside(module, node, local, fresh):
                return True
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and self._told(module, node.value, local):
                return True
        return False

    def _call_inside(self, module: Module, call: ast.Call, local: set[str], fresh: set[str]) -> bool:
        chain = chain_of(call)
        if not chain:
            return _adds_to(call) not in fresh | {""}
        if chain[0] in fresh:
            return False
        if chain[0] in local:
            return len(chain) > 1 and chain[-1] in ADDERS
        return chain[-1] in _ACTING or self._called(module, chain)

    def _told(self, module: Module, call: ast.Call, local: set[str]) -> bool:
        """A call of installed code whose answer nobody takes was made for what it does."""
        chain = chain_of(call)
        if not chain or chain[0] in local or chain[0] in _SAID:
            return False
        return not any(True for _ in self._reader.definitions(module, chain))

    def _is_foreign_made(self, owner: Module, definition: ast.stmt) -> bool:
        """`LOGGER = logging.getLogger(...)`, `COLUMN = pl.col("a")`: asking it for something gives a value."""
        value = definition.value if isinstance(definition, ast.Assign | ast.AnnAssign) else None
        chain = chain_of(value) if isinstance(value, ast.Call) else ()
        found = owner.imports.get(chain[0]) if chain else None
        return found is not None and self._reader.target(owner, found) is None

    def _imports_project(self, module: Module, node: ast.Import | ast.ImportFrom) -> bool:
        return any(self._reader.target(module, found) is not None for found in imports_of(node))


def chain_of(node: ast.expr) -> Chain:
    """The chain of names of an expression, or of the function that it calls; empty for anything else."""
    if isinstance(node, ast.Call):
        node = node.func
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def _adds_to(call: ast.Call) -> str:
    """The name whose insides a call adds to: `ALL` of `ALL["a"].append(f)`."""
    return _root(call.func) if isinstance(call.func, ast.Attribute) and call.func.attr in ADDERS else ""


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _locals(function: Function) -> tuple[set[str], set[str]]:
    """The names of a function and those inside it, and which of them only ever hold what was made there."""
    local: set[str] = set()
    made: dict[str, list[bool]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            local.update(arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg))
        for name, fresh in _bindings(node):
            made.setdefault(name, []).append(fresh)
    local |= made.keys()
    parameters = {arg.arg for arg in ast.walk(function) if isinstance(arg, ast.arg)}
    return local, {name for name, values in made.items() if all(values) and name not in parameters}


def _bindings(node: ast.AST) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name, True
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        fresh = node.value is None or isinstance(node.value, (*_FRESH, ast.Call))
        yield from ((name, fresh) for name in bound(node))
    elif isinstance(node, ast.For | ast.With | ast.comprehension | ast.NamedExpr | ast.ExceptHandler):
        yield from ((name, False) for name in bound(node))


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
