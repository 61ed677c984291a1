"""Loading a project: its file is imported by path, with its folder first on `sys.path`, and its one Project is found.

The module is named after the file, so that pickles and type hints find it again. Modules of project folders are imported anew at
every load: a changed helper is seen, and two projects may both have a `helpers.py`. Nothing is run but the import itself.

Limits: not for two threads at once; a helper edited twice within a second, to the same length, may be read from Python's own
byte-code cache (the project file itself never is).
"""

from __future__ import annotations

import ast
import difflib
import importlib
import re
import sys
import traceback
from contextlib import redirect_stdout
from importlib.metadata import metadata
from pathlib import Path
from types import ModuleType

import msgspec

from bedplate.core.digests import of_json
from bedplate.core.errors import BedplateError, NotFound, ProjectError, UserError
from bedplate.core.project import Project
from bedplate.core.records import Record
from bedplate.pipeline.wiring.syntax import Source, parse, uncollected

from . import reads
from .closure import forget, reader_of
from .origin import is_installed

_TESTS = re.compile(r"(.*\.)?(__main__|conftest|test_\w+)\Z")
"""Modules of a project folder that are not the project's: whoever runs the tests keeps them."""
_MENTION = re.compile(rb"\bProject\s*\(")


class Loaded(Record, frozen=True, kw_only=True):
    """A project, the file that declares it (absolute), and the module that the file became.

    `read` maps the project's own files to their time (ns) and size when they were loaded.
    """

    project: Project
    file: Path
    module: ModuleType
    read: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)

    @property
    def stamp(self) -> str:
        """The digest of the files' names, times and sizes: equal stamps mean equal code."""
        return of_json(sorted(self.read.items()))

    def changed(self) -> list[str]:
        """The names of the project's files that are not as they were loaded."""
        return [Path(name).name for name, stat in self.read.items() if stat_of(name) != stat]


def load_project(path: Path) -> Loaded:
    """Import the project file `path`.

    Raises NotFound without the file, and ProjectError with file and line for whatever the file does wrong.
    """
    file = path.resolve()
    if not file.is_file():
        raise NotFound(f"there is no project file {path}", next="bedplate new NAME makes one")
    source = _parsed(file)
    module, read = _imported(file, source)
    found = {id(value): value for value in vars(module).values() if isinstance(value, Project)}
    if not found:
        raise ProjectError(f"{file}: no Project in it", next=f'add: {_identifier(file)} = Project("{_identifier(file)}")')
    if len(found) > 1:
        names = sorted(name for name, value in vars(module).items() if isinstance(value, Project))
        raise ProjectError(f"{file}: {len(found)} Projects in it: {', '.join(names)}", next="one file declares one: move the others out")
    return Loaded(project=next(iter(found.values())), file=file, module=module, read=_stats(read))


def find_project(folder: Path, given: str | None = None) -> Path:
    """The project file: the one given (a file or a folder), else the only one in `folder`.

    A candidate is found by its text: a Project made at the top level. Raises NotFound without one, UserError with several.
    """
    where = folder / given if given else folder
    if where.is_file():
        return where.resolve()
    if not where.is_dir():
        raise NotFound(f"there is no project file {where}", next="bedplate new NAME makes one")
    candidates = [file for file in sorted(where.glob("*.py")) if _declares(file)]
    if len(candidates) == 1:
        return candidates[0].resolve()
    if not candidates:
        raise NotFound(f"no project file in {where}", why="a project file makes a Project", next="bedplate new NAME makes one")
    names = ", ".join(file.name for file in candidates)
    raise UserError(f"{len(candidates)} project files in {where}: {names}", next=f"name one: bedplate ... {candidates[0].name}")


def declared_name(file: Path) -> str:
    """The name that a project file gives its Project, read without running it; empty where it is worked out, or cannot be read."""
    try:
        made = _projects_made(parse(file).tree.body)
    except (OSError, SyntaxError, ValueError):
        return ""
    given = [*made[0].args[:1], *(word.value for word in made[0].keywords if word.arg == "name")] if made else []
    name = given[0].value if given and isinstance(given[0], ast.Constant) else ""
    return name if isinstance(name, str) else ""


def _declares(file: Path) -> bool:
    try:
        return bool(_MENTION.search(file.read_bytes())) and bool(_projects_made(parse(file).tree.body))
    except SyntaxError:
        # It says Project(: its own error is what the user wants to see.
        return True
    except (OSError, ValueError):
        return False


def _projects_made(body: list[ast.stmt]) -> list[ast.Call]:
    """The calls of Project whose result gets a name at the top level."""
    values = (node.value for node in body if isinstance(node, ast.Assign | ast.AnnAssign))
    return [value for value in values if isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] == "Project"]


def _parsed(file: Path) -> Source:
    try:
        return parse(file)
    except SyntaxError as error:
        raise _syntax(error, file) from None
    except (OSError, ValueError) as error:
        raise ProjectError(f"{file}: cannot be read", why=str(error), next="check that it is a Python file that you may read") from None


