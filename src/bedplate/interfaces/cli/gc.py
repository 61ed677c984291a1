"""`bedplate gc`: remove bytes that nothing refers to."""

from __future__ import annotations

from datetime import timedelta

import click
import msgspec

from bedplate.core.units import seconds, show_bytes

from .common import console, put_json, table
from .verb import Asked, verb


@verb()
@click.option("--older", default="", metavar="DURATION", help="How old unreferenced bytes must be (default: the setting `keep`).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def command(asked: Asked, older: str, dry_run: bool) -> int:
    """Collect half-written and superseded bytes. What an artifact, model, run, verdict or service names always stays."""
    workspace = asked.open()
    report = workspace.gc(timedelta(seconds=seconds(older or workspace.config["keep"])), dry_run=dry_run)
    if asked.as_json:
        put_json(report)
        return 0
    out = console()
    drawn = table("what", "#files", "#bytes")
    for name, count in msgspec.to_builtins(report).items():
        if isinstance(count, dict):
            drawn.add_row(name, str(count.get("files", 0)), show_bytes(count.get("size_bytes", 0)))
    out.print(drawn)
    out.print("[dim]nothing was removed: --dry-run[/dim]" if dry_run else "what is referenced is untouched")
    return 0
