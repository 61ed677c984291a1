"""Modules of project code, indexed: which statement binds which name, what is imported, and what importing does besides.

Reads source files only; nothing is imported. An index lasts as long as its shelf.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from bedplate.core.records import Record
from bedplate.pipeline.wiring.syntax import Source, parse

from .names import Import, bound, imports_of
from .origin import is_installed
from .shape import body_of

_QUIET = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass, ast.Global)


class Module(Record, frozen=True, kw_only=True):
    """One indexed module.

    `bindings` maps a name to the top-level statement that binds it (the last), `rebound` are names that several statements or a
    `global` bind; `imports` maps a name to the import that binds it, `stars` are the star imports, `effects` the statements that do
    something besides binding fresh names, `body` every statement that counts.
    """

    dotted: str
    path: Path
    label: str
    source: Source
    body: tuple[ast.stmt, ...]
    bindings: dict[str, ast.stmt]
    rebound: frozenset[str]
    imports: dict[str, Import]
    stars: tuple[Import, ...]
    effects: tuple[ast.stmt, ...]

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.dotted if self.path.name == "__init__.py" else self.dotted.rpartition(".")[0]


class Shelf:
    """Finds and indexes the modules under `roots`, and those that Python would import from other uninstalled places."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(root.resolve() for root in roots)
        self._modules: dict[Path, Module] = {}
        self._resolved: dict[str, Path] = {}
        self._places: dict[str, Path | None] = {}

    def at(self, path: Path, dotted: str) -> Module:
        """The module in a file, as it was when it was first asked for. Raises OSError or SyntaxError."""
        if path not in self._modules:
            self._modules[path] = _index(dotted, path, parse(path), self.label(path, dotted))
        return self._modules[path]

    def of_code(self, filename: str, dotted: str) -> Module:
        """The module of a file as its code objects name it. Raises OSError or SyntaxError."""
        if filename not in self._resolved:
            self._resolved[filename] = Path(filename).resolve()
        return self.at(self._resolved[filename], dotted)

    def named(self, dotted: str) -> Module | None:
        """The project module of that name; None where it is installed, built in, or not to be read."""
        path = self._place(dotted)
        if path is None:
            return None
        try:
            return self.at(path, dotted)
        except (OSError, SyntaxError, ValueError):
            return None

    def label(self, path: Path, dotted: str) -> str:
        """How a file is named to people: relative to the project's folder, else to where its top package lies."""
        for root in self.roots:
            if path.is_relative_to(root):
                return str(path.relative_to(root))
        depth = dotted.count(".") + (path.name == "__init__.py")
        return "/".join(path.parts[-1 - depth :])

    def _place(self, dotted: str) -> Path | None:
        if dotted not in self._places:
            self._places[dotted] = self._look(dotted)
        return self._places[dotted]

    def _look(self, dotted: str) -> Path | None:
        tail = Path(*dotted.split("."))
        for root in self.roots:
            for candidate in (root / tail / "__init__.py", root / tail.with_name(tail.name + ".py")):
                if candidate.is_file() and not is_installed(candidate):
                    return candidate
        file = getattr(sys.modules.get(dotted), "__file__", None)
        if file is None and dotted.partition(".")[0] not in sys.stdlib_module_names:
            file = _origin(dotted)
        if file is None or not file.endswith(".py") or is_installed(Path(file)):
            return None
        return Path(file).resolve()


def _origin(dotted: str) -> str | None:
    """Where Python would import a module from that it has not imported yet; parents are looked up, never run."""
    top, _, rest = dotted.partition(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not rest:
        return spec.origin if spec else None
    for place in spec.submodule_search_locations or ():
        tail = Path(place, *rest.split("."))
        found = next((str(path) for path in (tail / "__init__.py", tail.with_name(tail.name + ".py")) if path.is_file()), None)
        if found:
            return found
    return None


def _index(dotted: str, path: Path, source: Source, label: str) -> Module:
    body = tuple(statement for statement in body_of(source.tree) if not _is_guard(statement))
    bindings: dict[str, ast.stmt] = {}
    rebound: set[str] = set()
    imports: dict[str, Import] = {}
    stars: list[Import] = []
    for statement in body:
        found = {one.name: one for one in _imports(statement)}
        for name in bound(statement):
            # `import a.b` and `import a.c` bind one `a`.
            if name in bindings and (name not in found or imports.get(name) != found[name]):
                rebound.add(name)
            bindings[name] = statement
        if "*" in found:
            stars.append(found.pop("*"))
        imports.update(found)
    if source.says_global:
        rebound |= _declared_global(source.tree)
    return Module(
        dotted=dotted, path=path, label=label, source=source, body=body, bindings=bindings, rebound=frozenset(rebound), imports=imports,
        stars=tuple(stars),
        effects=tuple(statement for statement in body if not _is_quiet(statement)),
    )  # fmt: skip


def _imports(statement: ast.stmt) -> list[Import]:
    """Imports that bind a name for good: at the top level, or for type checkers only."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return list(imports_of(statement))
    if isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
        return [found for inner in statement.body if isinstance(inner, ast.Import | ast.ImportFrom) for found in imports_of(inner)]
    return []


def _declared_global(tree: ast.Module) -> set[str]:
    return {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}


def _is_guard(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, which an import does not run."""
    if not isinstance(statement, ast.If) or not isinstance(statement.test, ast.Compare):
        return False
    return isinstance(statement.test.left, ast.Name) and statement.test.left.id == "__name__"


def _is_quiet(statement: ast.stmt) -> bool:
    """Whether a statement only binds names afresh."""
    if isinstance(statement, _QUIET):
        return True
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return all(isinstance(inner, ast.Name | ast.Tuple | ast.List | ast.Starred) for target in targets for inner in _parts(target))
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If | ast.Try):
        handlers = [inner for handler in getattr(statement, "handlers", []) for inner in handler.body]
        return all(map(_is_quiet, [*statement.body, *handlers, *statement.orelse, *getattr(statement, "finalbody", [])]))
    return isinstance(statement, getattr(ast, "TypeAlias", ast.Pass))


def _parts(target: ast.expr) -> list[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        return [target, *(inner for item in target.elts for inner in _parts(item))]
    return [target]
