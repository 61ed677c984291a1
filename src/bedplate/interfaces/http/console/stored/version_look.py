"""What is in a version, as a part of its page: rows and columns of a table, a long value. Read in bounded pieces, in a thread for bytes."""

from __future__ import annotations

import itertools
from typing import Final
from urllib.parse import urlencode

from bedplate.core.errors import BedplateError, UserError
from bedplate.core.records import Record, Version
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.previews import shown as preview_of
from bedplate.interfaces.http.console.tables import Column, Shape, State, Table, Value
from bedplate.interfaces.http.door.endpoint import Desk, Reply, missing
from bedplate.pipeline.commit import check_of
from bedplate.storage import table_look
from bedplate.storage.manifests import digest_at
from bedplate.storage.table_look import ColumnLook, Rows

from .artifact_facts import plain
from .version_files import files

_BAR: Final = (240, 48)
"""Width and height of a drawing of bars, in its own units."""


class Bar(Record, frozen=True, kw_only=False):
    """One bar of a drawing, in its units, with its words."""

    x: float
    y: float
    width: float
    height: float
    words: str


class Card(Record, frozen=True):
    """A column in a few words and bars."""

    look: ColumnLook
    missing: str
    bars: tuple[Bar, ...] = ()
    tops: tuple[tuple[str, int, float], ...] = ()


def look(desk: Desk, version: Version, first: int, seed: int | None, start: int) -> Reply:
    """What is in it. What cannot be read is said in the place of what would be shown."""
    try:
        lost = desk.store.missing(version)
        if lost:
            return _gone(desk, version, lost)
        if version.kind == "table":
            return _table(desk, version, max(first, 0), seed)
        if version.kind == "files":
            return files(desk, version, max(start, 0))
        return _value(desk, version)
    except BedplateError as error:
        return page(desk, "look_gone.html", title=version.ref, at="", said=str(error), lost=())


def _gone(desk: Desk, version: Version, lost: list[str]) -> Reply:
    said = f"{len(lost)} of its files are collected or gone: the record stays, what made {version.artifact} makes it again when it runs."
    return page(desk, "look_gone.html", title=version.ref, at="", said=said, lost=tuple(lost[:10]))


def _table(desk: Desk, version: Version, first: int, seed: int | None) -> Reply:
    """A sample of rows, and what columns hold."""
    of = len(version.columns)
    first = min(first, max(of - 1, 0))
    sample = table_look.sample(desk.store, version, 100, seed, first)
    profile = table_look.profile(desk.store, version, first)
    total = max(profile.rows, 1)
    base = path_of("artifacts", version.artifact, str(version.number), "look")
    more = {"columns": str(first), **({} if seed is None else {"seed": str(seed)})}
    last = min(first + table_look.COLUMNS, of)
    return page(
        desk,
        "look_table.html",
        title=version.ref,
        at="",
        tables=(rows_table("rows", sample), _columns_table(profile.columns, total)),
        cards=[_card(one, total) for one in profile.columns],
        profile=profile,
        sample=sample,
        base=base,
        address=f"{base}?{urlencode(more)}&",
        seed=seed,
        drawn=desk.random_bits(31),
        first=first,
        last=last,
        of=of,
        step=table_look.COLUMNS,
        box=_BAR,
    )


def rows_table(name: str, found: Rows) -> Table:
    """Rows as a table."""
    kinds: list[Shape] = ["number" if _is_numeric(found, at) else "text" for at in range(len(found.names))]
    columns = tuple(Column(label, label, kind) for label, kind in zip(found.names, kinds, strict=True))
    return Table(name=name, columns=columns, rows=[tuple(plain(cell) for cell in row) for row in found.rows], empty="It has no rows.")


def _is_numeric(found: Rows, at: int) -> bool:
    cells = [row[at] for row in found.rows if row[at] is not None]
    return bool(cells) and all(isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in cells)


def _columns_table(columns: tuple[ColumnLook, ...], total: int) -> Table:
    """What was counted of each column."""
    heads = (
        Column("column", "Column", "code"),
        Column("type", "Type"),
        Column("missing", "Missing, %", "number"),
        Column("distinct", "Different", "number"),
        Column("least", "Least", "number"),
        Column("mean", "Mean", "number"),
        Column("most", "Most", "number"),
        Column("top", "Most often"),
    )
    rows: list[tuple[Value, ...]] = [
        (
            one.name, one.type, round(100 * one.nulls / total, 2), one.distinct, plain(one.low), one.mean, plain(one.high),
            one.top[0][0] if one.top else "",
        )
        for one in columns
    ]  # fmt: skip
    return Table(name="columns", columns=heads, rows=rows)


def _card(one: ColumnLook, total: int) -> Card:
    share = 100 * one.nulls / total
    said = "none missing" if not one.nulls else f"{share:.2g} % missing" if share >= 0.1 else f"{one.nulls} missing"
    most = max((count for _, count in one.top), default=1)
    return Card(
        look=one, missing=said, bars=bars(one.edges, one.counts), tops=tuple((text, count, 100 * count / most) for text, count in one.top)
    )


def bars(edges: tuple[float, ...], counts: tuple[int, ...]) -> tuple[Bar, ...]:
    """Bars of a histogram, side by side."""
    if not counts:
        return ()
    width, most = _BAR[0] / len(counts), max(*counts, 1)
    drawn = []
    for at, (count, (low, high)) in enumerate(zip(counts, itertools.pairwise(edges), strict=True)):
        height = max(_BAR[1] * count / most, 1 if count else 0)
        drawn.append(
            Bar(
                round(at * width, 2),
                round(_BAR[1] - height, 2),
                round(max(width - 1, 1), 2),
                round(height, 2),
                f"{low:.6g} to {high:.6g}: {count:,}",
            )
        )
    return tuple(drawn)


def _value(desk: Desk, version: Version) -> Reply:
    """A long value, which lies in the store as JSON."""
    if not version.uri:
        raise missing(f"{version.ref} has no bytes of its own")
    shown = preview_of(desk, digest_at(version.uri), f"{version.artifact}.json", media="", download="")
    return page(desk, "look_value.html", title=version.ref, at="", shown_file=shown)


def findings(version: Version) -> Table:
    """What a check found, slice by slice."""
    columns = (
        Column("verdict", "Verdict", "state"),
        Column("figure", "Figure"),
        Column("slice", "Slice"),
        Column("value", "Value", "number"),
        Column("rule", "Rule", "code"),
        Column("bound", "Bound", "number"),
    )
    found = check_of(version)
    rows = [
        (State("pass", "good") if one.passed else State("fail", "bad"), one.name, one.slice, one.value, one.rule, one.bound)
        for one in (found.findings if found is not None else ())
    ]
    return Table(name="findings", columns=columns, rows=rows, empty="It found nothing.")


def rejected(desk: Desk, name: str, attempt: str) -> Table:
    """The rows that an attempt would not keep. Raises Fault where there are none here."""
    try:
        found = table_look.rejected(desk.store, name, attempt)
    except UserError as error:
        raise missing(str(error)) from None
    if found is None:
        raise missing(f"the rows that {attempt} would not keep are not on this machine, or were collected")
    return rows_table("rejected", found)
