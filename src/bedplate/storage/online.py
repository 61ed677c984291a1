"""Online: where a server reads features as of now, by entity, in microseconds: one packed value each, kept under the version they are of.

A version is published whole or not at all, and never changed afterwards: a server asks for the very version that the record names, so it
sees no half of one and no other. What is kept here is derived from the lake: it may be deleted at any time, and whoever misses it publishes
it again. Backends: `backends/online_lmdb.py` and `online_sqlite.py` (a file in the state folder that outlives the process),
`online_redis.py` (shared by machines). `testing/online_contract.py` is what each of them owes.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from bedplate.core.errors import UserError, WorldError
from bedplate.core.records import Version

FOLDER: Final = "online"
KEPT: Final = 3
"""Versions of an artifact that stay: the newest, and those that a server may still be reading while it changes over."""

Row = tuple[bytes, bytes]


class OnlineError(WorldError):
    """Online features could not be read or written."""


class Missing(OnlineError):
    """The version is not there: it was never published, or what held it came back empty."""


class OnlineStore(Protocol):
    """Keeps packed rows by entity. Every method may be called from any thread, and raises OnlineError where the store is out of reach."""

    def has(self, artifact: str, version: str) -> bool:
        """Whether the version is there, whole."""
        ...

    def publish(self, artifact: str, version: str, rows: Iterable[Row]) -> None:
        """Put a version there, whole or not at all; keys are at least one byte. Publishing it again changes nothing.

        Older versions of the artifact than the newest KEPT are taken away. Two may publish at once.
        """
        ...

    def get(self, artifact: str, version: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """The rows of these keys, None for those it has not. Raises Missing where the version is not there."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def serve(view: Any, version: Version, store: OnlineStore, now: Callable[[], datetime]) -> Any:
    """A view of a committed features version whose rows now come from the store, published there. Raises OnlineError."""
    return importlib.import_module(".backends.features_online", __package__).online(view, version, store, now)


def open_online(url: str, state: Path, project: str) -> OnlineStore:
    """The store of the setting `online`: `embedded` (LMDB where it is installed, else SQLite) or `redis://...`. Raises UserError."""
    if url == "embedded":
        backend = "online_lmdb" if importlib.util.find_spec("lmdb") else "online_sqlite"
        store: OnlineStore = importlib.import_module(f".backends.{backend}", __package__).open_folder(state / FOLDER)
        return store
    try:
        module = importlib.import_module(".backends.online_redis", __package__)
    except ModuleNotFoundError as error:
        raise UserError("online features in Redis need its client", why=f"{error.name} is not installed",
                        next="pip install 'bedplate[redis]'") from None  # fmt: skip
    shared: OnlineStore = module.open_url(url, project)
    return shared
