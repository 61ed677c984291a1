"""Audit: who did what, or was refused, the newest first; whether the log is whole, one asks with a button."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Value
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, on_server
from bedplate.security.chain import Entry
from bedplate.security.permissions import PERMISSIONS

from .events import in_words

_PAGE: Final = 100
_COLUMNS: Final = (
    Column("id", "Entry", "number"), Column("at", "When (UTC)", "time"), Column("actor", "Who"), Column("action", "Did", "words"),
    Column("resource", "To"), Column("outcome", "Outcome", "state"), Column("data", "With"),
)  # fmt: skip


class GetAudit(Asks, frozen=True, kw_only=True):
    """Which entries; `before` is where the next page begins."""

    actor: str = ""
    action: str = ""
    resource: str = ""
    before: int | None = None


def audit(desk: Desk, asked: GetAudit) -> Reply:
    """The page."""
    kept = {"actor": asked.actor.strip(), "action": asked.action, "resource": asked.resource.strip()}
    found = desk.catalog.audit.found(**kept, before=asked.before, most=_PAGE + 1)
    more = ""
    if len(found) > _PAGE:
        more = "?" + urlencode({**{key: value for key, value in kept.items() if value}, "before": found[_PAGE - 1].id})
    table = Table(
        name="audit", columns=_COLUMNS, rows=[_row(one) for one in found[:_PAGE]], more=more,
        empty="No entry is like that." if any(kept.values()) else "Nothing was done yet.",
    )  # fmt: skip
    return page(desk, "audit.html", title="Audit", at="events", tables=(table,), asked=asked, actions=sorted(PERMISSIONS))


def _row(entry: Entry) -> tuple[Value, ...]:
    did = PERMISSIONS.get(entry.action)
    outcome = State(entry.outcome, "good" if entry.outcome == "done" else "bad")
    return (
        entry.id,
        entry.at,
        entry.actor,
        entry.action if did is None else f"{entry.action}: {did.what}",
        _about(entry.resource),
        outcome,
        _said(entry.data),
    )


def _about(resource: str) -> Value:
    """What was done something to, as a link where it has a page."""
    kind, _, name = resource.partition(":")
    if kind == "model" and name:
        return Link(resource, path_of("models", name))
    return Link(resource, "/runs?" + urlencode({"experiment": name})) if kind == "experiment" and name else resource


def _said(data: str) -> str:
    """What an entry says besides, as words; that busy writes have one entry for a minute, the page says."""
    try:
        told = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return data
    return in_words({key: value for key, value in told.items() if key != "more"})


ENDPOINTS: Final = (Endpoint("GET", "/audit", GetAudit, "audit.read", on_server, audit),)
