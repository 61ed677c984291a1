"""Files as pages show them: `shown` is what a template draws by `preview.html`, `media` the bytes of an image or a sound.

The bytes of others are never a page of ours. What a browser is given to draw goes out as the form that its first bytes have, is not
sniffed, is sandboxed and may load nothing; all else is text in a page, or a download.
"""

from __future__ import annotations

from typing import Final

from bedplate.core.digests import PREFIX
from bedplate.core.records import Record
from bedplate.interfaces.http.door.endpoint import Desk, Fault, Reply
from bedplate.interfaces.http.tracking.artifact_forms import sent
from bedplate.storage.previews import Preview

from .tables import Column, Table, Value

_TABLE: Final = "rows"
_POLICY: Final = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
"""An SVG's own style sheet may colour it; no script of it runs, wherever it is opened."""


class Shown(Record, frozen=True, kw_only=True):
    """A preview with where its bytes are: `media` for images and sounds, `download` for everybody."""

    name: str
    preview: Preview
    media: str
    download: str
    table: Table | None = None


def shown(desk: Desk, sha256: str, name: str, *, media: str, download: str) -> Shown:
    """A file of the store as a page shows it. Raises StoreError where its bytes are gone."""
    found = desk.store.preview(PREFIX + sha256.removeprefix(PREFIX), name)
    return Shown(name=name, preview=found, media=media, download=download, table=table_of(found))


def media(desk: Desk, sha256: str, name: str) -> Reply:
    """The bytes of an image or a sound, or a range of them. Raises Fault 415 for what is none, whatever it is named."""
    digest = sha256.removeprefix(PREFIX)
    found = desk.store.preview(PREFIX + digest, name, rows=False)
    if found.shows not in ("image", "audio"):
        raise Fault("BAD_REQUEST", f"that is no image or sound that can be shown: it is {found.form}", status=415)
    return media_reply(sent(desk, digest, "file"), found.media_type)


def media_reply(reply: Reply, media_type: str) -> Reply:
    """Bytes as the form that they have, which runs nothing and loads nothing wherever they are opened."""
    headers = [one for one in reply.headers if one[0] != b"content-disposition"]
    more = ((b"content-security-policy", _POLICY), (b"cross-origin-resource-policy", b"same-origin"))
    return Reply(body=reply.body, status=reply.status, media_type=media_type, headers=(*headers, *more))


def table_of(found: Preview) -> Table | None:
    """The first rows of a preview, where it has any."""
    rows = found.table
    if rows is None:
        return None
    numeric = [_is_numeric([row[at] for row in rows.rows if at < len(row)]) for at in range(len(rows.columns))]
    columns = tuple(
        Column(name.lstrip("=+-@\t\r") or str(at + 1), f"{name or at + 1} {kind}".rstrip(), "number" if numeric[at] else "text")
        for at, (name, kind) in enumerate(rows.columns)
    )
    width = len(columns)
    cells: list[tuple[Value, ...]] = [(*row[:width], *(None,) * (width - len(row))) for row in rows.rows]
    return Table(name=_TABLE, columns=columns, rows=cells, empty="It has columns and no rows.")


def _is_numeric(values: list[object]) -> bool:
    some = [value for value in values if value is not None]
    return bool(some) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in some)
