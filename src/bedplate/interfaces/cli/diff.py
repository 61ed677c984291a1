"""`bedplate diff`: two versions of an artifact, or two runs, beside each other."""

from __future__ import annotations

import click
from rich.markup import escape

from bedplate.assembly import open_project
from bedplate.core.errors import UserError

from .common import console, project_options, put_json, split, table


@click.command()
@click.argument("names", nargs=-1, required=True)
@project_options
def command(names: tuple[str, ...], project: str | None, target: str, as_json: bool) -> int:
    """Compare A with B: versions (late@1 late@2) or runs (r-... r-...)."""
    project, names = split(names, project)
    if len(names) != 2:
        raise UserError("diff compares two things", next="bedplate diff late@1 late@2")
    workspace = open_project(project, target)
    rows = workspace.diff(*names)
    if as_json:
        put_json(rows)
        return 0
    if not rows:
        console().print(f"{names[0]} and {names[1]} are equal")
        return 0
    drawn = table("what", names[0], names[1])
    for row in rows:
        drawn.add_row(row.what, escape(row.before), escape(row.after))
    console().print(drawn)
    return 0
