"""`bedplate lint`: every mistake in the project file, and what each parameter is."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from bedplate.assembly import unknown_model
from bedplate.core.errors import ProjectError
from bedplate.pipeline.code.load import find_project, load_project
from bedplate.pipeline.wiring.graph import wired
from bedplate.pipeline.wiring.lint import classes, unheard, unnamed

from .common import console, put_json, table
from .paths import near
from .verb import Asked, verb


@verb()
def command(asked: Asked) -> int:
    """Check the project file and print the class of each parameter. Exit code 3 where there are mistakes."""
    loaded = load_project(find_project(Path.cwd(), asked.project))
    graph, mistakes = wired(loaded.project)

    def given(model: str) -> dict[str, int]:
        return asked.record().catalog.models.aliases(model)  # opened only where an alias is in doubt: lint needs no record otherwise

    if graph is not None:
        mistakes += unnamed(graph, given) + unheard(graph, lambda model: unknown_model(model, loaded.file.parent))
    rows = classes(graph) if graph is not None else ()
    if asked.as_json:
        put_json({"mistakes": mistakes, "parameters": rows})
        return ProjectError.exit_code if graph is None else 0
    out = console()
    for mistake in mistakes:
        style = "bold red" if mistake.severity == "error" else "yellow"
        place = f"{near(mistake.file)}:{mistake.line}"
        out.print(f"[{style}]{mistake.severity}[/{style}] {escape(place)}: {escape(mistake.message)}", soft_wrap=True)
        if mistake.suggestion:
            out.print(f"  next: {escape(mistake.suggestion)}", soft_wrap=True)
    if rows:
        drawn = table("function", "parameter", "is a", "of type", "default")
        for before, row in zip((None, *rows), rows, strict=False):
            name = "" if before is not None and before.node == row.node else row.node
            drawn.add_row(name, row.parameter, f"{row.role} {row.source}".strip(), escape(row.type), escape(row.default))
        out.print(drawn)
    if not mistakes and graph is not None:
        out.print(f"\n[green]no mistakes[/green] in {len(graph.nodes)} functions")
    return ProjectError.exit_code if graph is None else 0
