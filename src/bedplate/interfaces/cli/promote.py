"""`bedplate promote` and `bedplate rollback`: a person moves an alias."""

from __future__ import annotations

import getpass
import os

import click

from bedplate.core.errors import UserError
from bedplate.core.records import Promotion

from .common import console, put_json
from .verb import Asked, verb


@verb("MODEL@VERSION", least=1, most=1)
@click.option("--alias", default="production", show_default=True, help="The alias to give.")
@click.option("--reason", default="", help="Why, for the record.")
def command(asked: Asked, alias: str, reason: str) -> int:
    """Give MODEL@VERSION an alias, whatever its checks said; it frees a version that was rolled back from."""
    workspace = asked.open()
    version = workspace.catalog.artifacts.get(asked.names[0])
    if version.kind != "model":
        raise UserError(f"{version.ref} is a {version.kind}, not a model", next="bedplate status")
    if "@" not in asked.names[0]:
        newest = workspace.catalog.artifacts.versions(version.artifact)
        named = {number: alias for alias, number in workspace.catalog.models.aliases(version.artifact).items()}
        there = ", ".join(f"{one.ref} ({named[one.number]})" if one.number in named else one.ref for one in newest)
        raise UserError(f"which version of {version.artifact}?", why=f"there are {there}", next=f"bedplate promote {version.ref}")
    moved = workspace.catalog.models.promote(
        Promotion(
            model=version.artifact, alias=alias, version=version.number, by="person", reason=reason or _who(), at=workspace.clock.now()
        )
    )
    return _said(moved, asked.as_json)


@verb("MODEL[@ALIAS]", least=1, most=1)
@click.option("--alias", default="production", show_default=True, help="The alias to move.")
@click.option("--reason", default="", help="Why, for the record.")
def rollback(asked: Asked, alias: str, reason: str) -> int:
    """Take MODEL's alias back to the version before, and bar the one left from promotion by a check."""
    workspace = asked.open()
    model, at, given = asked.names[0].partition("@")
    workspace.graph.node(model)
    moved = workspace.catalog.models.rollback(model, given if at else alias, workspace.clock.now(), reason or _who())
    return _said(moved, asked.as_json)


def _who() -> str:
    try:
        return f"by {getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"by user {os.getuid()}"


def _said(moved: Promotion, as_json: bool) -> int:
    if as_json:
        put_json(moved)
        return 0
    if moved.before == moved.version:
        console().print(f"[bold]{moved.model}@{moved.version}[/bold] is {moved.alias} already")
        return 0
    before = f" (before: {moved.model}@{moved.before})" if moved.before is not None else ""
    console().print(f"[bold]{moved.model}@{moved.version}[/bold] is now {moved.alias}{before}")
    return 0
