"""Lineage: where something came from and what was made of it, click by click, as a drawing and as a table."""

from __future__ import annotations

from typing import Final

from bedplate.catalog.listing import Question
from bedplate.interfaces.http.console.frame import page
from bedplate.interfaces.http.console.stored.artifact_facts import own
from bedplate.interfaces.http.console.stored.lineage_graph import drawn, here
from bedplate.interfaces.http.console.tables import Column, Link, Table
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, missing, on_server

_STEPS: Final = 12
_HEADS: Final = 100


class GetLineage(Asks, frozen=True, kw_only=True):
    """Of what, and how many steps up and down."""

    of: str = ""
    up: int = 4
    down: int = 2


def lineage(desk: Desk, asked: GetLineage) -> Reply:
    """The page; without anything chosen, what may be; for who may not see the project, and where there is none, what to do about it."""
    if not own(desk):
        if asked.of:
            raise missing("there is no project here that you may see")
        return page(desk, "nothing.html", title="Lineage", at="artifacts", has_project=desk.beside is not None)
    if not asked.of:
        newest, _ = desk.catalog.listing.page(Question(order="made", own=own(desk), limit=_HEADS))
        refs = [f"{one.name}@{one.number}" for one in newest]
        rows = [(Link(ref, here(ref)), one.kind, one.created_at) for ref, one in zip(refs, newest, strict=True)]
        columns = (Column("version", "Version"), Column("kind", "Kind"), Column("made", "Made (UTC)", "time"))
        table = Table(name="heads", columns=columns, rows=rows, empty="Nothing was made yet.", command="bedplate run")
        return page(desk, "lineage_of.html", title="Lineage", at="artifacts", tables=(table,))
    up, down = (min(max(steps, 0), _STEPS) for steps in (asked.up, asked.down))
    found = drawn(desk, asked.of, up, down)
    return page(
        desk, "lineage.html", title=f"Lineage of {found.title}", at="artifacts", tables=(found.table,), graph=found.graph, of=asked.of,
        up=up, down=down, steps=_STEPS, left_out=found.left_out, page_at=found.page, page_of=found.page_of,
    )  # fmt: skip


ENDPOINTS: Final = (Endpoint("GET", "/lineage", GetLineage, "experiment.list", on_server, lineage),)
