"""`bedplate rerun`: run a past attempt again, and compare what it makes with what it made."""

from __future__ import annotations

import click
import msgspec

from bedplate.assembly import open_project

from .common import console, project_options, put_line, split
from .following import follower


@click.command()
@click.argument("names", nargs=-1, required=True)
@project_options
def command(names: tuple[str, ...], project: str | None, target: str, as_json: bool) -> int:
    """Run the attempt or version with this ID again on the same inputs. Exit code 6 where the result differs."""
    project, names = split(names, project)
    workspace = open_project(project, target)
    with follower(as_json) as follow:
        compared = workspace.rerun(names[0], follow)
    if as_json:
        put_line({"kind": "rerun.summary", "equal": compared.equal, **msgspec.to_builtins(compared)})
    else:
        out = console()
        for note in compared.notes:
            out.print(f" [yellow]![/yellow] {note}")
        for one in compared.outputs:
            verdict = "[green]equal, bit by bit[/green]" if one.before == one.after else "[red]differs[/red]"
            out.print(f"{one.artifact}: {verdict}\n  before {one.before}\n  now    {one.after}")
    return 0 if compared.equal else 6
