"""`bedplate sql`: DuckDB over every artifact (by name and version), run, metric, prediction and cost."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.markup import escape

from .common import console, put_json, table
from .platform import at_a_state, record
from .verb import Asked, verb


@verb("[QUERY]...")
@at_a_state
@click.option("--limit", default=50, show_default=True, help="Rows to print (0: all).")
def command(asked: Asked, state: str, store: str, limit: int) -> int:
    """Answer a QUERY; without one, list the tables that can be asked."""
    frame = record(asked, state, store).sql(" ".join(asked.names))
    if asked.as_json:
        put_json(frame.to_dicts())
        return 0
    shown = frame.head(limit) if limit else frame
    drawn = table(*(f"#{name}" if dtype.is_numeric() else name for name, dtype in frame.schema.items()))
    for row in shown.iter_rows():
        drawn.add_row(*(escape(_told(cell)) for cell in row))
    out = console()
    out.print(drawn)
    if len(shown) < len(frame):
        out.print(f"[dim]{len(frame) - len(shown)} more rows: --limit 0[/dim]")
    return 0


def _told(cell: Any) -> str:
    """A cell for people: six digits of a number, times to the second."""
    match cell:
        case None:
            return ""
        case float():
            return f"{cell:.6g}"
        case datetime():
            return cell.isoformat(" ", "seconds")
        case _:
            return str(cell)
