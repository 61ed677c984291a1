"""`bedplate labels`: bring the truth about what was predicted."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from bedplate.stages.deploy.recorder import EVERY_S
from bedplate.stages.monitor.bring import Brought

from .common import console, put_json
from .verb import Asked, verb

_SOON = f"a running server writes its predictions within {2 * EVERY_S:.0f} s, and labels wait for theirs"


@verb("[SERVICE]", most=1)
@click.argument("file", type=click.Path(path_type=Path))
def command(asked: Asked, file: Path) -> int:
    """Read FILE (CSV, Parquet or JSON lines) and add its labels to those of SERVICE.

    FILE has a column `label` and a column `prediction_id` or `request_id`. The same file may come twice; of several labels for one
    prediction the latest counts.
    """
    found = asked.open().labels(file, *asked.names)
    if asked.as_json:
        put_json(found)
    else:
        _print(found, file.name)
    return 0


def _print(found: Brought, file: str) -> None:
    out, counts = console(), found.counts
    out.print(f"[bold]{found.service}[/bold]  {counts.given:,} row{'s' if counts.given != 1 else ''} in {escape(file)}")
    lines = [
        (found.matched, "belong to what was served"),
        (counts.unmatched, "name no prediction that is known (they wait for it)"),
        (counts.duplicates, "were replaced by a later row"),
        (counts.empty, "say nothing: no label, or no id"),
    ]
    for number, what in lines:
        if number or what == lines[0][1]:
            out.print(f"  {number:>9,}  {what}")
    out.print(f"new labels: {found.added:,}; known already: {found.known:,}")
    if not found.predictions:
        out.print(f"{found.service} has no prediction on record yet: {_SOON}; next: bedplate serve")
        return
    share = found.labelled / found.predictions
    out.print(f"{found.labelled:,} of {found.predictions:,} predictions have a label now ({share:.1%}).")
    if found.matched:
        out.print(f"next: [bold]bedplate watch {found.service}[/bold]")
    else:
        out.print(
            f"[yellow]none of them belongs to a prediction on record[/yellow]: {_SOON}. If it has, are the ids those it answered with?"
        )
