"""Staged outcomes: `staged/<attempt>.json`, what an attempt made and the catalog does not know of yet.

A worker writes its Outcome here before it answers, so that a controller that was killed finds it, commits it, and does not run the step
again. Deleted once the catalog has it; what nobody fetched is collected by age. One of which only the beginning is there counts as none,
and its step runs again: so it is written in place, and not flushed to the disk (which took most of a small step's time), for it has to
outlive processes and not a power cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from bedplate.core.records import Outcome

from . import disk

FOLDER = "staged"


def put(root: Path, outcome: Outcome) -> None:
    """Keep the outcome; it counts from its last byte on. What has no JSON form (a param of a strange type) is kept as its text."""
    path = _path(root, outcome.attempt)
    disk.make_folder(path.parent)
    with disk.guard("write", path):
        path.write_bytes(msgspec.json.encode(outcome, enc_hook=str))


def get(root: Path, attempt: str) -> Outcome | None:
    """The outcome that the attempt staged; None where there is none, or only part of one. Raises StoreError."""
    path = _path(root, attempt)
    with disk.guard("read", path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
    return decoded(content)


def decoded(content: bytes | None) -> Outcome | None:
    """The outcome in these bytes; None where there are none, or only part of one."""
    try:
        return None if content is None else msgspec.json.decode(content, type=Outcome)
    except msgspec.DecodeError:
        return None


def drop(root: Path, attempts: Iterable[str]) -> None:
    """Forget the outcomes of these attempts; one that is not there is no error."""
    folder = root / FOLDER
    with disk.guard("delete from", folder):
        for attempt in attempts:
            _path(root, attempt).unlink(missing_ok=True)


def _path(root: Path, attempt: str) -> Path:
    return root / relative(attempt)


def relative(attempt: str) -> str:
    """Where an attempt's outcome lies, relative to the store. Raises UserError for what is no id."""
    return f"{FOLDER}/{disk.name(attempt, 'the id of an attempt')}.json"
