"""Content digests: our own, versioned, never a library's unstable hash.

A digest is written `sha256:<64 hex digits>`. SHA-256 because every other tool can check it and
processors compute it at more than 1 GB/s. `canonical` is the one JSON form that digests are taken of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

PREFIX = "sha256:"
_ENCODER = msgspec.json.Encoder(order="sorted")
_CHUNK = 1 << 20


def canonical(value: Any) -> bytes:
    """The JSON bytes of `value` with sorted keys: equal values give equal bytes."""
    return _ENCODER.encode(value)


def of_bytes(*parts: bytes) -> str:
    """The digest of the parts, one after the other."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return PREFIX + state.hexdigest()


def of_json(value: Any) -> str:
    """The digest of a value's canonical JSON."""
    return of_bytes(canonical(value))


def of_file(path: Path) -> str:
    """The digest of a file's bytes, read in pieces of 1 MiB."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            state.update(piece)
    return PREFIX + state.hexdigest()


def of_parts(parts: Iterable[tuple[str, str]]) -> str:
    """The digest of named digests, in the order of their names (invariant 1: each=, files)."""
    return of_json(sorted(parts))


def short(digest: str) -> str:
    """The first ten digits, for people."""
    return digest.removeprefix(PREFIX)[:10]
