"""`bedplate run SERVICE --over TABLE`: the answers of a service to every row of a table."""

from __future__ import annotations

from rich.console import Console

from bedplate.core.errors import UserError
from bedplate.stages.deploy.over import Scored, Scoring

from .common import console, put_json, told
from .verb import Asked


def over(asked: Asked, table: str, shard_rows: int) -> int:
    """Score, and say what came of it; the exit code. Raises UserError for words that make no sense together."""
    if len(asked.names) != 1:
        raise UserError("--over is about one service", next=f"bedplate run SERVICE --over {table}")
    if shard_rows < 1:
        raise UserError(f"--shard-rows {shard_rows} is no number of rows", next="--shard-rows 100000")
    scoring = Scoring(asked.open(), asked.names[0], table, shard_rows=shard_rows)
    out = console()

    def say(done: int, count: int) -> None:
        if not asked.as_json and count > 1:
            out.print(f"   {done} of {count} shards", end="\r" if out.is_terminal and done < count else "\n")

    found = scoring.run(say)
    if asked.as_json:
        put_json({"version": told(found.version), "rows": found.rows, "refused": found.refused, "shards": found.shards, "kept": found.kept})
    else:
        _draw(out, found)
    return 0


def _draw(out: Console, found: Scored) -> None:
    if not found.shards and not found.kept:
        out.print(f"[bold]{found.version.ref}[/bold] has these answers already: the same rows, artifacts and code")
        return
    before = f", {found.kept} of its {found.kept + found.shards} shards were there" if found.kept else ""
    out.print(f"[bold]{found.version.ref}[/bold] ({found.rows:,} rows){before}")
    if found.refused:
        query = f"select error, count(*) from {found.version.artifact} where error is not null group by error"
        out.print(f'[yellow]{found.refused:,} rows were refused[/yellow]: bedplate sql "{query}"', soft_wrap=True)
