"""What every verb takes: names, an optional project file, --target and --json; and the project that they lead to.

A verb is a function of `Asked` under `@verb(...)`, which makes it a click command; options of its own go between the two.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from bedplate.assembly import Kept, OpenProject, open_project, open_record
from bedplate.core.errors import BedplateError, UserError

_NO_PATH = re.compile(r"[\s\[(]")
"""In SQL (`select a/b`) and in the name of a part (`raw[2026/01]`); a folder with a space in its name goes behind --project."""
_PROJECT = "[FILE.py]"
_TRY = "bedplate target test"
_CHILD = "--child-of="
_ABOUT = re.compile(
    r"\bbedplate (run|plan|step|rerun|tune|cancel|why|status|show|diff|lineage|logs|sql|serve|promote|rollback|labels|watch|gc|doctor)\b"
)
"""Verbs that are about one target."""


class Asked(NamedTuple):
    """What a verb was asked: the names that it is about, the project and target if given, and whether a program reads the answer."""

    names: tuple[str, ...]
    project: str | None = None
    target: str = ""
    as_json: bool = False

    def open(self, *, pickles: bool = True) -> OpenProject:
        """The project. Raises UserError where there is none, ProjectError where it has mistakes."""
        return open_project(self.project, self.target, pickles=pickles)

    def look(self) -> OpenProject:
        """The same for a verb that only looks: where there is no state yet, none is made."""
        return open_project(self.project, self.target, makes=False)

    def record(self) -> Kept:
        """What the project has on record, without importing its file. Raises UserError where there is none."""
        return open_record(self.project, self.target)


def verb(metavar: str = "", *, least: int = 0, most: int | None = None, places: int = 0) -> Callable[[Callable[..., int]], click.Command]:
    """Make a command of a function of Asked; `metavar` names its `least` to `most` names in the help (none: it takes none).

    The first `places` of them are places, not names: none of these is the project.
    """

    def decorate(function: Callable[..., int]) -> click.Command:
        @functools.wraps(function)
        def run(words: tuple[str, ...], project: str | None, target: str, as_json: bool, **options: Any) -> int:
            project, names = split(words[places:], project)
            names = words[:places] + names
            _count(names, metavar, least, most if metavar else 0)
            try:
                return function(Asked(names, project, target, as_json), **options)
            except BedplateError as error:
                error.next = tried(error.next, target)
                raise

        own = reversed(getattr(function, "__click_params__", []))
        words = click.Argument(["words"], nargs=-1, metavar=f"{metavar} {_PROJECT}".strip())
        return click.Command(function.__name__, callback=run, params=[*own, words, *_shared()], help=inspect.getdoc(function))

    return decorate


def _shared() -> list[click.Option]:
    """The options of every verb."""
    return [
        click.Option(["--project", "-p"], metavar="PATH", help="The project file or its folder."),
        click.Option(["--target"], default="", metavar="NAME", help="The target in bedplate.toml to use."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for programs."),
    ]


def split(words: tuple[str, ...], project: str | None) -> tuple[str | None, tuple[str, ...]]:
    """`bedplate why late flights.py` and `bedplate why flights.py late`: the argument that is a file names the project."""
    files = [word for word in words if word.endswith(".py") or word == "." or ("/" in word and not _NO_PATH.search(word))]
    if project is None and files:
        project = files[0]
    return project, tuple(word for word in words if word not in files)


def tried(next: str, target: str) -> str:
    """A next step as it is typed for the target that was asked for: low rooms know only its addresses."""
    if not target or "--target" in next:
        return next
    return _ABOUT.sub(rf"\g<0> --target {target}", next.replace(_TRY, f"{_TRY} {target}"))


def typed() -> str:
    """The command as it was typed, for the record: what only a server adds to it is left out."""
    return " ".join(["bedplate", *(word for word in sys.argv[1:] if not word.startswith(_CHILD))])


def _count(names: tuple[str, ...], metavar: str, least: int, most: int | None) -> None:
    verb = f"bedplate {click.get_current_context().info_name}"
    if len(names) < least:
        raise UserError(f"{verb}: what about?", why=f"it needs {metavar}", next=f"{verb} {metavar}, or: {verb} --help")
    if most is not None and len(names) > most:
        takes = f"takes {metavar} and" if metavar else "is about the whole project:"
        raise UserError(f"`{verb}` {takes} nothing can be made of '{names[most]}'", next=f"{verb} --help")
