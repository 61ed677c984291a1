"""`bedplate promote` and `bedplate rollback`: a person moves an alias."""

from __future__ import annotations

import getpass

import click

from bedplate.assembly import open_project
from bedplate.core.errors import UserError
from bedplate.core.records import Promotion

from .common import console, project_options, put_json, split


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--alias", default="production", show_default=True, help="The alias to give.")
@click.option("--reason", default="", help="Why, for the record.")
@project_options
def command(names: tuple[str, ...], alias: str, reason: str, project: str | None, target: str, as_json: bool) -> int:
    """Give MODEL@VERSION an alias, whatever its checks said; it frees a version that was rolled back from."""
    project, names = split(names, project)
    workspace = open_project(project, target)
    version = workspace.catalog.artifacts.get(names[0])
    if version.kind != "model":
        raise UserError(f"{version.ref} is a {version.kind}, not a model", next="bedplate status")
    moved = workspace.catalog.models.promote(
        Promotion(
            model=version.artifact, alias=alias, version=version.number, by="person", reason=reason or f"by {getpass.getuser()}",
            at=workspace.clock.now(),
        )
    )  # fmt: skip
    return _said(moved, as_json)


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--alias", default="production", show_default=True, help="The alias to move.")
@click.option("--reason", default="", help="Why, for the record.")
@project_options
def rollback(names: tuple[str, ...], alias: str, reason: str, project: str | None, target: str, as_json: bool) -> int:
    """Take MODEL's alias back to the version before, and bar the one left from promotion by a check."""
    project, names = split(names, project)
    workspace = open_project(project, target)
    model, at, given = names[0].partition("@")
    workspace.graph.node(model)
    moved = workspace.catalog.models.rollback(model, given if at else alias, workspace.clock.now(), reason)
    return _said(moved, as_json)


def _said(moved: Promotion, as_json: bool) -> int:
    if as_json:
        put_json(moved)
        return 0
    before = f" (before: {moved.model}@{moved.before})" if moved.before is not None else ""
    console().print(f"[bold]{moved.model}@{moved.version}[/bold] is now {moved.alias}{before}")
    return 0
