"""`bedplate target list | test | add`: the places where a project may run, in bedplate.toml."""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.markup import escape

from bedplate.assembly import configure, open_database
from bedplate.core.clock import SystemClock
from bedplate.core.config import resolve
from bedplate.core.errors import UserError, WorldError
from bedplate.pipeline.code.load import find_project
from bedplate.pipeline.probing import Tried, try_bucket, try_catalog, try_folder
from bedplate.storage.places import bucket_at, folder_at

from .common import console, put_json, table
from .verb import Asked, tried, verb

_PASSWORD = re.compile(r"(://[^:/@]*):[^@/]*@")
_SECRET = re.compile(r"(?i)([?&\s][a-z_]*(?:passw|secret|token|key|pwd)[a-z_]*\s*=)[^&\s]*")
"""An option of an address that holds a secret: libpq takes `?password=`, and S3's are typed out of habit."""
_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
_SHOWN = ("catalog", "store", "online", "compute")


@verb("[list | test [NAME] | add NAME]", most=2)
@click.option("--catalog", default="", metavar="URL", help="add: where its record is kept.")
@click.option("--store", default="", metavar="URL", help="add: where its bytes are kept.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="add: any other setting of the target.")
def command(asked: Asked, catalog: str, store: str, settings: tuple[str, ...]) -> int:
    """Say which targets bedplate.toml has, try one out, or add one."""
    what, name = (*asked.names, "list")[0], asked.names[1] if len(asked.names) > 1 else asked.target
    if what == "list":
        return _list(asked)
    if what == "test":
        return _test(asked, name)
    if what == "add":
        given = {"catalog": catalog, "store": store} | dict(_pair(one) for one in settings)
        return _add(asked, name, {key: value for key, value in given.items() if value})
    raise UserError(f"`bedplate target {what}` is not known", next="bedplate target list, test or add")


def _list(asked: Asked) -> int:
    file = find_project(Path.cwd(), asked.project)
    own = configure(file)
    names = dict.fromkeys(["local", *_read(file).get("target", {})])
    found = {name: configure(file, name) for name in names}
    shown = [
        {"target": name, "own": name == own.target} | {setting: _masked(config[setting]) for setting in _SHOWN}
        for name, config in found.items()
    ]
    if asked.as_json:
        put_json(shown)
        return 0
    drawn = table("", "target", *_SHOWN)
    for one in shown:
        drawn.add_row("*" if one["own"] else "", *(escape(str(one[column])) for column in ("target", *_SHOWN)))
    console().print(drawn)
    return 0


def _masked(address: str) -> str:
    """An address without its secrets."""
    return _SECRET.sub(r"\1...", _PASSWORD.sub(r"\1:...@", address))


def _test(asked: Asked, name: str) -> int:
    config = configure(find_project(Path.cwd(), asked.project), name)
    found = [*try_catalog(lambda: open_database(config), config.target, SystemClock()), *_try_store(config["store"])]
    told = [msgspec.structs.replace(one, next=tried(one.next, name)) for one in found]
    wrong = any(one.problem for one in told)
    if asked.as_json:
        put_json(told)
        return WorldError.exit_code if wrong else 0
    out, drawn = console(), table("", "area", "what", "#time", "problem", "next")
    for one in told:
        mark = "[bold red]x[/bold red]" if one.problem else "[green]ok[/green]"
        drawn.add_row(mark, one.area, one.what, f"{one.seconds * 1000:.1f} ms", escape(one.problem), escape(one.next))
    out.print(drawn)
    out.print(f"target {config.target}: {'something is wrong' if wrong else 'all well'}")
    return WorldError.exit_code if wrong else 0


def _try_store(url: str) -> Iterator[Tried]:
    word = secrets.token_hex(5)
    if url.startswith("file://"):
        return try_folder(folder_at(url), word, SystemClock())
    return try_bucket(lambda: bucket_at(url), word, SystemClock())


def _add(asked: Asked, name: str, settings: dict[str, str]) -> int:
    file = find_project(Path.cwd(), asked.project)
    known = _read(file)
    if not _NAME.match(name):
        raise UserError(
            f"'{name}' cannot be a target's name", why="small letters, digits, - and _ are taken", next="bedplate target add team"
        )
    path = file.parent / "bedplate.toml"
    if name == "local":
        raise UserError("there is a target 'local' already", why="it is this machine", next=f"its settings stand at the top of {path}")
    if name in known.get("target", {}):
        raise UserError(f"there is a target '{name}' already", next=f"edit [target.{name}] in {path}")
    if not settings:
        raise UserError(
            f"what is '{name}'?", why="a target differs in some setting", next=f"bedplate target add {name} --catalog URL --store URL"
        )
    if any(_masked(value) != value for value in settings.values()):
        raise UserError(
            "a password does not belong into bedplate.toml",
            why="the file is shared with the project",
            next="leave it out of the address: PGPASSWORD, ~/.pgpass, AWS_SECRET_ACCESS_KEY",
        )
    added = {**known, "target": {**known.get("target", {}), name: settings}}
    open_database(resolve(file.resolve(), added, os.environ, name)).close()  # reads the address to its end, and asks nobody
    _append(path, name, settings)
    if asked.as_json:
        put_json({"target": name, **settings})
    else:
        console().print(f"added {name}; try it: bedplate target test {name}")
    return 0


def _append(path: Path, name: str, settings: dict[str, str]) -> None:
    """Add a table at the end of the file, whole or not at all; what is there stays as it is, comments too."""
    before = path.read_text() if path.exists() else ""
    lines = [f"[target.{name}]", *(f"{setting} = {json.dumps(value)}" for setting, value in settings.items())]
    aside = path.with_name(f".{path.name}.new")
    aside.write_text("".join(itertools.chain(before, "\n" if before else "", "\n".join(lines), "\n")))
    aside.replace(path)


def _read(file: Path) -> dict[str, dict[str, dict[str, str]]]:
    configure(file)
    path = file.parent / "bedplate.toml"
    return tomllib.loads(path.read_text()) if path.is_file() else {}


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise UserError(f"'{text}' sets nothing", why="a name, = and a value are needed", next="--set cpu=8")
    return name, value
