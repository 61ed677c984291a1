"""`bedplate lint`: every mistake in the project file, and what each parameter is."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from bedplate.core.errors import ProjectError
from bedplate.pipeline.graph import wired
from bedplate.pipeline.lint import classes
from bedplate.pipeline.load import find_project, load_project

from .common import console, project_options, put_json, split, table


@click.command()
@click.argument("names", nargs=-1)
@project_options
def command(names: tuple[str, ...], project: str | None, target: str, as_json: bool) -> int:
    """Check the project file and print the class of each parameter. Exit code 3 where there are mistakes."""
    project, _ = split(names, project)
    loaded = load_project(find_project(Path.cwd(), project))
    graph, mistakes = wired(loaded.project)
    rows = classes(graph) if graph is not None else ()
    if as_json:
        put_json({"mistakes": mistakes, "parameters": rows})
        return ProjectError.exit_code if graph is None else 0
    out = console()
    for mistake in mistakes:
        style = "bold red" if mistake.severity == "error" else "yellow"
        out.print(f"[{style}]{mistake.severity}[/{style}] {mistake.file}:{mistake.line}: {escape(mistake.message)}", soft_wrap=True)
        if mistake.suggestion:
            out.print(f"  next: {escape(mistake.suggestion)}", soft_wrap=True)
    if rows:
        drawn = table("function", "parameter", "is a", "of type", "default")
        for row in rows:
            drawn.add_row(row.node, row.parameter, f"{row.role} {row.source}".strip(), escape(row.type), escape(row.default))
        out.print(drawn)
    return ProjectError.exit_code if graph is None else 0
