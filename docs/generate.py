"""Make the reference pages that come from the code: `make docs` writes them, tests/docs compares them.

Each page is a pure function of the source, so that what is written cannot differ from what runs: names from the public list, settings
from their table, verbs from the command line itself, errors from their tree, the table of bad input from the tests' markers.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

import bedplate
from bedplate.core import errors
from bedplate.core.config import SETTINGS
from bedplate.interfaces.cli.verbs import VERBS

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
MADE = "<!-- made by `make docs` from the code: change that, not this page -->"
DECORATORS = ("ingest", "prepare", "features", "train", "check", "service", "watch", "step")
BAD_INPUT = (
    "a misspelt parameter",
    "a cycle",
    "two artifacts of one name",
    "a missing file",
    "an empty folder",
    "a column that changed type",
    "NaN labels",
    "a feature view without time",
    "a step that returns the wrong kind",
    "a step that prints 100 MB",
    "a step that forks",
    "a step that hangs",
    "a step that exhausts memory",
    "a step that raises",
    "a step that is killed",
    "a full disk",
    "a read-only folder",
    "a corrupted blob",
    "a truncated database",
    "a request with missing fields",
    "a request with extra fields",
    "a request with wrong-typed fields",
    "a huge request",
    "a request that is not JSON",
    "a port in use",
)


class Shown(NamedTuple):
    """A test that shows what a piece of bad input gets."""

    line: str
    file: str
    name: str
    says: str


def page(title: str, intro: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([f"# {title}", MADE, intro, *parts]) + "\n"


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)


def settings() -> str:
    """Every setting: name, default, what it does."""
    intro = (
        "A value is taken from the environment (`BEDPLATE_` and the name in capitals), else from the chosen `[target.NAME]` table of "
        "`bedplate.toml` beside the project file, else from its top level, else it is the default. `{state}` stands for the state folder."
    )
    rows = [(f"`{one.name}`", f"`{one.default}`", f"`BEDPLATE_{one.name.upper()}`", one.help) for one in SETTINGS]
    return page("Settings", intro, table(("name", "default", "environment", "what it does"), rows))


def error_tree(kind: type[errors.BedplateError] = errors.BedplateError, depth: int = 0) -> Iterator[tuple[int, type[errors.BedplateError]]]:
    """Every error with its depth in the family tree."""
    yield depth, kind
    for child in sorted(kind.__subclasses__(), key=lambda one: (one.__module__ != errors.__name__, one.__name__)):
        if child.__module__ == errors.__name__:
            yield from error_tree(child, depth + 1)


def error_page() -> str:
    """Every error, its exit code and its meaning."""
    intro = (
        "An error says what happened, why, and what to type next. The command line ends with the error's exit code; "
        "a user's mistake shows no traceback."
    )
    rows = [
        ("&nbsp;" * 4 * depth + f"`{kind.__name__}`", str(kind.exit_code), (inspect.getdoc(kind) or "").splitlines()[0])
        for depth, kind in error_tree()
    ]
    return page("Errors", intro, table(("error", "exit code", "meaning"), rows))


def verbs() -> str:
    """Every verb with its arguments and options, from the commands themselves."""
    parts = []
    for group in dict.fromkeys(verb.group for verb in VERBS):
        shown = [verb for verb in VERBS if verb.group == group and not verb.hidden]
        parts.append(f"## {group}")
        for verb in shown:
            command: click.Command = getattr(importlib.import_module(verb.module, "bedplate.interfaces.cli"), verb.attribute)
            context = click.Context(command, info_name=f"bedplate {verb.name}")
            usage = " ".join(command.collect_usage_pieces(context))
            says = inspect.cleandoc(command.help or verb.help).split("\f")[0]
            parts.append(f"### {verb.name}\n\n    bedplate {verb.name} {usage}\n\n{says}")
            records = [option.get_help_record(context) for option in command.params if isinstance(option, click.Option)]
            rows = [(f"`{record[0]}`", re.sub(r"\s+", " ", record[1])) for record in records if record]
            parts.append(table(("option", "what it does"), rows))
    intro = "Every verb takes an optional project file; without one it finds the only project in the folder."
    return page("Verbs", intro, *parts)


def names() -> str:
    """Every public name and decorator with its call and its docstring."""
    parts = ["## Names"]
    parts += [_name(f"bedplate.{name}", getattr(bedplate, name)) for name in bedplate.__all__]
    parts.append("## Decorators")
    parts += [_name(f"@project.{name}", getattr(bedplate.Project, name)) for name in DECORATORS]
    return page("Names", "What `import bedplate` offers, and what a Project decorates functions with.", *parts)


def _name(title: str, thing: Any) -> str:
    return f"### {title}\n\n{inspect.getdoc(thing) or ''}"


def shown() -> list[Shown]:
    """Every test with a bad_input marker, found by reading the tests, not by importing them."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                says = (ast.get_docstring(node) or node.name.removeprefix("test_").replace("_", " ")).split("\n\n")[0]
                file = str(path.relative_to(ROOT))
                found += [Shown(line, file, node.name, " ".join(says.split())) for line in _marked(node)]
    return found


def _marked(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for inner in (part for decorator in node.decorator_list for part in ast.walk(decorator)):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "bad_input":
            yield from (str(ast.literal_eval(argument)) for argument in inner.args)


def bad_input() -> str:
    """Every kind of bad input and the tests that show what it gets."""
    by_line: dict[str, list[Shown]] = {line: [] for line in BAD_INPUT}
    for one in shown():
        by_line.setdefault(one.line, []).append(one)
    rows = [
        (line, "<br>".join(f"{one.says} ([{one.name}](../../{one.file}))" for one in tests) or "*not shown yet*")
        for line, tests in by_line.items()
    ]
    intro = (
        "Each gets one clear message with the next command and the right exit code, no traceback, and loses nothing. "
        "A test that shows one carries `@pytest.mark.bad_input`."
    )
    return page("Bad input, and what it gets", intro, table(("bad input", "what it gets, and the test that shows it"), rows))


PAGES: dict[str, Callable[[], str]] = {
    "bad-input.md": bad_input,
    "errors.md": error_page,
    "names.md": names,
    "settings.md": settings,
    "verbs.md": verbs,
}


def main() -> None:
    """Write every page."""
    for name, make in PAGES.items():
        path = REFERENCE / name
        path.write_text(make())
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
