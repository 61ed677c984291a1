"""How files go out: whole or a range, as a download that no browser shows, checked against their digest on the way."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

from bedplate.catalog.tracking.files import Listed
from bedplate.core.client_paths import Place
from bedplate.core.digests import PREFIX
from bedplate.core.errors import CorruptError
from bedplate.interfaces.http.door.endpoint import Desk, Fault, Reply, missing

_PIECE: Final = 1 << 20
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")
_PLAIN: Final = re.compile(r"[^\w. ()+-]", re.ASCII)


def listed(entries: list[Listed], *, below: str = "") -> list[dict[str, Any]]:
    """A folder's lines in the protocol's form; names relative to `below`."""
    return [_line(one, posixpath.relpath(one.path, below) if below else one.path) for one in entries]


def sent(desk: Desk, sha256: str, name: str) -> Reply:
    """The bytes of a file, or the range of them that the request asks for. Raises StoreError where they are gone."""
    path = desk.store.blob(PREFIX + sha256)
    etag = f'"{sha256}"'.encode()
    if desk.header(b"if-none-match") == etag:
        return Reply(status=304, headers=((b"etag", etag),))
    file = path.open("rb")
    try:
        size = path.stat().st_size
        between = ranged(desk.header(b"range").decode("latin-1"), size)
    except BaseException:
        file.close()
        raise
    headers = [
        (b"content-disposition", attachment(name)), (b"accept-ranges", b"bytes"), (b"etag", etag),
    ]  # fmt: skip
    if between is None:
        return Reply(body=_whole(file, sha256, path), headers=(*headers, (b"content-length", b"%d" % size)))
    first, last = between
    headers += [(b"content-range", b"bytes %d-%d/%d" % (first, last, size)), (b"content-length", b"%d" % (last - first + 1))]
    return Reply(body=_part(file, first, last), status=206, headers=tuple(headers))


def ranged(said: str, size: int) -> tuple[int, int] | None:
    """The first and last byte that a Range header asks for; None: all of it. Raises Fault 416 for one outside the file."""
    found = _RANGE.match(said)
    if found is None or not (found[1] or found[2]):
        return None
    first = int(found[1]) if found[1] else max(0, size - int(found[2]))
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if first > last or first >= size:
        raise Fault("BAD_REQUEST", "the range lies outside the file", status=416, headers=((b"content-range", b"bytes */%d" % size),))
    return first, last


def attachment(name: str) -> bytes:
    """A Content-Disposition that saves the file under its name, in ASCII and as it is."""
    plain = _PLAIN.sub("_", name)[:200] or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode()


def seen_place(desk: Desk, place: Place) -> None:
    """Raise Fault 404 where the actor may not see what a place is of; for listings, whose address is an argument."""
    kind, name = ("model", place.id) if place.owner == "version" else ("experiment", str(place.experiment))
    visible = desk.sees("model" if kind == "model" else "experiment")
    if visible is not None and name not in visible:
        raise missing(f"there is no such {kind}, or you may not see it")


def _line(one: Listed, path: str) -> dict[str, Any]:
    if one.is_dir:
        return {"path": path, "is_dir": True}
    return {"path": path, "is_dir": False, "file_size": one.size} if one.size >= 0 else {"path": path, "is_dir": False}


def _whole(file: IO[bytes], sha256: str, path: Path) -> Iterator[bytes]:
    """Every piece; the last one only where the digest is right, so that a damaged file never arrives whole."""
    with file:
        state, held = hashlib.sha256(), b""
        while piece := file.read(_PIECE):
            state.update(piece)
            if held:
                yield held
            held = piece
        if state.hexdigest() != sha256:
            raise CorruptError(
                f"{path} is corrupt", why="its bytes do not have the digest that it is named by", next="bedplate doctor --deep"
            )
        if held:
            yield held


def _part(file: IO[bytes], first: int, last: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        left = last - first + 1
        while left and (piece := file.read(min(_PIECE, left))):
            left -= len(piece)
            yield piece
