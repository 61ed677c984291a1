"""`bedplate sql`: DuckDB over every artifact (by name and version), run, metric, prediction and cost."""

from __future__ import annotations

import click
from rich.markup import escape

from bedplate.assembly import open_project

from .common import console, project_options, put_json, split, table


@click.command()
@click.argument("query", nargs=-1)
@click.option("--limit", default=50, show_default=True, help="Rows to print (0: all).")
@project_options
def command(query: tuple[str, ...], limit: int, project: str | None, target: str, as_json: bool) -> int:
    """Answer a QUERY; without one, list the tables that can be asked."""
    project, words = split(query, project)
    workspace = open_project(project, target)
    frame = workspace.sql(" ".join(words))
    if as_json:
        put_json(frame.to_dicts())
        return 0
    shown = frame.head(limit) if limit else frame
    drawn = table(*(f"#{name}" if dtype.is_numeric() else name for name, dtype in frame.schema.items()))
    for row in shown.iter_rows():
        drawn.add_row(*("" if cell is None else f"{cell:.6g}" if isinstance(cell, float) else escape(str(cell)) for cell in row))
    out = console()
    out.print(drawn)
    if len(shown) < len(frame):
        out.print(f"[dim]{len(frame) - len(shown)} more rows: --limit 0[/dim]")
    return 0
