"""Two versions of an artifact beside each other: why there is another, facts, columns; and rows, once the page is there."""

from __future__ import annotations

from typing import Final

import msgspec

from bedplate.core.digests import short
from bedplate.core.errors import BedplateError
from bedplate.core.records import Version
from bedplate.core.units import show_bytes
from bedplate.interfaces.http.console.about import on_project
from bedplate.interfaces.http.console.frame import page, path_of, when
from bedplate.interfaces.http.console.stored.artifact_facts import plain, version_of
from bedplate.interfaces.http.console.tables import Column, State, Table, Value
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, invalid
from bedplate.pipeline.commit import check_of
from bedplate.pipeline.compare import notes, step_of
from bedplate.storage import table_look
from bedplate.storage.table_look import RowDiff

_LONGEST: Final = 2_000
_KEYS: Final = 4


class GetDiff(Asks, frozen=True, kw_only=True):
    """Two versions by number (or alias, or digest), and the columns that name a row, with commas between."""

    name: str
    before: str = msgspec.field(name="from", default="")
    after: str = msgspec.field(name="to", default="")
    key: str = ""


def difference(desk: Desk, asked: GetDiff) -> Reply:
    """The page."""
    old, new = _pair(desk, asked)
    because = notes(desk.catalog, step_of(desk.catalog, new.attempt), step_of(desk.catalog, old.attempt))
    base = path_of("artifacts", new.artifact, "diff", "rows")
    return page(
        desk,
        "difference.html",
        title=f"{new.artifact}: what changed",
        at="artifacts",
        tables=(_facts(old, new), _columns(old, new), *([_findings(old, new)] if new.kind == "check" else [])),
        old=old,
        new=new,
        because=because,
        has_rows=old.kind == new.kind == "table",
        equal=old.digest == new.digest,
        rows_at=f"{base}?from={old.number}&to={new.number}",
        keys=[one.name for one in new.columns][:200],
        key=asked.key,
        newest=desk.catalog.listing.versions(new.artifact, 1)[0].number,
        values=_values(old, new),
    )


def difference_of_rows(desk: Desk, asked: GetDiff) -> Reply:
    """How their rows differ, as a part of the page."""
    old, new = _pair(desk, asked)
    key = tuple(word.strip() for word in asked.key.split(",") if word.strip())[:_KEYS]
    try:
        lost = [one.ref for one in (old, new) if desk.store.missing(one)]
        if lost:
            said = f"the bytes of {' and '.join(lost)} are collected or gone: rows cannot be compared"
            return page(desk, "look_gone.html", title="Rows", at="", said=said, lost=())
        found = table_look.compare(desk.store, old, new, key)
    except BedplateError as error:
        return page(desk, "look_gone.html", title="Rows", at="", said=str(error), lost=())
    tables = (_changes(found), _rows("added", found, found.added_rows), _rows("removed", found, found.removed_rows))
    base = path_of("artifacts", new.artifact, "diff", "rows")
    return page(
        desk,
        "difference_rows.html",
        title=f"{new.artifact}-{old.number}-{new.number}",
        at="",
        tables=tables,
        found=found,
        old=old,
        new=new,
        address=f"{base}?from={old.number}&to={new.number}&",
    )


def _pair(desk: Desk, asked: GetDiff) -> tuple[Version, Version]:
    """Both versions. Raises Fault for one that is not there."""
    if not (asked.before and asked.after):
        raise invalid("'from' and 'to' are two versions of it, as ?from=1&to=2")
    return version_of(desk, f"{asked.name}@{asked.before}"), version_of(desk, f"{asked.name}@{asked.after}")


def _facts(old: Version, new: Version) -> Table:
    """Facts of both, with the difference where it is a number."""
    columns = (Column("what", "What"), Column("before", old.ref), Column("after", new.ref), Column("difference", "Difference"))
    rows: list[tuple[Value, ...]] = [
        ("Made (UTC)", when(old.created_at)[:19].replace("T", " "), when(new.created_at)[:19].replace("T", " "), None),
        ("Digest", short(old.digest), short(new.digest), "equal" if old.digest == new.digest else "another"),
        ("Size", show_bytes(old.size_bytes), show_bytes(new.size_bytes), f"{new.size_bytes - old.size_bytes:+,} bytes"),
    ]
    if old.rows is not None and new.rows is not None:
        rows.append(("Rows", old.rows, new.rows, f"{new.rows - old.rows:+,}"))
    if old.kind != new.kind:
        rows.append(("Kind", old.kind, new.kind, "another"))
    return Table(name="facts", columns=columns, rows=rows)


def _columns(old: Version, new: Version) -> Table:
    """Columns that came, went or have another type; of a model, those that it takes and gives."""
    before, after = ({(one.name, one.role): one.type for one in side.columns} for side in (old, new))
    columns = (
        Column("state", "It is", "state"),
        Column("column", "Column", "code"),
        Column("before", "Type before"),
        Column("after", "Type after"),
    )
    rows: list[tuple[Value, ...]] = []
    for key in dict.fromkeys([*before, *after]):
        was, now = before.get(key), after.get(key)
        if was != now:
            state = State("new", "good") if was is None else State("gone", "bad") if now is None else State("changed", "warn")
            rows.append((state, key[0], was, now))
    return Table(name="columns", columns=columns, rows=rows, empty="Both have the same columns in the same types.")


def _findings(old: Version, new: Version) -> Table:
    """What two checks found, figure by figure."""
    columns = (
        Column("figure", "Figure"),
        Column("before", old.ref, "number"),
        Column("after", new.ref, "number"),
        Column("verdict", "Now", "state"),
    )
    was, now = check_of(old), check_of(new)
    before = {one.label: one.value for one in was.findings} if was else {}
    rows: list[tuple[Value, ...]] = [
        (one.label, before.get(one.label), one.value, State("pass", "good") if one.passed else State("fail", "bad"))
        for one in (now.findings if now else ())
    ]
    return Table(name="findings", columns=columns, rows=rows, empty="It found nothing.")


def _values(old: Version, new: Version) -> tuple[str, str] | None:
    """Both values, cut, where they are scalars of the record."""
    if old.kind != "scalar" or new.kind != "scalar" or old.value is None or new.value is None:
        return None
    return old.value[:_LONGEST], new.value[:_LONGEST]


def _changes(found: RowDiff) -> Table:
    """Some of the cells that changed."""
    columns = (
        Column("row", ", ".join(found.key) or "row", "code"),
        Column("column", "Column", "code"),
        Column("before", "Before"),
        Column("after", "After"),
    )
    rows = [(one.key, one.column, plain(one.before), plain(one.after)) for one in found.changes]
    return Table(name="changes", columns=columns, rows=rows, empty="No row has other values under the same key.")


def _rows(name: str, found: RowDiff, rows: tuple[tuple[table_look.Cell, ...], ...]) -> Table:
    columns = tuple(Column(label, label) for label in found.compared)
    return Table(name=name, columns=columns, rows=[tuple(plain(cell) for cell in row) for row in rows], empty=f"No row was {name}.")


ENDPOINTS: Final = (
    Endpoint("GET", "/artifacts/{name}/diff", GetDiff, "artifact.read", on_project, difference),
    Endpoint("GET", "/artifacts/{name}/diff/rows", GetDiff, "artifact.read", on_project, difference_of_rows, body="bytes"),
)
