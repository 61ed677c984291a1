"""Events: what happened on this record, the newest first, found by kind, subject and time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from bedplate.catalog.events import Wanted
from bedplate.catalog.tracking.runs import CLIENT_FAILED
from bedplate.core.clock import iso
from bedplate.core.records import Event
from bedplate.interfaces.http.console.about import seen_project
from bedplate.interfaces.http.console.frame import page, path_of, short
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Tone, Value
from bedplate.interfaces.http.door.endpoint import SERVER, Asks, Desk, Endpoint, Reply, Resource, invalid, on_server

_PAGE: Final = 100
_LONGEST: Final = 300
_COLUMNS: Final = (Column("at", "When (UTC)", "time"), Column("kind", "What", "state"), Column("subject", "About"), Column("data", "More"))
_TONES: Final[tuple[tuple[str, Tone], ...]] = (
    ("fail", "bad"), ("lost", "bad"), ("miss", "bad"), ("drift", "warn"), ("stopped", "warn"), ("cancel", "warn"), ("barred", "warn"),
    ("rolled_back", "warn"), ("promot", "good"), ("done", "good"), ("finished", "good"), ("start", "now"),
)  # fmt: skip
_VERSION: Final = re.compile(r"([^@/]{1,200})@(\d{1,18})\Z")
_MODEL: Final = "model."
"""How kinds of events about a registered model begin: those are for who may see that model."""
_RUN: Final = re.compile(r"[ra]-[0-9a-z]+-[0-9a-z]+\Z")


class GetEvents(Asks, frozen=True, kw_only=True):
    """Which events; `since` and `until` are times in UTC as a browser's field writes them, `before` is where the next page begins."""

    kind: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""
    before: str = ""


def events(desk: Desk, asked: GetEvents) -> Reply:
    """The page: of the project's record, for who may see the project."""
    sees = desk.actor.is_admin or seen_project(desk) is not None
    wrong: list[str] = []
    wanted = Wanted(
        kind=asked.kind, subject=asked.subject.strip(), since=_time("from", asked.since, wrong), until=_time("to", asked.until, wrong),
    )  # fmt: skip
    found = desk.catalog.events.page(wanted, _place(asked.before), _PAGE + 1) if sees and not wrong else []
    more = ""
    if len(found) > _PAGE:
        number, last = found[_PAGE - 1]
        kept = {"kind": asked.kind, "subject": asked.subject, "since": asked.since, "until": asked.until}
        more = "?" + urlencode({**{key: value for key, value in kept.items() if value}, "before": f"{iso(last.at)}|{number}"})
    is_narrow = any((asked.kind, asked.subject, asked.since, asked.until))
    empty = "No event is like that." if is_narrow else "Nothing happened yet." if sees else "You may see the events of no project."
    rows = [_row(event) for _, event in found[:_PAGE] if is_for(desk.may, event)]
    table = Table(
        name="events", columns=_COLUMNS, rows=rows, more=more, empty=empty,
        command="" if is_narrow or not sees else "bedplate run",
    )  # fmt: skip
    return page(
        desk, "events.html", title="Events", at="events", tables=(table,), asked=asked, wrong=wrong,
        kinds=desk.catalog.events.kinds() if sees else [], may_audit=desk.may("audit.read", SERVER),
    )  # fmt: skip


def about(subject: str, kind: str = "") -> Value:
    """What something is about, as a link where it has a page."""
    if kind.startswith(_MODEL):
        name, _, number = subject.rpartition("@")
        return Link(subject, path_of("models", name, number))
    if _RUN.match(subject) or kind == CLIENT_FAILED:
        return Link(subject, path_of("runs", subject))
    version = _VERSION.match(subject)
    if version is not None:
        return Link(subject, path_of("artifacts", version[1], version[2]))
    if kind == "service.swapped":
        return Link(subject, "/serving")
    if kind.startswith("check.") and subject:
        return Link(subject, path_of("artifacts", subject))
    return Link(subject, path_of("serving", subject)) if kind.startswith("drift") and subject else subject


def in_words(data: Mapping[str, Any]) -> str:
    """What else an event or an entry says, as one line."""
    return short("; ".join(f"{key} {_word(value)}" for key, value in data.items() if value not in ("", None, [], {})), _LONGEST)


def _word(value: Any, deep: int = 0) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} {_word(one, deep + 1)}" for key, one in list(value.items())[:12]) if deep < 3 else "..."
        return f"({inner})"
    if isinstance(value, list):
        return ", ".join(_word(one, deep + 1) for one in value[:12]) if deep < 3 else "..."
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:_LONGEST]


def is_for(may: Callable[[str, Resource], bool], event: Event) -> bool:
    """Whether an event of the record is for an actor who may see the project: those of a model or a client's run are for who may see it."""
    if event.kind == CLIENT_FAILED:
        return may("run.read", Resource("experiment", str(event.data.get("experiment", ""))))
    return not event.kind.startswith(_MODEL) or may("model.read", Resource("model", event.subject.rpartition("@")[0]))


def _row(event: Event) -> tuple[Value, ...]:
    tone: Tone = next((tone for part, tone in _TONES if part in event.kind), "off")
    more = {key: value for key, value in event.data.items() if value != event.subject}
    return event.at, State(event.kind, tone), about(event.subject, event.kind), in_words(more)


def _time(field: str, given: str, wrong: list[str]) -> str:
    """A time as the record has it; what is none is told."""
    if not given:
        return ""
    try:
        at = datetime.fromisoformat(given)
        return iso(at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC))
    except (ValueError, OverflowError):
        wrong.append(f"'{short(given, 40)}' in '{field}' is no time: write 2026-01-31T12:00")
        return ""


def _place(before: str) -> tuple[str, int] | None:
    """Where a page begins. Raises Fault for what no page gave."""
    if not before:
        return None
    at, _, number = before.rpartition("|")
    if not number.isdecimal() or len(number) > 18 or len(at) > 40:
        raise invalid("Invalid value for parameter 'before': take the address of the next page as it is")
    return at, int(number)


ENDPOINTS: Final = (Endpoint("GET", "/events", GetEvents, "experiment.list", on_server, events),)
