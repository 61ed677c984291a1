"""Tables: typed columns and rows, which a page shows and `?csv=NAME` gives away."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from bedplate.core.clock import iso
from bedplate.core.records import Record

Tone = Literal["good", "bad", "warn", "now", "off"]
Shape = Literal["text", "words", "code", "number", "time", "seconds", "bytes", "usd", "joules", "state"]
_FORMULA: Final = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
"""What spreadsheets take for the beginning of a formula, as wide letters too."""


class Link(Record, frozen=True, kw_only=False):
    """Words that lead somewhere: `href` is a path of this server."""

    text: str
    href: str


class State(Record, frozen=True, kw_only=False):
    """How something stands: a word, and a tone that is drawn as a colour and a sign."""

    word: str
    tone: Tone = "off"


Value = str | int | float | bool | datetime | Link | State | None
"""A cell; a `time` is a datetime, or ms since the epoch; `seconds`, `bytes`, `usd` and `joules` are numbers."""


class Column(Record, frozen=True, kw_only=False):
    """A column: its key in CSV, its head, its shape, and the address that sorts by it (empty: it cannot be sorted by)."""

    key: str
    label: str
    shape: Shape = "text"
    href: str = ""
    order: Literal["", "up", "down"] = ""


class Table(Record, frozen=True):
    """Rows under columns. `empty` says what to do where there are none, `command` the next command, `more` the address of the next page."""

    name: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Value]]
    empty: str = "Nothing here yet."
    command: str = ""
    more: str = ""

    def csv(self) -> bytes:
        """The table as CSV, with a head; no text in it is a formula."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([harmless(column.key) for column in self.columns])
        for row in self.rows:
            writer.writerow([_plain(value) for value in row])
        return out.getvalue().encode("utf-8", "replace")


def harmless(text: str) -> str:
    """A text of a CSV: what a spreadsheet would take for a formula has an apostrophe before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _plain(value: Value) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return value
    text = value.text if isinstance(value, Link) else value.word if isinstance(value, State) else value
    return harmless(text)
