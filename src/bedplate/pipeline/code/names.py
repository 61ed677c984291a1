"""What a piece of code refers to: the global names it reads, with the attributes asked of them.

Scopes are Python's: parameters, assignments and imports of a function are its own, so a parameter named like another function is no
reference to it. A class body is read generously: what it reads counts as global even where it binds the name too.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Final

from bedplate.core.records import Record

Chain = tuple[str, ...]
"""A global name and the attributes asked of it: `helpers.clean.rows` is ("helpers", "clean", "rows")."""

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_PLAIN: Final = frozenset(
    {ast.Call, ast.BinOp, ast.Compare, ast.Assign, ast.Return, ast.Expr, ast.keyword, ast.Tuple, ast.List, ast.Subscript}
)
"""Frequent nodes that only hold others: asked about first."""
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Import(Record, frozen=True, kw_only=True):
    """One import: `name` is bound to the module, or to `attribute` of it (`*`: all). `level` counts leading dots."""

    name: str
    module: str
    attribute: str = ""
    level: int = 0


def imports_of(statement: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    """The names that an import statement binds."""
    if isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            yield Import(name=alias.asname or alias.name, module=statement.module or "", attribute=alias.name, level=statement.level)
        return
    for alias in statement.names:
        top = alias.name.partition(".")[0]
        yield Import(name=alias.asname or top, module=alias.name if alias.asname else top)


class References:
    """Collects the chains, the imports and the attributes inside a piece of code."""

    def __init__(self) -> None:
        self.chains: set[Chain] = set()
        self.imports: list[Import] = []
        self.attributes: set[str] = set()
        self._scopes: list[set[str]] = []

    def read(self, node: ast.AST) -> None:
        """Add what `node` refers to."""
        cls = node.__class__
        if cls is ast.Constant:
            return
        if isinstance(node, ast.Name):
            if node.ctx.__class__ is ast.Load:
                self._add((node.id,))
        elif isinstance(node, ast.Attribute):
            self._attribute(node)
        elif cls in _PLAIN:
            for child in _children(node):
                self.read(child)
        else:
            self._read_scope(node)

    def _read_scope(self, node: ast.AST) -> None:
        """The rarer nodes: those that open a scope, import or annotate."""
        if getattr(node, "type_params", None):
            self._generic(node)
        elif isinstance(node, _FUNCTIONS):
            self._function(node)
        elif isinstance(node, _COMPREHENSIONS):
            self._comprehension(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.extend(imports_of(node))
            if isinstance(node, ast.Import):
                self.imports.extend(Import(name="", module=alias.name) for alias in node.names if "." in alias.name)
        elif isinstance(node, ast.AnnAssign):
            self._annotation(node.annotation)
            self._all([node.target, node.value])
        else:
            for child in _children(node):
                self.read(child)

    def _all(self, nodes: list[ast.expr | None]) -> None:
        for node in nodes:
            if node is not None:
                self.read(node)

    def _add(self, chain: Chain) -> None:
        if not any(chain[0] in scope for scope in self._scopes):
            self.chains.add(chain)

    def _attribute(self, node: ast.Attribute) -> None:
        names = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        self.attributes.update(names)
        if isinstance(inner, ast.Name):
            self._add((inner.id, *reversed(names)))
        else:
            self.read(inner)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        self._all([*arguments.defaults, *arguments.kw_defaults])
        body: list[ast.AST] = []
        if isinstance(node, ast.Lambda):
            body = [node.body]
        else:
            self._all(list(node.decorator_list))
            for annotated in (*(arg.annotation for arg in every if arg is not None), node.returns):
                self._annotation(annotated)
            body = list(node.body)
        scope = {arg.arg for arg in every if arg is not None}
        outer: set[str] = set()
        for statement in body:
            _bound(statement, scope, outer)
        self._scopes.append(scope - outer)
        for statement in body:
            self.read(statement)
        self._scopes.pop()

    def _generic(self, node: ast.AST) -> None:
        """`def f[T](...)`, `class C[T]`, `type A[T] = ...`: what T is bound to counts, T itself is local."""
        parameters: list[ast.AST] = node.type_params  # type: ignore[attr-defined]  # Python 3.12's
        self._scopes.append({getattr(parameter, "name", "") for parameter in parameters})
        for parameter in parameters:
            self._all([getattr(parameter, "bound", None), getattr(parameter, "default_value", None)])
        bare = copy.copy(node)
        bare.type_params = []  # type: ignore[attr-defined]  # as above
        self.read(bare)
        self._scopes.pop()

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.read(node.generators[0].iter)
        scope: set[str] = set()
        for generator in node.generators:
            _bound(generator.target, scope, set())
        self._scopes.append(scope)
        for at, generator in enumerate(node.generators):
            self._all([generator.iter if at else None, generator.target, *generator.ifs])
        self._all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self._scopes.pop()

    def _annotation(self, node: ast.expr | None) -> None:
        """An annotation, where text stands for the expression in it."""
        if node is None:
            return
        self.read(node)
        if isinstance(node, ast.Name):
            return
        for text in _texts(node):
            try:
                said = ast.parse(text.strip(), mode="eval").body
            except (SyntaxError, ValueError):
                # Text that no type checker would read either.
                continue
            self._annotation(said)


def _texts(node: ast.AST) -> Iterator[str]:
    """The text in an annotation that stands for a type: not the words of a `Literal`, and of `Annotated` what comes first."""
    if isinstance(node, ast.Constant):
        yield from (node.value,) if isinstance(node.value, str) else ()
        return
    called = getattr(node.value, "attr", getattr(node.value, "id", "")) if isinstance(node, ast.Subscript) else ""
    if called == "Literal":
        return
    if called == "Annotated" and isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        yield from _texts(node.slice.elts[0])
        return
    for child in _children(node):
        yield from _texts(child)


def bound(statement: ast.AST) -> set[str]:
    """The names that a statement binds in the scope it stands in."""
    names: set[str] = set()
    _bound(statement, names, set())
    return names


def _bound(node: ast.AST, names: set[str], outer: set[str]) -> None:
    """Add to `names` what `node` binds, to `outer` what it says belongs to an outer scope."""
    if node.__class__ is ast.Constant:
        return
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        names.add(node.name)
        return
    if isinstance(node, ast.Lambda):
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        names.update(found.name for found in imports_of(node))
        return
    if isinstance(node, ast.Global | ast.Nonlocal):
        outer.update(node.names)
        return
    if isinstance(node, _COMPREHENSIONS):
        # Only a walrus inside binds outside.
        names.update(inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr) and isinstance(inner.target, ast.Name))
        return
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        names.add(node.name)
    if isinstance(node, ast.MatchMapping) and node.rest:
        names.add(node.rest)
    for child in _children(node):
        _bound(child, names, outer)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes right below; three times as fast as `ast.iter_child_nodes`, without the marks of loading and storing."""
    for name in node._fields:
        value = getattr(node, name, None)
        if value.__class__ is list:
            for item in value:
                if isinstance(item, ast.AST):
                    yield item
        elif isinstance(value, ast.AST) and name != "ctx":
            yield value
