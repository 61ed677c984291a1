"""`bedplate new`: a project folder to start from, which runs as it is."""

from __future__ import annotations

import importlib.resources
import keyword
import shutil
from pathlib import Path

import click

from bedplate.core.errors import UserError

from .common import console, put_json


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(name: str, as_json: bool) -> int:
    """Make the folder NAME with a small, real project in it."""
    folder = Path(name)
    module = folder.name.replace("-", "_").lower()
    if not module.isidentifier() or keyword.iskeyword(module):
        raise UserError(f"'{name}' cannot name a project", why="letters, digits, - and _ make a name", next="bedplate new my-project")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is there already and not empty", next=f"choose another name: bedplate new {folder}-2")
    with importlib.resources.as_file(importlib.resources.files("bedplate") / "starter") as starter:
        shutil.copytree(starter, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "__init__.py"))
    files = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    if as_json:
        put_json({"folder": folder.resolve(), "files": files})
        return 0
    out = console()
    out.print(f"made [bold]{folder}[/bold]: {', '.join(files)}")
    out.print(f"next: [bold]cd {folder} && bedplate run[/bold]")
    return 0
