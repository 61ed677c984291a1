"""`bedplate size list`: the rows that sizings rest on, so that a name can be found and a figure be doubted."""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape

from bedplate.assembly import knowledge
from bedplate.core.units import show_count
from bedplate.planner.facts.listing import COLUMNS, cell, listing
from bedplate.planner.facts.systems import Row

from .common import console, put_json, table
from .size_ask import SETTINGS

COUNTS = ("params", "active_params")


@click.command("list")
@click.argument("kind", type=click.Choice(list(COLUMNS)))
@click.argument("word", default="")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs: every field of every row.")
def command(kind: str, word: str, as_json: bool) -> int:
    """List what is known of a kind, all of it or what holds WORD."""
    given: dict[str, Any] = click.get_current_context().find_root().meta.get(SETTINGS, {})
    rows = listing(kind, knowledge(given.get("systems")), word)
    if as_json or given.get("as_json"):
        put_json(rows)
    elif rows:
        draw(kind, rows)
    else:
        console().print(f"no row of {kind} holds '{escape(word)}'")
    return 0


def draw(kind: str, rows: tuple[Row, ...]) -> None:
    """A line for each row: its columns, then where it is from."""
    numbers = {column for column in COLUMNS[kind] if not any(isinstance(cell(row, column), str) for row in rows)}
    heads = [("#" if column in numbers else "") + column.replace("_", " ") for column in COLUMNS[kind]]
    drawn = table("name", *heads, "source", "as of", "")
    for row in rows:
        cells = [_shown(column, cell(row, column)) for column in COLUMNS[kind]]
        drawn.add_row(escape(row.name), *cells, escape(row.source), escape(row.as_of), "" if row.verified else "unverified")
    console().print(drawn)


def _shown(column: str, value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return escape(value)
    return show_count(value) if column in COUNTS else f"{value:,.6g}"
