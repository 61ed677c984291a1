"""`bedplate cache`: what is kept as Arrow files to be read again quickly, and what stays."""

from __future__ import annotations

import click
from rich.markup import escape

from bedplate.assembly import open_cache
from bedplate.core.digests import short
from bedplate.core.errors import UserError
from bedplate.core.units import show_bytes
from bedplate.storage.cache import Cache

from .common import console, put_json, table
from .verb import Asked, verb


@verb("[ARTIFACT]", most=1)
@click.option("--pin", is_flag=True, help="Keep ARTIFACT's copies whatever the cap says.")
@click.option("--unpin", is_flag=True, help="Let ARTIFACT's copies go when the cap is reached.")
@click.option("--check", is_flag=True, help="Read every copy; drop those that are not what was written.")
@click.option("--clear", is_flag=True, help="Drop every copy. Nothing is lost: they are made again.")
def command(asked: Asked, pin: bool, unpin: bool, check: bool, clear: bool) -> int:
    """Show the cache tier: its copies, how often they were there, what is pinned."""
    workspace = asked.look()
    cache = open_cache(workspace.config)
    if cache is None:
        raise UserError("this target has no cache", why="the setting cache is 0 B", next='write cache = "10 GB" in bedplate.toml')
    if sum((pin or unpin, check, clear)) > 1 or (pin and unpin):
        raise UserError("one thing at a time", next="bedplate cache --help")
    if (pin or unpin) != bool(asked.names):
        raise UserError("an artifact is pinned or unpinned by name", next="bedplate cache ARTIFACT --pin")
    if asked.names:
        workspace.show(asked.names[0])
        cache.pin(asked.names[0], keeps=pin)
    bad = cache.check() if check else []
    gone = cache.clear() if clear else 0
    if asked.as_json:
        put_json({"cache": cache.report(), "dropped": bad, "cleared_bytes": gone})
        return 0
    _show(cache)
    out = console()
    for copy in bad:
        out.print(f"[yellow]dropped[/yellow] a copy of {escape(copy.artifact)}: its bytes were not what was written")
    if check and not bad:
        out.print("every copy is what was written")
    if clear:
        out.print(f"{show_bytes(gone)} went; they are made again when they are read")
    return 0


def _show(cache: Cache) -> None:
    report, out = cache.report(), console()
    rate = report.counts.rate
    often = "not read yet" if rate is None else f"there {rate:.0%} of {report.counts.hits + report.counts.misses:,} times"
    out.print(f"[bold]{show_bytes(report.bytes)}[/bold] of {show_bytes(report.most_bytes)} in {len(report.copies)} copies, {often}")
    drawn = table("artifact", "version's digest", "#size", "")
    for copy in report.copies:
        drawn.add_row(escape(copy.artifact), short(copy.digest), show_bytes(copy.size), "pinned" if copy.artifact in report.pinned else "")
    if report.copies:
        out.print(drawn)
