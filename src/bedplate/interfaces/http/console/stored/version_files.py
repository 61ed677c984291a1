"""Files of a version as pages show them: a list with small pictures, one with its preview, its bytes as media or as a download."""

from __future__ import annotations

from typing import Final

from bedplate.core.digests import PREFIX
from bedplate.core.records import Record, Version
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.previews import Shown, media_reply, table_of
from bedplate.interfaces.http.console.tables import Column, Link, Table
from bedplate.interfaces.http.door.endpoint import Desk, Fault, Reply
from bedplate.interfaces.http.tracking.artifact_forms import attachment, sent
from bedplate.storage import file_look
from bedplate.storage.file_look import OneFile

_COUNT: Final = 60
_PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
_SMALL: Final = 2_000_000
"""Bytes of a picture that is shown in the list."""


class Picture(Record, frozen=True, kw_only=False):
    """A picture in the list: its name, where its bytes are, and its page."""

    name: str
    media: str
    href: str


def files(desk: Desk, version: Version, start: int) -> Reply:
    """Some of the files, with what is a picture as one; as a part of the page."""
    some, total = file_look.listed(desk.store, version, start, _COUNT)
    rows = [(Link(one.name, address(version, "file", one.name)), one.size) for one in some]
    pictures = [
        Picture(one.name, address(version, "media", one.name), address(version, "file", one.name)) for one in some if _is_picture(desk, one)
    ]
    return page(
        desk,
        "look_files.html",
        title=version.ref,
        at="",
        tables=(
            Table(name="files", columns=(Column("file", "File"), Column("size", "Size", "bytes")), rows=rows, empty="It has no files."),
        ),
        pictures=pictures,
        start=start,
        last=start + len(some),
        total=total,
        count=_COUNT,
        base=path_of("artifacts", version.artifact, str(version.number), "look"),
    )


def address(version: Version, what: str, name: str) -> str:
    """Where something of a file is; the name is the rest of the path."""
    return path_of("artifacts", version.artifact, str(version.number), what, *name.split("/"))


def shown(desk: Desk, version: Version, name: str) -> Shown:
    """One file with its preview. Raises NotFound, StoreError."""
    one = file_look.named(desk.store, version, name)
    found = file_look.look(desk.store, one)
    return Shown(
        name=name, preview=found, media=address(version, "media", name), download=address(version, "download", name), table=table_of(found)
    )


def media(desk: Desk, version: Version, name: str) -> Reply:
    """The bytes of a picture or a sound. Raises Fault 415 for what is none, whatever it is named."""
    one = file_look.named(desk.store, version, name)
    found = file_look.look(desk.store, one, rows=False)
    if found.shows not in ("image", "audio"):
        raise Fault("BAD_REQUEST", f"that is no image or sound that can be shown: it is {found.form}", status=415)
    reply = sent(desk, one.digest.removeprefix(PREFIX), "file") if one.digest else Reply(body=file_look.data(desk.store, one))
    return media_reply(reply, found.media_type)


def download(desk: Desk, version: Version, name: str) -> Reply:
    """The bytes of a file, as a download that no browser shows."""
    one = file_look.named(desk.store, version, name)
    if one.digest:
        return sent(desk, one.digest.removeprefix(PREFIX), name)
    return Reply(body=file_look.data(desk.store, one), headers=((b"content-disposition", attachment(name)),))


def _is_picture(desk: Desk, one: OneFile) -> bool:
    """Whether it is named as a picture, is small, and is one."""
    return one.name.lower().endswith(_PICTURES) and one.size <= _SMALL and file_look.look(desk.store, one, rows=False).shows == "image"
