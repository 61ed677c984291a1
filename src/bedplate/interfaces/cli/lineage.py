"""`bedplate lineage`: what a version was made from, down to the source files, and what was made from it."""

from __future__ import annotations

import msgspec
from rich.markup import escape
from rich.tree import Tree

from bedplate.catalog.lineage import Lineage
from bedplate.catalog.tracking.tracked import RunDetail
from bedplate.core.sources import Entry
from bedplate.core.units import show_bytes

from .client_run import datasets, in_a_line, said
from .common import console, put_json, told
from .platform import at_a_state, record
from .verb import Asked, verb

_FILES = 8


@verb("ARTIFACT[@VERSION]", least=1, most=1)
@at_a_state
def command(asked: Asked, state: str, store: str) -> int:
    """Show the lineage of ARTIFACT or ARTIFACT@VERSION."""
    catalog = record(asked, state, store).catalog
    lineage = catalog.lineage(asked.names[0])
    client = said(catalog, lineage.version.attempt) if lineage.version.meta.get("origin") == "client" else None
    if asked.as_json:
        put_json({**msgspec.to_builtins(lineage), "version": told(lineage.version), "client_run": client})
        return 0
    out = console()
    out.print(_of_client(lineage.version.ref, client) if client else _above(lineage, lineage.version.ref))
    if lineage.downstream:
        out.print(_below(lineage, lineage.version.ref))
    return 0


def _above(lineage: Lineage, ref: str) -> Tree:
    """What a version was made from, and so on down to files."""
    tree = Tree(f"[bold]{escape(ref)}[/bold] was made from")
    _branch(tree, lineage, ref, {ref}, [])
    return tree


def _of_client(ref: str, client: RunDetail) -> Tree:
    """The run that a client says made a version, and the data that it says it used."""
    tree = Tree(f"[bold]{escape(ref)}[/bold] was made from")
    run = tree.add(escape(in_a_line(client)))
    for dataset in datasets(client):
        run.add(escape(dataset))
    return tree


def _branch(tree: Tree, lineage: Lineage, ref: str, seen: set[str], listed: list[tuple[Entry, ...]]) -> None:
    for edge in (edge for edge in lineage.upstream if edge.downstream == ref):
        again = edge.upstream in seen
        branch = tree.add(f"{escape(edge.upstream)} [dim]as {edge.parameter}{', above' if again else ''}[/dim]")
        if not again:
            seen.add(edge.upstream)
            _branch(branch, lineage, edge.upstream, seen, listed)
    for source in (source for source in lineage.sources if source.downstream == ref):
        count = f"{len(source.entries)} file{'s' if len(source.entries) != 1 else ''}"
        files = tree.add(f"[dim]{source.parameter}:[/dim] {count}{' [dim]listed above[/dim]' if source.entries in listed else ''}")
        if source.entries in listed:
            continue
        listed.append(source.entries)
        for entry in source.entries[:_FILES]:
            files.add(f"{escape(entry.name)} [dim]{show_bytes(entry.size)}[/dim]")
        if len(source.entries) > _FILES:
            files.add(f"[dim]and {len(source.entries) - _FILES} more[/dim]")


def _below(lineage: Lineage, ref: str) -> Tree:
    tree = Tree(f"[bold]{escape(ref)}[/bold] was used for")
    for edge in lineage.downstream:
        tree.add(f"{escape(edge.downstream)} [dim]as {edge.parameter} ({escape(edge.upstream)})[/dim]")
    return tree
