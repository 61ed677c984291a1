"""Lifting a function out of its project: the function and all that it reaches, as files that need neither the project nor bedplate.

What is followed is what the cache key follows (`reach`): functions, classes, constants and imports, file by file, and what importing those
files does. Annotations of functions are left out, and with them what only they need; types that a caller is asked for are kept beside the
function, in `ASKED` (by parameter: the type, and the default where it has one) and `RETURNS`.

Limits: what cannot be followed is refused: a name bound twice, a star import, `eval`, a module handed around, a value that a function
closes over. Of a file that is not lifted from, what its import does is left out too.
"""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bedplate.core.errors import UserError
from bedplate.core.records import Record

from .closure import reader_of
from .effects import Effects
from .modules import Module
from .names import References
from .reach import EFFECTS, WHOLE, Spot, absolute
from .unfollowed import unfollowed

ASKED: Final = "BEDPLATE_ASKED"
RETURNS: Final = "BEDPLATE_RETURNS"
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_OWN: Final = "bedplate"
_At = tuple[int, int]
"""Where a statement stands: line and column."""


class Lifted(Record, frozen=True, kw_only=True):
    """The files by path, the module and the name of the function in them, and the packages that they import, by their top module."""

    files: dict[str, str]
    module: str
    name: str
    imports: tuple[str, ...]


def lift(function: Callable[..., Any], asked: Sequence[str], roots: Sequence[Path]) -> Lifted:
    """A function at the top of a module, whose parameters `asked` a caller gives. Raises UserError where it cannot be lifted."""
    reader = reader_of(tuple(roots))
    code = function.__code__
    if inspect.unwrap(function) is not function or function.__closure__ or "<" in function.__qualname__:
        raise _stays(function.__qualname__, "it is made by another function")
    module = reader.shelf.of_code(code.co_filename, function.__globals__.get("__name__", function.__module__))
    found = module.bindings.get(function.__name__)
    if not isinstance(found, _FUNCTIONS) or function.__name__ in module.rebound:
        raise _stays(function.__name__, "its name is bound twice, or not at the top of its file")
    lifting = _Lifting(reader)
    lifting.root(module, found, asked)
    lifting.follow()
    files = {path: text for one in lifting.modules() for path, text in [lifting.text(one)]}
    return Lifted(files=files, module=_dotted(module), name=function.__name__, imports=tuple(sorted(lifting.imports)))


