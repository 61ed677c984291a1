"""What browsers load: scripts, styles and pictures of the package, each at an address that has its digest, to be kept for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from bedplate.core.records import Record
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, missing, on_server

_TYPES: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_FOLDER: Final = Path(__file__).with_name("assets")
_HEADERS: Final = (
    (b"cache-control", b"private, max-age=31536000, immutable"),
    (b"content-security-policy", b"default-src 'none'; connect-src 'self'; frame-ancestors 'none'"),
)
"""A worker lives under the policy that its script came with: the one that hears of changes connects to this server."""


class _Asset(Record, frozen=True, kw_only=False):
    body: bytes
    media_type: str
    digest: str


def _load() -> dict[str, _Asset]:
    found = {}
    for file in sorted(_FOLDER.rglob("*")):
        if file.suffix in _TYPES:
            body = file.read_bytes()
            found[file.relative_to(_FOLDER).as_posix()] = _Asset(body, _TYPES[file.suffix], hashlib.sha256(body).hexdigest()[:12])
    return found


_ASSETS: Final = _load()


class GetAsset(Asks, frozen=True, kw_only=True):
    """One file; `digest` is part of its address only so that another content has another one."""

    digest: str
    name: str


def address(name: str) -> str:
    """Where a browser finds a file. Raises KeyError for one that there is not, which is our mistake."""
    return f"/assets/{_ASSETS[name].digest}/{name}"


def get(_desk: Desk, asked: GetAsset) -> Reply:
    """The file."""
    found = _ASSETS.get(asked.name)
    if found is None or found.digest != asked.digest:
        raise missing("there is no such file: load the page again")
    return Reply(body=found.body, media_type=found.media_type, headers=_HEADERS)


ENDPOINTS: Final = (Endpoint("GET", "/assets/{digest}/{name...}", GetAsset, "me.read", on_server, get),)
