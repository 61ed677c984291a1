"""Staged outcomes: `staged/<attempt>.json`, what an attempt made and the catalog does not know of yet.

A worker writes its Outcome here before it answers, so that a controller that was killed finds it, commits it, and does not run the step
again. Deleted once the catalog has it; what nobody fetched is collected by age. It has to outlive processes and not a power cut, so it is
not flushed to the disk (which took most of a small step's time): one that a power cut left unfinished counts as none, and its step runs
again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from bedplate.core.records import Outcome

from . import disk

FOLDER = "staged"


def put(root: Path, outcome: Outcome) -> None:
    """Keep the outcome, whole or not at all. What has no JSON form (a param of a strange type) is kept as its text."""
    disk.write(_path(root, outcome.attempt), msgspec.json.encode(outcome, enc_hook=str), durably=False)


def get(root: Path, attempt: str) -> Outcome | None:
    """The outcome that the attempt staged; None where there is none, or only part of one. Raises StoreError."""
    path = _path(root, attempt)
    with disk.guard("read", path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        return msgspec.json.decode(content, type=Outcome)
    except msgspec.DecodeError:
        return None


def drop(root: Path, attempts: Iterable[str]) -> None:
    """Forget the outcomes of these attempts; one that is not there is no error."""
    for attempt in attempts:
        path = _path(root, attempt)
        with disk.guard("delete", path):
            path.unlink(missing_ok=True)


def _path(root: Path, attempt: str) -> Path:
    return root / FOLDER / f"{disk.name(attempt, 'the id of an attempt')}.json"
