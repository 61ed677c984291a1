"""What is in a file, told from its bytes: what a page may show of it, and whether it is what its name says.

`preview(name, head, size)` is pure: it is given the first bytes (`HEAD_BYTES` at most). `Store.preview` reads them, and the first rows
of Parquet and Arrow files. Nothing is run or unpacked, no pickle opened. Images and audio are only named by their form: a page shows them
by an address that serves their bytes as that form and nothing else. Limits: text is UTF-8; of a table the first rows, of long cells the
beginning; an image of more than 100 million points is not shown, for browsers would unpack it.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from bedplate.core.records import Record
from bedplate.core.units import show_bytes

from . import magic

HEAD_BYTES: Final = 262_144
MOST_MEDIA: Final = 64_000_000
_MOST_TEXT: Final = 60_000
_MOST_ROWS: Final = 100
_MOST_COLUMNS: Final = 40
_MOST_CELLS: Final = 120_000
_LONGEST_CELL: Final = 160
_MOST_POINTS: Final = 100_000_000
_DEEPEST: Final = 64
Shows = Literal["nothing", "image", "audio", "table", "text"]
Cell = str | int | float | bool | None
_BRACKETS: Final = re.compile(rb"[\[{]+|[\]}]+")
_CUT_ROWS: Final = "the first rows"


class Rows(Record, frozen=True, kw_only=True):
    """The first rows of a table: names of columns with their types (empty: not known), and cells; `count` rows in all, where known."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]
    count: int | None = None
    left_out: int = 0


class Preview(Record, frozen=True, kw_only=True):
    """What a file is (`form`, in words), and what of it may be shown.

    `wrong` says so where it is not what its name says, `why` why it is not shown or only in part. `media_type` is that of images and audio.
    """

    form: str
    shows: Shows = "nothing"
    size: int = 0
    media_type: str = ""
    text: str = ""
    table: Rows | None = None
    wrong: str = ""
    why: str = ""


def preview(name: str, head: bytes, size: int) -> Preview:
    """What a file of that name, size and beginning is."""
    if not size:
        return Preview(form="an empty file", why="it has no bytes")
    known = magic.form_of(head)
    found = _media(known, head, size) if known is not None else _written(name, head, size)
    return msgspec.structs.replace(found, wrong=found.wrong or _wrong(name, found.form))


def rows_of(names: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]], count: int | None = None) -> Rows:
    """Rows as a page shows them: so many, so wide, long cells cut."""
    kept: list[tuple[Cell, ...]] = []
    room = _MOST_CELLS
    for row in rows:
        cells = tuple(cell(value) for value in row[:_MOST_COLUMNS])
        room -= sum(len(str(one)) + 20 for one in cells)
        if len(kept) >= _MOST_ROWS or room < 0:
            break
        kept.append(cells)
    columns = tuple((cut(str(label), _LONGEST_CELL), kind) for label, kind in names[:_MOST_COLUMNS])
    return Rows(columns=columns, rows=tuple(kept), count=count, left_out=max(len(names) - _MOST_COLUMNS, 0))


def cell(value: Any) -> Cell:
    """A value as a cell: numbers and short texts as they are, all else as text, cut."""
    if value is None or isinstance(value, (bool, int, float)):
        return value if not isinstance(value, int) or abs(value) < 1 << 63 else cut(str(value), _LONGEST_CELL)
    if isinstance(value, (bytes, bytearray)):
        return f"{show_bytes(len(value))} of bytes"
    return cut(value if isinstance(value, str) else str(value), _LONGEST_CELL)


def cut(text: str, longest: int) -> str:
    """A text, or its beginning with a sign that there is more."""
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


def broken(form: str, size: int, why: str) -> Preview:
    """For a file that begins as its form and cannot be read as it."""
    return Preview(form=form, size=size, wrong=f"it begins as {form}, and cannot be read as that: {cut(why, 300)}")


def _media(known: magic.Form, head: bytes, size: int) -> Preview:
    """What is known by its first bytes."""
    found = Preview(form=known.words, size=size, media_type=known.media_type, why=known.why)
    if known.kind not in ("image", "audio"):
        return found
    if size > MOST_MEDIA:
        return msgspec.structs.replace(found, why=f"it is larger than {show_bytes(MOST_MEDIA)}: download it")
    points = magic.points_of(known, head)
    if points > _MOST_POINTS:
        return msgspec.structs.replace(found, why=f"it has {points:,} points, which a browser would unpack: download it")
    return msgspec.structs.replace(found, shows=known.kind)


