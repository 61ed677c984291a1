"""Online features in LMDB: one file that processes map into memory.

Each version has a number, which its rows' keys begin with, and a mark that names the number. It is written in one transaction: killed
anywhere, it is there whole or not at all. A read looks at the mark in the same snapshot as the rows, and takes no lock. The file is sparse
and grows as it is written, up to `MOST_BYTES`.

Limits: one machine, no network file system. Keys beyond 511 bytes are kept under their digest.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import lmdb

from bedplate.storage import disk
from bedplate.storage.online import KEPT, Missing, OnlineError, Row

MOST_BYTES: Final = 64 << 30
_LONGEST_KEY: Final = 480
_WIDTH: Final = 8
_COUNT, _VERSIONS, _ROWS = b"count", b"version/", b"row/"


def open_folder(folder: Path) -> LmdbOnline:
    """The store in a folder, made where there is none. Raises OnlineError."""
    return LmdbOnline(folder)


class LmdbOnline:
    """One environment; opened on first use, as a file that cannot be opened is no reason not to start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._environment: lmdb.Environment | None = None

    def has(self, artifact: str, version: str) -> bool:
        """As of `OnlineStore`."""
        try:
            with self._open().begin() as transaction:
                return transaction.get(_mark(artifact, version)) is not None
        except lmdb.Error as error:
            raise self._error("read", error) from error

    def publish(self, artifact: str, version: str, rows: Iterable[Row]) -> None:
        """As of `OnlineStore`."""
        mark = _mark(artifact, version)
        try:
            with self._open().begin(write=True) as transaction:
                if transaction.get(mark) is not None:
                    return
                number = int.from_bytes(transaction.get(_COUNT) or b"") + 1
                transaction.put(_COUNT, number.to_bytes(_WIDTH))
                transaction.put(mark, number.to_bytes(_WIDTH))
                prefix = _ROWS + number.to_bytes(_WIDTH)
                for key, value in rows:
                    transaction.put(prefix + _short(key), value)
                _drop_old(transaction, artifact)
        except lmdb.Error as error:
            raise self._error("written", error) from error

    def get(self, artifact: str, version: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """As of `OnlineStore`."""
        environment = self._environment or self._open()
        try:
            with environment.begin() as transaction:
                get = transaction.get
                number = get(_mark(artifact, version))
                if number is not None:
                    prefix = _ROWS + number
                    return [get(prefix + (key if len(key) <= _LONGEST_KEY else _short(key))) for key in keys]
        except lmdb.Error as error:
            raise self._error("read", error) from error
        raise Missing(f"{artifact} {version} is not published in {self._folder}", next="a server publishes it when it loads it")

    def close(self) -> None:
        """As of `OnlineStore`."""
        with self._lock:
            if self._environment is not None:
                self._environment.close()
            self._environment = None

    def _open(self) -> lmdb.Environment:
        with self._lock:
            if self._environment is None:
                disk.make_folder(self._folder)
                try:
                    self._environment = lmdb.open(str(self._folder / "lmdb"), map_size=MOST_BYTES, max_readers=1024)
                except lmdb.Error as error:
                    raise self._error("opened", error) from error
            return self._environment

    def _error(self, done: str, error: Exception) -> OnlineError:
        return OnlineError(
            f"online features in {self._folder} cannot be {done}", why=str(error), next="delete the folder: it is made again from the lake"
        )


@cache
def _mark(artifact: str, version: str) -> bytes:
    """The key that says under which number a version's rows are."""
    return _VERSIONS + f"{artifact}/{version}".encode()


def _drop_old(transaction: lmdb.Transaction, artifact: str) -> None:
    """Take the rows of all but the newest versions away."""
    prefix = _VERSIONS + f"{artifact}/".encode()
    cursor = transaction.cursor()
    found = [(number, mark) for mark, number in _from(cursor, prefix)]
    for number, mark in sorted(found)[:-KEPT]:
        rows = _ROWS + number
        while cursor.set_range(rows) and bytes(cursor.key()).startswith(rows):
            cursor.delete()
        transaction.delete(mark)


def _from(cursor: lmdb.Cursor, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    if cursor.set_range(prefix):
        for key, value in cursor:
            if not bytes(key).startswith(prefix):
                return
            yield bytes(key), bytes(value)


def _short(key: bytes) -> bytes:
    return key if len(key) <= _LONGEST_KEY else key[:400] + hashlib.blake2b(key, digest_size=32).digest()
