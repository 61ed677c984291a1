"""Paths and addresses that clients send: what may name a file, and where an artifact's address leads. Pure; the one resolver.

A path is a key in the record, never a place on the disk; still it is refused where a careless reader, this server's or the client's own
folder, would leave its root by it. What is looked at is the path as it was decoded once, and as it would read if somebody decoded it
again.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal
from urllib.parse import quote, unquote

from .errors import UserError
from .records import Record

SCHEME: Final = "mlflow-artifacts:"
ANY: Final = -1
"""The experiment of a place that names none."""
MOST_BYTES: Final = 1000
"""UTF-8 bytes of a path."""
MOST_SEGMENT: Final = 255
MOST_DEPTH: Final = 50
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_TIMES_DECODED: Final = 4
_RUN: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}\Z")
Owner = Literal["run", "model", "trace", "version"]
_OWNERS: Final[dict[str, Owner]] = {"models": "model", "traces": "trace"}


class Place(Record, frozen=True, kw_only=True):
    """Where an address leads: the files of a run, logged model or trace of an experiment, or of a registered version; `path` below it.

    For a version `id` is the model's name and `number` its number; for the others `experiment` is theirs, or ANY where it was not said.
    """

    owner: Owner
    id: str
    experiment: int = 0
    number: int = 0
    path: str = ""


def file_path(path: str) -> str:
    """The path where it may name a file. Raises UserError, which says which rule it breaks."""
    broken = _broken(path)
    seen = path
    for _ in range(_TIMES_DECODED):
        again = unquote(seen, errors="replace")
        if broken or again == seen:
            break
        broken = "it would leave its folder if it were decoded again" if _escapes(again) else ""
        seen = again
    if broken:
        raise UserError(f"Invalid path {path[:80]!a}", why=broken)
    return path


def may_name(path: str) -> bool:
    """Whether the path may name a file."""
    try:
        return bool(file_path(path))
    except UserError:
        return False


def folder_path(path: str) -> str:
    """The path where it may name a folder; one `/` at its end is passed over, nothing or `/` alone is the root. Raises UserError."""
    path = path.removesuffix("/")
    return file_path(path) if path else ""


def place(address: str) -> Place:
    """What an address within the artifacts leads to, as `0/RUN/artifacts/model/MLmodel`; decoded already. Raises UserError."""
    path = folder_path(address)
    parts = path.split("/")
    if parts[0] == "registry" and len(parts) >= 3 and parts[2].isdecimal() and len(parts[2]) < 10:
        return Place(owner="version", id=parts[1], number=int(parts[2]), path="/".join(parts[3:]))
    if parts[0].isdecimal() and len(parts[0]) < 19:
        owner = _OWNERS.get(parts[1]) if len(parts) > 1 else None
        kind: Owner = owner if owner is not None and len(parts) > 3 else "run"
        rest = parts[1:] if kind == "run" else parts[2:]
        if len(rest) > 1 and _RUN.match(rest[0]) and rest[1] == "artifacts":
            return Place(owner=kind, id=rest[0], experiment=int(parts[0]), path="/".join(rest[2:]))
    raise UserError(f"Nothing is kept at {address[:80]!a}", why="an address is EXPERIMENT/RUN/artifacts/PATH")


def address(place: Place) -> str:
    """The address of a place, as clients are told it."""
    match place.owner:
        case "version":
            root = f"registry/{quote(place.id, safe='')}/{place.number}"
        case "run":
            root = f"{place.experiment}/{place.id}/artifacts"
        case _:
            root = f"{place.experiment}/{place.owner}s/{place.id}/artifacts"
    return f"{SCHEME}/{root}/{place.path}".rstrip("/")


class Source(Record, frozen=True, kw_only=True):
    """What a client says a version is made of: a folder of a run or logged model (`place`), or another version, by number or alias."""

    place: Place | None = None
    model: str = ""
    version: str = ""


def source(text: str) -> Source:
    """The source of a model version: `runs:/RUN/PATH`, `models:/NAME/NUMBER`, `models:/LOGGED`, or an address of ours. Raises UserError."""
    scheme, colon, rest = text.partition(":")
    if not colon or not rest.startswith("/") or rest.startswith("//") or re.search(r"[?#;]", rest):
        raise _no_source(text)
    rest = unquote(rest[1:], errors="replace")  # a letter that is no UTF-8 becomes one that no path may have
    parts = rest.split("/")
    if scheme == "runs" and _RUN.match(parts[0]):
        return Source(place=Place(owner="run", id=parts[0], experiment=ANY, path=folder_path("/".join(parts[1:]))))
    if scheme == "mlflow-artifacts":
        found = place(rest)
        if found.owner in ("run", "model"):
            return Source(place=found)
        if found.owner == "version" and not found.path:
            return Source(model=found.id, version=str(found.number))
    if scheme == "models":
        return _of_models(parts, text)
    raise _no_source(text)


def _of_models(parts: list[str], text: str) -> Source:
    if len(parts) == 2 and parts[1].isdecimal():
        return Source(model=parts[0], version=parts[1])
    if len(parts) == 1 and "@" in parts[0]:
        name, _, alias = parts[0].rpartition("@")
        return Source(model=name, version=alias)
    if parts[0].startswith("m-") and _RUN.match(parts[0]):
        return Source(place=Place(owner="model", id=parts[0], experiment=ANY, path=folder_path("/".join(parts[1:]))))
    raise _no_source(text)


def _no_source(text: str) -> UserError:
    return UserError(
        f"Invalid model version source: {text[:200]!a}",
        why="a version is made of files kept here: runs:/RUN/PATH, models:/NAME/NUMBER, models:/MODEL_ID or mlflow-artifacts:/ADDRESS",
    )


def _broken(path: str) -> str:
    """The rule that a path breaks; empty where it may stand."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "it is not UTF-8"
    if "\ufffd" in path:
        return "it is not UTF-8"
    segments = path.split("/")
    if not path or "" in segments:
        return "a name in it is empty, or it begins with '/'"
    if size > MOST_BYTES or len(segments) > MOST_DEPTH or any(len(segment.encode()) > MOST_SEGMENT for segment in segments):
        return f"it has more than {MOST_BYTES} bytes, {MOST_DEPTH} levels, or {MOST_SEGMENT} bytes in a name"
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in path):
        return "it has a control character"
    return "it would leave its folder" if _escapes(path) else ""


def _escapes(path: str) -> bool:
    segments = path.split("/")
    odd = "\\" in path or "\0" in path or path.startswith("/") or bool(_DRIVE.match(path))
    return odd or any(segment.strip() in (".", "..") for segment in segments)
