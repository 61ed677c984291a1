"""`bedplate promote` and `bedplate rollback`: a person moves an alias."""

from __future__ import annotations

import click

from bedplate.core.records import Promotion

from .common import console, put_json
from .platform import at_a_state, workspace
from .verb import Asked, verb


@verb("MODEL@VERSION", least=1, most=1)
@at_a_state
@click.option("--alias", default="production", show_default=True, help="The alias to give.")
@click.option("--reason", default="", help="Why, for the record.")
def command(asked: Asked, state: str, store: str, alias: str, reason: str) -> int:
    """Give MODEL@VERSION an alias, whatever its checks said; it frees a version that was rolled back from."""
    moved = workspace(asked, state, store).promote(asked.names[0], alias, reason)
    return _said(moved, asked.as_json)


@verb("MODEL[@ALIAS]", least=1, most=1)
@at_a_state
@click.option("--alias", default="production", show_default=True, help="The alias to move.")
@click.option("--reason", default="", help="Why, for the record.")
def rollback(asked: Asked, state: str, store: str, alias: str, reason: str) -> int:
    """Take MODEL's alias back to the version before, and bar the one left from promotion by a check."""
    moved = workspace(asked, state, store).rollback(asked.names[0], alias, reason)
    return _said(moved, asked.as_json)


def _said(moved: Promotion, as_json: bool) -> int:
    if as_json:
        put_json(moved)
        return 0
    if moved.before == moved.version:
        console().print(f"[bold]{moved.model}@{moved.version}[/bold] is {moved.alias} already")
        return 0
    before = f" (before: {moved.model}@{moved.before})" if moved.before is not None else ""
    console().print(f"[bold]{moved.model}@{moved.version}[/bold] is now {moved.alias}{before}")
    if moved.by == "rollback":
        left = f"{moved.model}@{moved.before}"
        console().print(f"{left} is barred: no check promotes it again; [bold]bedplate promote {left}[/bold] frees it", soft_wrap=True)
    return 0
