"""The doors of a target: lists what a source holds, and reads it.

Choices: a source's kind decides; what needs a library is a backend, loaded by name. What comes from the web is kept under the digest of its
address and stamp until it has not been asked for in two weeks, so that a step that is tried again does not fetch it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bedplate.core import extras
from bedplate.core.clock import Clock
from bedplate.core.errors import UserError, WorldError
from bedplate.core.sources import Entry, Files, Http, Package, Redis, Source, Sql
from bedplate.core.units import byte_count, seconds
from bedplate.network.guard import networks

from .address import filled
from .listing import list_files, list_package

KEPT_S = 14 * 86_400.0
_LONGEST_NAME = 100
_SQLITE = "sqlite:///"


class Doors:
    """Lists and reads sources of the project in `folder`.

    `downloads` is where files of the web are kept; `allowed` is the setting `allow_networks`.
    """

    def __init__(self, folder: Path, downloads: Path, clock: Clock, allowed: str = "none", environ: Mapping[str, str] = os.environ) -> None:
        self._folder = folder
        self._downloads = downloads
        self._clock = clock
        self._allowed = networks(allowed)
        self._environ = environ

    def listed(self, source: Source, folder: Path, before: tuple[Entry, ...] = ()) -> tuple[Entry, ...]:
        """The entries of a source, by name. Raises UserError where there is nothing to read, WorldError where nobody answers."""
        match source:
            case Files():
                return list_files(source, folder)
            case Package():
                return list_package(source)
            case Sql():
                listed: tuple[Entry, ...] = _backend("sql").entries(source, self._address(source.url), before)
            case Redis():
                listed = _backend("redis").entries(source, self._address(source.url))
            case Http():
                listed = tuple(self._stamped(source, url) for url in source.urls)
            case _:
                raise UserError(f"a {type(source).__name__} cannot be listed", why="no such source is known here")
        return listed

    def frame(self, paths: Sequence[Path]) -> Any:
        """See `core.sources.Reader`."""
        return _backend("frames").frame(paths)

    def broken(self, paths: Sequence[Path], error: Exception) -> UserError | None:
        """See `core.sources.Reader`."""
        found: UserError | None = _backend("frames").broken(paths, error) if type(error).__module__.startswith("polars") else None
        return found

    def rows(self, source: Source, entries: Sequence[Entry], seen: Sequence[Entry]) -> Any:
        """See `core.sources.Reader`."""
        if isinstance(source, Sql):
            return _backend("sql").rows(source, self._address(source.url), entries, seen)
        assert isinstance(source, Redis)
        return _backend("redis").rows(source, self._address(source.url))

    def fetch(self, source: Source, entries: Sequence[Entry]) -> list[Path]:
        """See `core.sources.Reader`."""
        assert isinstance(source, Http)
        self._downloads.mkdir(parents=True, exist_ok=True)
        self._forget()
        return [self._fetched(source, entry) for entry in entries]

    def _stamped(self, source: Http, url: str) -> Entry:
        """What an address holds now, by what its server says of it, else by what it sends."""
        client, limits, token = self._client(source)
        asked = self._address(url)
        answer = client.head(asked, limits, token)
        stamp, size = _validator(answer.headers), answer.headers.get("content-length", "")
        if stamp:
            return Entry(url, url, int(size) if size.isdecimal() else 0, stamp)
        with client.ask("GET", asked, limits, token) as answer:
            digest, count = hashlib.sha256(), 0
            for piece in _client_module().found(asked, answer).body:
                digest.update(piece)
                count += len(piece)
        return Entry(url, url, count, f"sha256:{digest.hexdigest()}")

    def _fetched(self, source: Http, entry: Entry) -> Path:
        path = self._downloads / f"{hashlib.sha256(f'{entry.name} {entry.stamp}'.encode()).hexdigest()[:16]}-{_name(entry.name)}"
        if path.exists():
            os.utime(path)
            return path
        client, limits, token = self._client(source)
        asked = self._address(entry.name)
        arriving = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            digest = hashlib.sha256()
            with client.ask("GET", asked, limits, token) as answer, arriving.open("wb") as file:
                for piece in _client_module().found(asked, answer).body:
                    digest.update(piece)
                    file.write(piece)
            if entry.stamp not in (_validator(answer.headers), f"sha256:{digest.hexdigest()}"):
                what = f"{urlsplit(asked).hostname} sends something else than when the run was planned"
                raise WorldError(what, why=f"{entry.name} changed meanwhile", next="bedplate run")
            arriving.replace(path)
        finally:
            arriving.unlink(missing_ok=True)
        return path

    def _address(self, url: str) -> str:
        """An address as it is used; a SQLite file is looked for beside the project."""
        found = filled(url, self._environ)
        place = found.removeprefix(_SQLITE)
        return f"{_SQLITE}{self._folder / place}" if found.startswith(_SQLITE) and place and not place.startswith(("/", ":")) else found

    def _client(self, source: Http) -> tuple[Any, Any, str]:
        module = _client_module()
        token = filled(f"${{{source.token}}}", self._environ) if source.token else ""
        limits = module.Limits(byte_count(source.size), seconds(source.time))
        return module.Client(self._clock, self._allowed), limits, token

    def _forget(self) -> None:
        """Files that nobody asked for lately go."""
        before = self._clock.now().timestamp() - KEPT_S
        for path in self._old(before):
            with contextlib.suppress(OSError):
                path.unlink()

    def _old(self, before: float) -> Iterator[Path]:
        for path in self._downloads.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and path.stat().st_mtime < before:
                    yield path


def _validator(headers: Mapping[str, str]) -> str:
    """What changes with an answer's content: its ETag, else its time and length; empty where the server says neither."""
    if headers.get("etag"):
        return headers["etag"]
    if headers.get("last-modified"):
        return f"{headers['last-modified']} {headers.get('content-length', '')}"
    return ""


def _name(url: str) -> str:
    """A file name for an address, which keeps its ending."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", urlsplit(url).path.rpartition("/")[2])[-_LONGEST_NAME:] or "file"


def _backend(name: str) -> Any:
    return importlib.import_module(f"bedplate.stages.ingest.backends.{name}")


def _client_module() -> Any:
    return extras.load("bedplate.network.backends.client", "Http(...)", "http")
