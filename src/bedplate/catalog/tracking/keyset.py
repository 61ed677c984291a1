"""A page of a composed search: rows in the order of their sort keys, after a place, and the token of the next page."""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.catalog.database import Database, Row
from bedplate.core.records import Record

from . import pages
from .comparing import after
from .pages import Types, Values


class SortKey(Record, frozen=True, kw_only=False):
    """One sort key: an expression that is never null, whether it falls, and the type of its values."""

    expression: str
    falls: bool
    type: Types


class Sought(Record, frozen=True, kw_only=True):
    """A search, put into SQL: `columns` of `source`, where all of `held` hold, in the order of `keys` (the last ones tell rows apart).

    `identity` is what makes it the same search on its next page.
    """

    columns: str
    source: str
    held: tuple[str, ...]
    keys: tuple[SortKey, ...]
    identity: tuple[object, ...]
    limit: int
    token: str = ""


def page(database: Database, sought: Sought, values: Values) -> tuple[list[Row], str]:
    """The rows of a page (without the keys' columns), and the token of the next; empty: this was the last. Raises UserError."""
    _, place = pages.place(sought.token, sought.identity, [[key.type for key in sought.keys]])
    held = list(sought.held)
    if place is not None:
        held.append(after([(key.expression, key.falls, value) for key, value in zip(sought.keys, place, strict=True)], values))
    keys = ", ".join(f"{key.expression} AS k{number}" for number, key in enumerate(sought.keys))
    ordered = ", ".join(f"k{number}{' DESC' if key.falls else ''}" for number, key in enumerate(sought.keys))
    where = f" WHERE {' AND '.join(held)}" if held else ""
    sql = f"SELECT {sought.columns}, {keys} FROM {sought.source}{where} ORDER BY {ordered} LIMIT {int(sought.limit) + 1}"
    found = database.composed(sql, values.given)
    width = len(sought.keys)
    shown = [row[:-width] for row in found[: sought.limit]]
    if len(found) <= sought.limit:
        return shown, ""
    return shown, pages.token(sought.identity, 0, _place(found[sought.limit - 1][-width:], sought.keys))


def _place(row: Sequence[int | float | str], keys: Sequence[SortKey]) -> tuple[int | float | str, ...]:
    return tuple(float(value) if key.type is float else value for key, value in zip(keys, row, strict=True))