class _Lifting:
    """What was taken of each module so far: statements with their places, and imported names."""

    def __init__(self, reader: Any) -> None:
        self.imports: set[str] = set()
        self._reader = reader
        self._effects = Effects(reader)
        self._taken: dict[Path, dict[_At, ast.stmt]] = {}
        self._named: dict[Path, set[str]] = {}
        self._modules: dict[Path, Module] = {}
        self._waiting: list[Spot] = []
        self._done: set[Spot] = set()

    def modules(self) -> Iterator[Module]:
        """The modules that something was taken of."""
        yield from self._modules.values()

    def root(self, module: Module, statement: ast.FunctionDef | ast.AsyncFunctionDef, asked: Sequence[str]) -> None:
        """Take the function itself, with no default but those of what is asked, and the types beside it."""
        self._done.add(Spot(module.path, module.dotted, statement.name))
        plain = copy.deepcopy(self._reader.plain(module, statement, declared=True))
        types, returns = _asked(plain, asked), plain.returns
        plain.args.defaults, plain.args.kw_defaults = [], [None] * len(plain.args.kwonlyargs)
        said = ast.Assign(targets=[ast.Name(id=ASKED, ctx=ast.Store())], value=types)
        told = [ast.Assign(targets=[ast.Name(id=RETURNS, ctx=ast.Store())], value=_expression(returns))] if returns is not None else []
        self._take(module, plain, (statement.lineno, statement.col_offset))
        for at, one in enumerate([said, *told]):
            self._take(module, ast.copy_location(one, statement), (sys.maxsize, at))

    def follow(self) -> None:
        """Take all that what was taken leads to."""
        while self._waiting:
            spot = self._waiting.pop()
            if spot in self._done:
                continue
            self._done.add(spot)
            if spot.name.startswith("import "):
                self._import(spot.name.removeprefix("import "))
                continue
            module = self._reader.shelf.at(spot.path, spot.dotted)
            if spot.name == EFFECTS:
                continue
            if spot.name in module.imports:
                self._name(module, spot.name)
            else:
                self._statement(module, module.bindings[spot.name])

    def _statement(self, module: Module, statement: ast.stmt) -> None:
        plain = copy.deepcopy(self._reader.plain(module, statement))
        self._take(module, plain, (statement.lineno, statement.col_offset))

    def _take(self, module: Module, statement: ast.stmt, at: _At) -> None:
        """Take a statement of a module, without what annotates functions, and see where it leads."""
        is_new = module.path not in self._modules
        self._modules[module.path] = module
        taken = self._taken.setdefault(module.path, {})
        if at in taken:
            return
        taken[at] = bare = ast.fix_missing_locations(_Bare().visit(statement))
        references = References()
        references.read(bare)
        for chain in references.chains:
            self._chain(module, chain, bare)
        for found in references.imports:
            self._import(absolute(module, found))
            if found.name in module.imports:
                self._lead(module, (found.name,), bare)
        if is_new:
            for effect in self._effects.of(module):
                if not isinstance(effect, _FUNCTIONS):
                    self._statement(module, effect)

    def _lead(self, module: Module, chain: tuple[str, ...], within: ast.stmt) -> None:
        """Where names lead is taken later. Raises UserError where that is no one piece of code."""
        for spot in self._reader.resolve(module, chain):
            if spot.name == WHOLE:
                raise _stays(module.label, f"its code cannot be followed: {unfollowed(module, chain, within)}")
            self._waiting.append(spot)

    def _chain(self, module: Module, chain: tuple[str, ...], within: ast.stmt) -> None:
        if chain[0] == "__file__":
            raise _stays(module.label, "it asks where its file lies (`__file__`)")
        if chain[0] in module.imports and chain[0] not in module.rebound:
            self._name(module, chain[0])
        elif chain[0] not in module.bindings and hasattr(builtins, chain[0]) and chain[0] not in ("eval", "exec", "globals", "__import__"):
            return
        self._lead(module, chain, within)

    def _name(self, module: Module, name: str) -> None:
        """An imported name is used."""
        self._named.setdefault(module.path, set()).add(name)
        found = module.imports[name]
        if self._reader.target(module, found) is None:
            self._import(absolute(module, found), found.attribute)

    def _import(self, dotted: str, attribute: str = "") -> None:
        top = dotted.partition(".")[0]
        if top == _OWN:
            raise _stays(".".join(filter(None, (dotted, attribute))), "its function calls bedplate, which is not where the function goes")
        if self._reader.shelf.named(dotted) is None and top not in sys.stdlib_module_names:
            self.imports.add(top)

    def text(self, module: Module) -> tuple[str, str]:
        """Where a module's file goes, and what is in it."""
        named, taken = self._named.get(module.path, set()), self._taken.get(module.path, {})
        imports = [one for statement in module.source.imports for one in _wanted(statement, named)]
        body = [ast.unparse(taken[at]) for at in sorted(taken)]
        lines = [f'"""Lifted out of {Path(module.label).name}."""', "from __future__ import annotations", *dict.fromkeys(imports), *body]
        tail = "/__init__.py" if module.path.name == "__init__.py" else ".py"
        return _dotted(module).replace(".", "/") + tail, "\n\n".join(lines) + "\n"


class _Bare(ast.NodeTransformer):
    """Leaves out what annotates functions, and variables but those of a class."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function without its annotations."""
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """The same of an asynchronous one."""
        return self._function(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """The assignment alone."""
        self.generic_visit(node)
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """A class keeps what annotates its own variables: it may be made of it."""
        node.body = [one if isinstance(one, ast.AnnAssign) else self.visit(one) for one in node.body]
        return node

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        for one in ast.walk(node.args):
            if isinstance(one, ast.arg):
                one.annotation = None
        return node


def _asked(function: ast.FunctionDef | ast.AsyncFunctionDef, asked: Sequence[str]) -> ast.expr:
    """`{"carrier": (str,), "tailnum": (str | None, None)}`, as syntax."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args]
    defaults: dict[str, ast.expr | None] = dict(
        zip([one.arg for one in every[len(every) - len(arguments.defaults) :]], arguments.defaults, strict=True)
    )
    defaults |= dict(zip([one.arg for one in arguments.kwonlyargs], arguments.kw_defaults, strict=True))
    types = {one.arg: one.annotation for one in (*every, *arguments.kwonlyargs) if one.arg in asked}
    values = [ast.Tuple(elts=[_expression(types[name]), *filter(None, [defaults.get(name)])], ctx=ast.Load()) for name in types]
    return ast.Dict(keys=[ast.Constant(name) for name in types], values=list(values))


def _expression(annotation: ast.expr | None) -> ast.expr:
    """An annotation as what it means: text stands for an expression."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value.strip(), mode="eval").body
    return annotation if annotation is not None else ast.Name(id="object", ctx=ast.Load())


def _wanted(statement: ast.Import | ast.ImportFrom, named: set[str]) -> Iterator[str]:
    """The part of an import statement that binds these names, as text."""
    for alias in statement.names:
        if (alias.asname or alias.name.partition(".")[0]) in named:
            bare = copy.copy(statement)
            bare.names = [alias]
            yield ast.unparse(bare)


def _dotted(module: Module) -> str:
    return module.dotted if all(part.isidentifier() for part in module.dotted.split(".")) else module.path.stem


def _stays(what: str, why: str) -> UserError:
    return UserError(f"{what} cannot be lifted out of the project", why=why, next="bedplate export docker takes the whole project along")
