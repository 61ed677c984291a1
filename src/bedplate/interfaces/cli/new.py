"""`bedplate new`: a project folder to start from, which runs as it is."""

from __future__ import annotations

import importlib.resources
import keyword
import shutil
from pathlib import Path

import click

from bedplate.core.errors import UserError

from .common import console


@click.command()
@click.argument("name")
def command(name: str) -> int:
    """Make the folder NAME with a small, real project in it."""
    folder = Path(name)
    module = folder.name.replace("-", "_").lower()
    if not module.isidentifier() or keyword.iskeyword(module):
        raise UserError(f"'{name}' cannot name a project", why="letters, digits, - and _ make a name", next="bedplate new my-project")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is there already and not empty", next=f"choose another name, or remove it: rm -r {folder}")
    with importlib.resources.as_file(importlib.resources.files("bedplate") / "starter") as starter:
        shutil.copytree(starter, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "__init__.py"))
    out = console()
    out.print(f"made [bold]{folder}[/bold]: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    out.print(f"next: [bold]cd {folder} && bedplate run[/bold]")
    return 0
