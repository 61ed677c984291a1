"""`bedplate diff`: two versions of an artifact, or two runs, beside each other."""

from __future__ import annotations

from rich.markup import escape

from bedplate.pipeline.compare import diff

from .common import console, put_json, table
from .platform import at_a_state, record
from .verb import Asked, verb


@verb("A B", least=2, most=2)
@at_a_state
def command(asked: Asked, state: str, store: str) -> int:
    """Compare A with B: versions (late@1 late@2) or runs (r-... r-..., or two of clients)."""
    names = asked.names
    rows = diff(record(asked, state, store).catalog, *names)
    if asked.as_json:
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
