"""Misfits: every field of a request that does not fit, in words; looked for only when a body was refused.

Each field is decoded by itself, by the same rules, so that a caller mends all of them at once. A server, a stream of lines and a table
say it alike, and so does a bundle for the edge, which this file goes along into: it imports nothing of bedplate's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

_BYTE: Final = re.compile(r"\(byte (\d+)\)$")
_NO_NUMBERS: Final = (b"NaN", b"Infinity")
_MOST: Final = 5
_LONGEST: Final = 60
_ROWS: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ROW: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def misfits(request: type[msgspec.Struct], body: bytes, error: msgspec.ValidationError) -> str:
    """What does not fit in a body that `error` refused: at most five things, by field, and by row (from 0) where there are several."""
    try:
        many = body.lstrip()[:1] == b"["
        rows = _ROWS.decode(body) if many else [_ROW.decode(body)]
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
        return _words(str(error))
    all_of_it = (f"row {at}: {said}" if many else said for at, row in enumerate(rows) for said in _of_row(request, row))
    found = list(islice(all_of_it, _MOST + 1))
    return "; ".join([*found[:_MOST], *(["and more"] if len(found) > _MOST else [])]) or _words(str(error))


def misfit(error: msgspec.ValidationError) -> str:
    """What `error` says of a row that is no text of JSON: its field first."""
    said, _, field = str(error).removesuffix("`").partition(" - at `$.")
    return f"'{field}': {said[:1].lower()}{said[1:]}" if field else _words(str(error))


def no_json(body: bytes, error: Exception) -> tuple[str, str, str]:
    """What is wrong with a body that is no JSON, why, and what to send instead."""
    if not body.strip():
        why = "a request is one JSON object, or an array of them"
        return "the body is not JSON: it is empty", why, "GET /docs shows its fields; {} where it has none"
    at = _BYTE.search(str(error))
    found = next((word.decode() for word in _NO_NUMBERS if at and body.startswith(word, int(at[1]))), "")
    what = f"the body is not JSON: {error}"
    if found:
        return what, f"{found} is no number in JSON", "send null where there is no number, to a field that is declared `float | None`"
    return what, "", "send one JSON object, or an array of them"


def _of_row(request: type[msgspec.Struct], row: dict[str, msgspec.Raw]) -> Iterator[str]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(request)}
    yield from (f"'{name}' is missing" for name, field in fields.items() if field.required and name not in row)
    yield from (said for name, field in fields.items() if name in row and (said := _of_field(name, row[name], field.type)))
    yield from (f"'{name[:_LONGEST]}' is not one of its fields" for name in row if name not in fields)


def _of_field(name: str, raw: msgspec.Raw, annotation: Any) -> str:
    try:
        msgspec.json.decode(raw, type=annotation)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        said, _, place = str(error).partition(" - at `$")
        return f"'{name}{place.rstrip('`')}': {said[:1].lower()}{said[1:]}"
    return ""


def _words(said: str) -> str:
    """A message without the root of msgspec's paths."""
    return said.removesuffix(" - at `$`").replace(" - at `$.", " - at `").replace(" - at `$[", " - at `[")
