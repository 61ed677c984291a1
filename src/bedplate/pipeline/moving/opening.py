"""Which tracker an address leads to: a folder of files, an SQLite database, or a server.

Choices: what needs a library is a backend, loaded by name; a server is reached through the one guarded client, so an address of this
machine or its neighbours must be among `allow_networks`. The token is what MLflow's own client sends: `MLFLOW_TRACKING_TOKEN`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from bedplate.catalog.tracking.theirs import Source
from bedplate.core.clock import Clock
from bedplate.core.errors import UserError
from bedplate.core.extras import load
from bedplate.network.guard import networks

from .database import SqliteStore
from .file_store import FileStore
from .folders import Folders
from .server import Server

_MOST_BYTES: Final = 1 << 40
_TIME_S: Final = 3600.0
_JSON: Final = {"Content-Type": "application/json"}


def open_source(uri: str, files: Sequence[Path], clock: Clock, allowed: str, environ: Mapping[str, str]) -> Source:
    """The tracker at an address; `files` are folders that its files may lie in besides its own. Raises UserError."""
    if uri.startswith(("http://", "https://")):
        return _server(uri, clock, allowed, environ.get("MLFLOW_TRACKING_TOKEN", ""))
    path = _path(uri)
    if path.is_dir():
        read = load("bedplate.storage.backends.yaml_text", "a folder of MLflow's files", "mlflow").read
        return FileStore(path, Folders(path, files), read)
    if path.is_file():
        foreign = load("bedplate.catalog.backends.foreign_sqlite", "an SQLite file", "").ForeignSqlite(path)
        if not foreign.columns("experiments"):
            raise UserError(f"{path} is no tracker's database", why="it has no experiments", next="bedplate import mlflow FOLDER|FILE|URL")
        return SqliteStore(foreign, Folders(path.resolve().parent, files))
    raise UserError(f"there is no tracker at {uri}", why=f"{path} is not there", next="give a folder, an SQLite file, or http(s)://HOST")


def _path(uri: str) -> Path:
    if uri.startswith("sqlite:///"):
        return Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("file:"):
        return Path(unquote(uri.removeprefix("file:").removeprefix("//")))
    if "://" in uri:
        scheme = uri.partition(":")[0]
        raise UserError(f"a tracker at {scheme}:// is not read", why="only folders, SQLite files and servers are", next="start its server")
    return Path(uri)


def _server(uri: str, clock: Clock, allowed: str, token: str) -> Server:
    module = load("bedplate.network.backends.client", "asking a server", "http")
    client, limits = module.Client(clock, networks(allowed)), module.Limits(_MOST_BYTES, _TIME_S)

    def asking(method: str, url: str, body: bytes) -> AbstractContextManager[Any]:
        found: AbstractContextManager[Any] = client.ask(method, url, limits, token, body=body, headers=_JSON if body else {})
        return found

    return Server(uri, asking)
