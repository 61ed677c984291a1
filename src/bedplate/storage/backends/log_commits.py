"""Commits of a log, read and made as the Delta protocol has them: one JSON file for each, made where there is none of that number.

An append names one new file and looks at no other (a *blind append*): all it has to know is the newest version, and that the log has its
columns. The library reads the whole state of a table for that, and keeps it, with threads of its own: 37 MiB in every server that logs.
So appends are committed here, and everything else about a log is the library's (`log_files.py`).

A log's columns are never taken away and keep their types, so what was seen of them holds. Commits are forgotten after an hour; the newest
version that was seen is counted on from for half of that and then looked for again, as the next number could be one that was forgotten.

Limit: a log that another program gave features of the protocol that are not known here is not appended to.
"""

from __future__ import annotations

import io
import json
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import polars as pl

from bedplate.core.errors import StoreError

from .delta_types import fields_of, schema_of, text_of
from .parquet import PartFile
from .place import Place

_CONFIGURATION: Final = {"delta.enableExpiredLogCleanup": "true", "delta.logRetentionDuration": "interval 1 hours"}
_HOLDS_S: Final = 1800.0
_AHEAD: Final = 1000
"""Commits that others may have made since. What changes the columns is tried beyond those that do not say what the log is."""
_COMMIT: Final = re.compile(r"(\d{20})\.json")
_CHECKPOINT: Final = re.compile(r"(\d{20})\.checkpoint\.parquet")
_PLAIN: Final = {"minReaderVersion": 1, "minWriterVersion": 2}
_IMPLIED: Final = ("appendOnly", "invariants")
"""What `_PLAIN` means, where features are named one by one."""
_ZONELESS: Final = "timestampNtz"
"""The feature that times without a zone need."""

Action = Mapping[str, Any]
_TOLD: Final[Action] = {"commitInfo": {"operation": "SET TBLPROPERTIES", "operationParameters": {}, "engineInfo": "bedplate"}}


class Known(NamedTuple):
    """What a log is: its columns, and the actions of the protocol that say so."""

    schema: pl.Schema
    metadata: Action
    protocol: Action


class _Line(msgspec.Struct, rename={"metadata": "metaData"}):
    """What is looked for in a line of a commit."""

    metadata: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None


