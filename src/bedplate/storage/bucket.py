"""The port to an object store: whole objects under keys, and one promise that a lake cannot do without.

A backend is done when `bedplate.testing.store_contract` passes against the real server. What it owes:

* `write`, `send` and `create` are whole or not at all: killed anywhere, a reader sees the object before or the one after.
* `create` makes an object only where there is none, decided by the store itself (put-if-absent). Commits of tables stand on it; a store
  that does not keep it is refused when it is opened (`backends/objects.py`).
* Answers that are slow, lost or refused for the moment are asked for again; what remains comes out as StoreError.
* It may be used by several threads. Keys are relative to the store's address and have `/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec


class Object(msgspec.Struct, frozen=True):
    """One object: its key, size in bytes, and when it was written (seconds of the epoch, by the store's clock)."""

    key: str
    size: int
    at: float


class Bucket(Protocol):
    """An object store, from one address on."""

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        ...

    @property
    def options(self) -> dict[str, str]:
        """What deltalake is told, to reach the same place."""
        ...

    def read(self, key: str) -> bytes | None:
        """An object's bytes; None where there is none."""
        ...

    def fetch(self, key: str, path: Path) -> None:
        """Copy an object to a file. Raises StoreError where it is gone, CorruptError for a blob of other bytes than it is named by."""
        ...

    def write(self, key: str, content: bytes) -> None:
        """Put bytes, over what is there."""
        ...

    def send(self, path: Path, key: str) -> None:
        """Put a file, over what is there; a large one in parts."""
        ...

    def create(self, key: str, content: bytes) -> bool:
        """Put bytes where there is nothing; False where there is something, which stays."""
        ...

    def size(self, key: str) -> int | None:
        """An object's size in bytes; None where there is none."""
        ...

    def list(self, prefix: str) -> Iterator[Object]:
        """Every object below a prefix that ends with `/`."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that is not there is no error."""
        ...
