"""Artifacts and versions: what exists, which version is the head, and how a reference is read.

References: `late` (the head), `late@7`, `late@production` (an alias), `late@sha256:0ab3...` (a digest or its beginning, at least
six digits). Versions are never deleted: every one is the output of an attempt that the record names, so there is no `drop`; what
`gc` collects are bytes that no version names.
"""

from __future__ import annotations

import difflib

from bedplate.core.digests import PREFIX
from bedplate.core.errors import NotFound, UserError
from bedplate.core.kinds import Kind
from bedplate.core.records import Version

from .database import Database
from .rows import version_of
from .services import Services

_LATE = "~"
_LONGEST = 18
_SHORTEST = len(PREFIX) + 6


class Artifacts:
    """Reads versions; they are made by `Catalog.commit`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self, name: str) -> Version | None:
        """The version that consumers of `name` read now; None before the first."""
        row = self._database.one("version_head", artifact=name)
        return None if row is None else version_of(row)

    def heads(self) -> dict[str, Version]:
        """Every head by artifact name."""
        return {row[0]: version_of(row) for row in self._database.rows("version_heads")}

    def find(self, ref: str) -> Version | None:
        """The version that a reference names, or None. Raises UserError for a digest prefix that fits several."""
        name, at, which = ref.rpartition("@")
        if not at:
            return self.head(ref)
        if which.startswith(PREFIX):
            return self._by_digest(name, which)
        if which.isdecimal() and len(which) <= _LONGEST:
            row = self._database.one("version_by_number", artifact=name, number=int(which))
        else:
            row = self._database.one("version_by_alias", artifact=name, alias=which)
        return None if row is None else version_of(row)

    def get(self, ref: str) -> Version:
        """The version that a reference names. Raises NotFound with the nearest names."""
        found = self.find(ref)
        if found is None:
            raise self._missing(ref)
        return found

    def versions(self, name: str, limit: int = 20) -> list[Version]:
        """The newest versions, newest first."""
        return [version_of(row) for row in self._database.rows("versions_newest", artifact=name, limit=limit)]

    def names(self) -> dict[str, Kind]:
        """Every artifact with its kind."""
        return dict(self._database.rows("artifact_kinds"))

    def by_attempt(self, attempt: str) -> tuple[Version, ...]:
        """What an attempt made or made again, in the order of its drafts."""
        return tuple(version_of(row) for row in self._database.rows("versions_by_attempt", attempt=attempt))

    def referenced(self) -> list[Version]:
        """Every version whose bytes must be kept (invariant 4): named by a head, alias (now or ever), verdict, attempt or service."""
        return self._database.snapshot(self._referenced)

    def _referenced(self) -> list[Version]:
        found = [version_of(row) for row in self._database.rows("versions_referenced")]
        known = {version.ref for version in found}
        served = {f"{name}@{number}" for service in Services(self._database).list() for name, number in service.models.items()}
        return found + [version for ref in sorted(served - known) if (version := self.find(ref)) is not None]

    def _by_digest(self, name: str, digest: str) -> Version | None:
        if len(digest) < _SHORTEST:
            raise UserError(f"'{name}@{digest}' is too short", why="at least six digits of a digest are needed")
        rows = self._database.rows("version_by_digest", artifact=name, digest=digest, upto=digest + _LATE)
        if len({row[3] for row in rows}) > 1:
            refs = " and ".join(f"{row[0]}@{row[1]}" for row in rows)
            raise UserError(f"'{name}@{digest}' names several versions", why=f"{refs} begin so", next="give more digits")
        return version_of(rows[0]) if rows else None

    def _missing(self, ref: str) -> NotFound:
        name, at, which = ref.rpartition("@")
        name = name if at else ref
        names = self.names()
        if name not in names:
            near = difflib.get_close_matches(name, names, 3)
            hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else "bedplate status lists what there is"
            return NotFound(f"nothing is called '{name}'", why="the record has no such artifact", next=hint)
        if not at and not self.versions(name, 1):
            return NotFound(f"'{name}' has no version yet", why="a client registered its name only", next="mlflow.register_model(...)")
        if not at:
            return NotFound(f"'{name}' has no head", why="only side runs (--set, other targets) have made it", next=f"bedplate run {name}")
        newest = ", ".join(version.ref for version in self.versions(name, 3))
        return NotFound(f"there is no '{ref}'", why=f"no version, alias or digest of '{name}' is '{which}'", next=f"newest: {newest}")