class Commits:
    """The commits of one log. Not for several threads at once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._known: Known | None = None
        self._newest = -1
        self._seen_at = -_HOLDS_S

    def fitting(self, wanted: pl.Schema) -> Known:
        """What the log is, or is to be, to have these columns."""
        if self._known is None or any(name not in self._known.schema for name in wanted) or not self._holds():
            self._look()
        return _grown(self._known, wanted)

    def add(self, known: Known, file: PartFile) -> int | None:
        """Commit a file of a log that is what is `known`, or becomes it; the version, None where others changed what was seen of it."""
        was, self._known = self._known, None
        said: list[Action] = [{"commitInfo": _info(was is None)}]
        if was is None or was.protocol != known.protocol:
            said.append({"protocol": known.protocol})
        if was is None or was.metadata != known.metadata:
            said.append({"metaData": known.metadata})
        content = b"\n".join(map(msgspec.json.encode, [*said, {"add": _added(file)}]))
        for version in range(self._newest + 1, self._newest + 1 + _AHEAD):
            if self._place.add_commit(_name(version), content):
                self._known, self._newest, self._seen_at = known, version, time.monotonic()
                return version
            if known is not was and self._said(version):
                return None
        return None

    def say_again(self) -> None:
        """Commit once more what the log is, where a checkpoint has taken up the commits that said it: a checkpoint is much to read."""
        self._look()
        if self._known is not None:
            said = [_TOLD, {"protocol": self._known.protocol}, {"metaData": self._known.metadata}]
            self._place.add_commit(_name(self._newest + 1), b"\n".join(map(msgspec.json.encode, said)))

    def _holds(self) -> bool:
        """Whether the newest commit that was seen may be counted on from: it is not long ago, and nobody moved the log away."""
        return time.monotonic() - self._seen_at < _HOLDS_S and self._place.has_commit(_name(self._newest))

    def _look(self) -> None:
        """See what the log is now."""
        names = self._place.commits()
        commits, checkpoints = _numbers(_COMMIT, names), _numbers(_CHECKPOINT, names)
        newest, whole = max([*commits, *checkpoints], default=-1), max(checkpoints, default=-1)
        found: dict[str, Any] = {}
        for version in sorted((one for one in commits if one > whole), reverse=True):
            found = {**self._said(version), **found}
            if len(found) == len(Known._fields) - 1:
                break
        else:
            found = {**(self._kept(whole) if whole >= 0 else {}), **found}
        if newest >= 0 and len(found) < len(Known._fields) - 1:
            raise StoreError(f"the log {self._place.folder} cannot be read", why="no commit says what it is", next="bedplate doctor")
        self._known = Known(schema_of(found["metadata"]["schemaString"]), **_writable(found, self._place)) if found else None
        self._newest, self._seen_at = newest, time.monotonic()

    def _said(self, version: int) -> dict[str, Any]:
        """What a commit says the log is; nothing where it does not, or was forgotten meanwhile."""
        lines = (self._place.commit(_name(version)) or b"").splitlines()
        said = [msgspec.json.decode(line, type=_Line) for line in lines]
        return {name: found for one in said for name in ("metadata", "protocol") if (found := getattr(one, name)) is not None}

    def _kept(self, version: int) -> dict[str, Any]:
        """What a checkpoint, which is all that came before it, says the log is."""
        content = io.BytesIO(self._place.commit(f"{version:020}.checkpoint.parquet") or b"")
        frame = pl.read_parquet(content, columns=["metaData", "protocol"])
        (metadata,), (protocol,) = (frame[name].drop_nulls().to_list() for name in ("metaData", "protocol"))
        return {"metadata": metadata, "protocol": {name: value for name, value in protocol.items() if value is not None}}


def exchange(place: Place, version: int, added: Iterable[PartFile], removed: Iterable[PartFile]) -> bool:
    """Commit other files with the same rows as the very next of `version`, which named those that go; False where another was first.

    Who exchanges has to look again then: what another took away in the same moment must not come back as rows of a new file.
    """
    said: list[Action] = [
        {"commitInfo": {"timestamp": _now_ms(), "operation": "OPTIMIZE", "operationParameters": {}, "engineInfo": "bedplate"}}
    ]
    said += [{"add": {**_added(file), "dataChange": False}} for file in added]
    said += [{"remove": {"path": file.name, "deletionTimestamp": _now_ms(), "dataChange": False, "size": file.size}} for file in removed]
    return place.add_commit(_name(version + 1), b"\n".join(map(msgspec.json.encode, said)))


def _name(version: int) -> str:
    return f"{version:020}.json"


def _numbers(form: re.Pattern[str], names: list[str]) -> list[int]:
    return [int(found[1]) for name in names if (found := form.fullmatch(name))]


def _grown(known: Known | None, wanted: pl.Schema) -> Known:
    """The log with the columns that it lacks; made, where there is none."""
    if known is None:
        text = text_of(wanted)
        metadata: Action = {
            "id": str(uuid.uuid4()), "name": None, "description": None, "format": {"provider": "parquet", "options": {}},
            "schemaString": text, "partitionColumns": [], "createdTime": _now_ms(), "configuration": _CONFIGURATION,
        }  # fmt: skip
        return Known(wanted, metadata, _allowed(_PLAIN, text))
    fresh = pl.Schema({name: dtype for name, dtype in wanted.items() if name not in known.schema})
    if not fresh:
        return known
    columns = json.loads(known.metadata["schemaString"])
    columns["fields"] += fields_of(fresh)
    text = json.dumps(columns, separators=(",", ":"))
    return Known(pl.Schema({**known.schema, **fresh}), {**known.metadata, "schemaString": text}, _allowed(known.protocol, text))


def _allowed(protocol: Action, text: str) -> Action:
    """The protocol that a table with these columns needs: a reader that does not know times without a zone is told so."""
    if '"timestamp_ntz"' not in text or _ZONELESS in protocol.get("writerFeatures", ()):
        return protocol
    written = protocol.get("writerFeatures", _IMPLIED)
    return {
        "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [*protocol.get("readerFeatures", ()), _ZONELESS],
        "writerFeatures": [*written, _ZONELESS],
    }  # fmt: skip


def _writable(found: dict[str, Any], place: Place) -> dict[str, Any]:
    """What was found, where appends as they are made here are all that it asks of a writer. Raises StoreError."""
    protocol = found["protocol"]
    unknown = sorted(set(protocol.get("writerFeatures", ())) - {*_IMPLIED, _ZONELESS})
    if unknown or 2 < protocol["minWriterVersion"] < 7:
        why = f"another program made it a table of the protocol's {', '.join(unknown) or protocol['minWriterVersion']}"
        raise StoreError(f"the log {place.folder} is not appended to", why=why, next="move the folder away: another is made")
    return found


def _added(file: PartFile) -> Action:
    return {
        "path": file.name, "partitionValues": {}, "size": file.size, "modificationTime": _now_ms(), "dataChange": True,
        "stats": json.dumps({"numRecords": file.rows}),
    }  # fmt: skip


def _info(is_first: bool) -> Action:
    made = {"operation": "CREATE TABLE" if is_first else "WRITE", "operationParameters": {"mode": "Append", "partitionBy": "[]"}}
    return {"timestamp": _now_ms(), **made, "isBlindAppend": True, "engineInfo": "bedplate"}


def _now_ms() -> int:
    return int(time.time() * 1000)