def _syntax(error: SyntaxError, file: Path) -> ProjectError:
    text = (error.text or "").strip()
    return ProjectError(f"{error.filename or file}:{error.lineno or 1}: {error.msg}", why=text and f"Python cannot read: {text}")


def _imported(file: Path, source: Source) -> tuple[ModuleType, set[str]]:
    """The module, and the files that it was made of: its own, those of the project that it imported, what these read meanwhile."""
    name = _module_name(file, source)
    folder = str(file.parent)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    forget()
    _forget(file, name)
    importlib.invalidate_caches()
    before = set(sys.modules)
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    try:
        with uncollected():
            code = compile(source.tree, str(file), "exec", dont_inherit=True)
        with redirect_stdout(sys.stderr), reads.watching() as found:  # standard output is for what a verb answers, which may be JSON
            exec(code, vars(module))
    except (Exception, SystemExit) as error:  # the import runs the user's code, which may raise anything
        sys.modules.pop(name, None)
        raise _failed(error, file) from None
    own = _own_files(file, before)
    reads.keep(own, found)
    return module, {*own, *(read.path for read in found if read.path)}


def _failed(error: BaseException, file: Path) -> ProjectError:
    """The user's mistake at import, placed at the last line of the project's own code."""
    if isinstance(error, SyntaxError) and error.filename:
        return _syntax(error, file)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(Path(frame.filename), file.parent)]
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(file)
    if isinstance(error, BedplateError):
        return ProjectError(f"{where}: {error.what}", why=error.why, next=error.next)
    if isinstance(error, SystemExit):
        return ProjectError(f"{where}: the file ends the program when it is imported", next='move that under `if __name__ == "__main__":`')
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        beside = {path.stem for path in file.parent.iterdir() if path.suffix == ".py" or (path.is_dir() and path.name.isidentifier())}
        near = difflib.get_close_matches(top, sorted(beside - {file.stem}), 1)
        extra = top in (metadata("bedplate").get_all("Provides-Extra") or ())
        install = f"pip install 'bedplate[{top}]'" if extra else f"pip install {top}"
        next = f"did you mean '{near[0]}'?" if near else f"{install}, or put {top}.py beside {file.name}"
        return ProjectError(f"{where}: no module '{error.name}'", next=next)
    line = frames[-1].line if frames else ""
    return ProjectError(f"{where}: {type(error).__name__}: {error}", why=f"importing the project raised it: {line}" if line else "")


def _is_own(frame: Path, folder: Path) -> bool:
    return frame.is_relative_to(folder) and not is_installed(frame)


def _identifier(file: Path) -> str:
    return re.sub(r"\W|^(?=\d)", "_", file.stem)


def _module_name(file: Path, source: Source) -> str:
    name = _identifier(file)
    loaded = sys.modules.get(name)
    hides = name == "bedplate" or name in sys.stdlib_module_names or (loaded is not None and _is_foreign(loaded))
    if hides or name in _imports(source):
        raise ProjectError(f"{file}: its name hides the package '{name}'", next=f"rename it, as {name}_project.py")
    return name


def _own_files(file: Path, before: set[str]) -> set[str]:
    """The files of project code that are imported now: those of the project's folder, and what was not imported `before`."""
    inside = f"{file.parent}/"
    named = ((key, name) for key, module in sys.modules.copy().items() if isinstance(name := getattr(module, "__file__", None), str))
    found = (name for key, name in named if (key not in before or name.startswith(inside)) and not is_installed(Path(name)))
    return {str(file), *found}


def _stats(names: set[str]) -> dict[str, tuple[int, int]]:
    return {name: stat for name in sorted(names) if (stat := stat_of(name)) is not None}


def stat_of(name: str) -> tuple[int, int] | None:
    """The time (ns) and size of a file; None where it is gone."""
    try:
        stat = Path(name).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _imports(source: Source) -> set[str]:
    """The top names of what a file imports: its own is meant to be a package's."""
    plain = {alias.name for node in source.imports if isinstance(node, ast.Import) for alias in node.names}
    froms = {node.module for node in source.imports if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in plain | froms}


def _is_foreign(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and is_installed(Path(file))


def _forget(file: Path, name: str) -> None:
    """Drop modules of the project's folder, others that its own would be mistaken for, and the project's code from anywhere else."""
    folder, elsewhere = file.parent, {}
    inside = f"{folder}/"
    own = {path.stem if path.suffix == ".py" else path.name for path in folder.iterdir()} | {name}
    for key, module in sys.modules.copy().items():
        place = getattr(module, "__file__", None)
        if not isinstance(place, str) or _TESTS.match(key) or is_installed(Path(place)):
            continue
        if place.startswith(inside) or key.partition(".")[0] in own:
            del sys.modules[key]
        else:
            elsewhere[key] = str(Path(place).resolve())
    if elsewhere:
        reader = reader_of((folder,))
        reached = {str(module.path) for module in reader.reached(reader.shelf.at(file, name))}
        for key in [key for key, place in elsewhere.items() if place in reached]:
            del sys.modules[key]
        forget()
