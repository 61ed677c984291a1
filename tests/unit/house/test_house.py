"""The house rules that no linter knows: imports at the top, short files and functions, a sorted public list, a light import."""

from __future__ import annotations

import ast
import builtins
import functools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import bedplate

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "bedplate"
FILES = sorted(path for path in SOURCE.rglob("*.py") if "starter" not in path.relative_to(SOURCE).parts)
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
HEAVY = {"polars", "numpy", "deltalake", "duckdb", "apsw", "starlette", "uvicorn", "click", "rich", "lightgbm", "pandas", "pyarrow"}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def place(path: Path, line: int = 1) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_no_function_imports() -> None:
    """A circle dodged by an import inside a function would be invisible to the floors' contract."""
    inside = {
        place(path, node.lineno)
        for path in FILES
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert inside == set()


def test_files_stay_short() -> None:
    """The tail separates good houses from bad ones: no file may grow without end."""
    assert [place(path) for path in FILES if len(path.read_text().splitlines()) > LONGEST_FILE] == []


def test_functions_stay_short() -> None:
    """Nor may a function."""
    spans = [(path, node, (node.end_lineno or 0) - node.lineno + 1) for path in FILES for node in functions(path)]
    assert [f"{place(path, node.lineno)} {node.name}: {span}" for path, node, span in spans if span > LONGEST_FUNCTION] == []


def test_every_module_says_what_it_is() -> None:
    """A module opens with a docstring."""
    assert [place(path) for path in FILES if not ast.get_docstring(parsed(path))] == []


def test_nothing_is_left_to_do() -> None:
    """No to-do marks: what is not done is in the README, not in the code."""
    lines = [(path, number, line) for path in FILES for number, line in enumerate(path.read_text().splitlines(), 1)]
    assert [place(path, number) for path, number, line in lines if re.search(r"\b(TODO|FIXME|XXX)\b", line)] == []


def test_a_silenced_checker_has_its_reason_on_the_line() -> None:
    """`noqa` and `type: ignore` name the rule and say why."""
    lines = [(path, number, line) for path in FILES for number, line in enumerate(path.read_text().splitlines(), 1)]
    silenced = re.compile(r"#\s*(?:noqa(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[\w, -]+\])?)(.*)")
    bare = [place(path, number) for path, number, line in lines if (m := silenced.search(line)) and len(m[1].strip(" -#:")) < 8]
    assert bare == []


def test_the_public_list_is_sorted_and_every_name_resolves() -> None:
    """What a user may import is one sorted list, and all of it is there."""
    assert bedplate.__all__ == sorted(bedplate.__all__)
    assert set(dir(bedplate)) - set(bedplate.__all__) == {"__version__", "open"}
    assert [name for name in bedplate.__all__ if getattr(bedplate, name) is None] == []


def test_importing_bedplate_stays_light() -> None:
    """`import bedplate` and a Project load no heavy library."""
    code = "import sys, bedplate; bedplate.Project('p'); print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert HEAVY & set(loaded) == set()


def test_every_dependency_is_pinned_and_named_without_an_address() -> None:
    """The pinned lists hold what pyproject.toml asks for, as `name==version` and nothing else; next when this fails: `make lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    core = project["dependencies"]
    wanted = {"demo": core + extras["lightgbm"] + extras["flights"], "test": core + [one for extra in extras.values() for one in extra]}
    for name, asked in wanted.items():
        lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
        assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", line)] == []
        pinned = {line.partition("==")[0] for line in lines}
        names = {re.split(r"[^A-Za-z0-9_.-]", one)[0].lower().replace("_", "-") for one in asked} - {"bedplate"}
        assert names - pinned == set(), name


def test_no_committed_file_names_a_machine_or_registry() -> None:
    """Nothing that is committed names a path of one machine or the address of a package registry."""
    names = subprocess.run(["git", "ls-files", "-z"], check=True, cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    foreign = re.compile("|".join(("/wor[k]/", "/tmp/[w]/", "/opt/pyp[i]", "pypi[.]org", "pythonhosted[.]org", "--index-ur[l]")))
    small = [path for path in (ROOT / name for name in names if name) if path.is_file() and path.stat().st_size < 1_000_000]
    assert [place(path) for path in small if foreign.search(path.read_text(errors="ignore"))] == []


def test_a_star_import_leaves_pythons_own_names_alone() -> None:
    """`from bedplate import *` gives what a project file needs, and `open` still opens files."""
    taken: dict[str, object] = {}
    exec("from bedplate import *", taken)
    assert {name for name in taken if hasattr(builtins, name)} == set()
    assert callable(bedplate.open)
