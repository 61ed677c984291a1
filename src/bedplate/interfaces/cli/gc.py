"""`bedplate gc`: remove bytes that nothing refers to, and what clients deleted."""

from __future__ import annotations

from datetime import timedelta

import click

from bedplate.core.units import seconds, show_bytes
from bedplate.pipeline.owner import check_bytes

from .common import console, put_json, table
from .platform import at_a_state, workspace
from .verb import Asked, verb


@verb()
@at_a_state
@click.option("--older", default="", metavar="DURATION", help="How old what goes must be (default: the setting `keep`).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def command(asked: Asked, state: str, store: str, older: str, dry_run: bool) -> int:
    """Collect half-written and superseded bytes. What an artifact, model, run, verdict or service names always stays.

    Runs, logged models and experiments that clients of the tracking API deleted that long ago leave the record, with all that they said.
    """
    found = workspace(asked, state, store)
    if (state or store) and not dry_run:
        check_bytes(found.catalog, found.store)
    report = found.gc(timedelta(seconds=seconds(older or found.config["keep"])), dry_run=dry_run)
    if asked.as_json:
        put_json(report)
        return 0
    out = console()
    drawn = table("what", "#files", "#bytes")
    for name, freed in report.freed.items():
        drawn.add_row(name, str(freed.files), show_bytes(freed.bytes))
    out.print(drawn)
    gone = [f"{count} {name.replace('_', ' ')}" for name, count in report.forgotten.items() if count]
    if gone:
        out.print(f"deleted by clients{'' if dry_run else ', and out of the record now'}: {', '.join(gone)}")
    out.print("[dim]nothing was removed: --dry-run[/dim]" if dry_run else "what is referenced is untouched")
    return 0