def _written(name: str, head: bytes, size: int) -> Preview:
    """Text of some form, or bytes that nobody knows."""
    text = _decoded(head, whole=len(head) >= size)
    if text is None:
        return Preview(form=magic.by_name(name) or "bytes of an unknown form", size=size, why="it is no text, image, audio or table")
    start, ending = text[:2000].lstrip("\ufeff \t\r\n").lower(), _ending(name)
    if magic.is_svg(start):
        shown = _as_text(text, size, "SVG image", "")
        fits = size <= HEAD_BYTES
        return msgspec.structs.replace(shown, shows="image" if fits else "text", media_type="image/svg+xml" if fits else "")
    if ending not in magic.PLAIN and magic.is_html(start):
        return _as_text(text, size, "HTML", "it is shown as text: a page of others could do anything in your name here")
    if start.startswith(("{", "[")) and ending not in (".csv", ".tsv"):
        return _json(name, text, head, size)
    if ending in (".csv", ".tsv"):
        return _separated(text, size, "\t" if ending == ".tsv" else ",")
    return _as_text(text, size, magic.text_by_name(name), "")


def _decoded(head: bytes, *, whole: bool) -> str | None:
    """The text that the bytes are; None where they are none. A letter that is cut in two at the end is left out."""
    if b"\0" in head:
        return None
    for left_out in (0,) if whole else (0, 1, 2, 3):
        try:
            return head[: len(head) - left_out].decode()
        except UnicodeDecodeError:
            continue
    return None


def _as_text(text: str, size: int, form: str, why: str) -> Preview:
    is_cut = len(text) > _MOST_TEXT or size > HEAD_BYTES
    said = "; ".join(one for one in (why, f"the beginning of {show_bytes(size)}" if is_cut else "") if one)
    return Preview(form=form, shows="text", size=size, text=text[:_MOST_TEXT], why=said)


def _json(name: str, text: str, head: bytes, size: int) -> Preview:
    if size > len(head):
        return _as_text(text, size, "JSON" if _ending(name) == ".json" else magic.text_by_name(name), "")
    try:
        value = msgspec.json.decode(head)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        if _ending(name) != ".json":
            return _as_text(text, size, magic.text_by_name(name), "")
        return msgspec.structs.replace(_as_text(text, size, "text", ""), wrong=f"it is named .json, and is no JSON: {cut(str(error), 200)}")
    if isinstance(value, dict) and (rows := _told_rows(value)) is not None:
        return Preview(form="a table, as JSON", shows="table", size=size, table=rows, why=_told_cut(rows))
    if _depth(head) <= _DEEPEST:
        text = msgspec.json.format(head, indent=2).decode()
    return _as_text(text, size, _figure(value), "")


def _depth(head: bytes) -> int:
    """How deep brackets are nested, those in texts counted too."""
    depth = deepest = 0
    for run in _BRACKETS.findall(head):
        depth += len(run) if run[0] in b"[{" else -len(run)
        deepest = max(deepest, depth)
    return deepest


def _figure(value: Any) -> str:
    if isinstance(value, dict):
        schema = value.get("$schema")
        if isinstance(schema, str) and "vega" in schema:
            return "a Vega chart, as JSON"
        if isinstance(value.get("data"), list) and isinstance(value.get("layout"), dict):
            return f"a Plotly figure of {len(value['data'])} traces, as JSON"
    return "JSON"


def _told_rows(value: dict[str, Any]) -> Rows | None:
    """A table as trackers' clients log it: names of columns, and rows."""
    columns, data = value.get("columns"), value.get("data")
    if set(value) - {"columns", "data", "index"} or not isinstance(columns, list) or not isinstance(data, list) or not columns:
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        return None
    return rows_of([(str(one), "") for one in columns], data, len(data))


def _separated(text: str, size: int, separator: str) -> Preview:
    form = "CSV" if separator == "," else "tab-separated values"
    if size > HEAD_BYTES and "\n" in text:
        text = text.rpartition("\n")[0]
    try:
        reader = csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=separator)
        names = next(reader, [])
        lines = [row for row, _ in zip(reader, range(_MOST_ROWS + 1), strict=False)]
    except csv.Error:
        return _as_text(text, size, form, "it cannot be read as a table")
    if not names:
        return _as_text(text, size, form, "")
    rows = rows_of([(one, "") for one in names], lines[:_MOST_ROWS])
    whole = len(rows.rows) == len(lines) and size <= HEAD_BYTES
    return Preview(form=form, shows="table", size=size, table=rows, why="" if whole and not rows.left_out else _CUT_ROWS)


def _told_cut(rows: Rows) -> str:
    return _CUT_ROWS if rows.left_out or (rows.count or 0) > len(rows.rows) else ""


def of_table(form: str, rows: Rows, size: int) -> Preview:
    """A table that was read."""
    return Preview(form=form, shows="table", size=size, table=rows, why=_told_cut(rows))


def _ending(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def _wrong(name: str, form: str) -> str:
    ending = _ending(name)
    expected = magic.ENDINGS.get(ending, ())
    if not expected or any(form.startswith(one) for one in expected):
        return ""
    return f"it is named {ending}, and its bytes are another thing: {form}"
