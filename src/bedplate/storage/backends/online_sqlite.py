"""Online features in SQLite: the embedded store where LMDB is not installed; a table per version.

A version is written in one transaction, together with its place in the list of versions. Each thread has a connection of its own, so
where the file was deleted they may look into different ones: a table's name is given once for ever, and no others' rows lie under it.

Limits: one machine; a read is some two times slower than LMDB's.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw

from bedplate.storage import disk
from bedplate.storage.online import KEPT, Missing, OnlineError, Row

_PATIENCE_MS: Final = 60_000
_MISSING: Final = "no such table"


def open_folder(folder: Path) -> SqliteOnline:
    """The store in a folder, made where there is none."""
    return SqliteOnline(folder)


class SqliteOnline:
    """One file, opened on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open_ones: list[apsw.Connection] = []

    def has(self, artifact: str, version: str) -> bool:
        """As of `OnlineStore`."""
        try:
            return self._table(artifact, version) is not None
        except apsw.Error as error:
            raise self._error("read", error) from error

    def publish(self, artifact: str, version: str, rows: Iterable[Row]) -> None:
        """As of `OnlineStore`."""
        connection = self._connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._put(connection, artifact, version, rows)
            except BaseException:
                with suppress(apsw.SQLError):  # a full disk has rolled back already
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except apsw.Error as error:
            raise self._error("written", error) from error

    def get(self, artifact: str, version: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """As of `OnlineStore`."""
        try:
            table = self._tables().get((artifact, version)) or self._table(artifact, version)
            if table is None:
                raise self._missing(artifact, version)
            execute = self._connection().execute
            sql = f"SELECT value FROM {table} WHERE key = ?"  # the table's name is one of ours
            return [row[0] if (row := execute(sql, (key,)).fetchone()) else None for key in keys]
        except apsw.SQLError as error:
            self._tables().pop((artifact, version), None)
            if _MISSING in str(error):
                raise self._missing(artifact, version) from None
            raise self._error("read", error) from error
        except apsw.Error as error:
            raise self._error("read", error) from error

    def close(self) -> None:
        """As of `OnlineStore`."""
        with self._lock:
            for connection in self._open_ones:
                connection.close()
            self._open_ones.clear()
            self._local = threading.local()

    def _put(self, connection: apsw.Connection, artifact: str, version: str, rows: Iterable[Row]) -> None:
        if self._table(artifact, version) is not None:
            return
        table = f"rows_{secrets.token_hex(12)}"
        connection.execute("INSERT INTO published (artifact, version, place) VALUES (?, ?, ?)", (artifact, version, table))
        connection.execute(f"CREATE TABLE {table} (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows)  # as above
        old = connection.execute(
            "SELECT place FROM published WHERE artifact = ? ORDER BY number DESC LIMIT -1 OFFSET ?", (artifact, KEPT)
        ).fetchall()
        for (place,) in old:
            connection.execute(f"DROP TABLE {place}")
            connection.execute("DELETE FROM published WHERE place = ?", (place,))

    def _table(self, artifact: str, version: str) -> str | None:
        found = self._connection().execute("SELECT place FROM published WHERE artifact = ? AND version = ?", (artifact, version)).fetchone()
        if found is None:
            return None
        place = self._tables()[artifact, version] = str(found[0])
        return place

    def _tables(self) -> dict[tuple[str, str], str]:
        """The versions' tables as this thread's connection has met them."""
        found: dict[tuple[str, str], str] = vars(self._local).setdefault("tables", {})
        return found

    def _connection(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            disk.make_folder(self._folder)
            try:
                with disk.locked(self._folder / ".lock"):  # whoever turns WAL on waits for nobody: the first is alone
                    connection = apsw.Connection(str(self._folder / "online.db"))
                    connection.set_busy_timeout(_PATIENCE_MS)
                    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
                    connection.execute(
                        "CREATE TABLE IF NOT EXISTS published (number INTEGER PRIMARY KEY AUTOINCREMENT, artifact TEXT, version TEXT,"
                        " place TEXT, UNIQUE (artifact, version))"
                    )
            except apsw.Error as error:
                raise self._error("opened", error) from error
            self._local.connection = connection
            with self._lock:
                self._open_ones.append(connection)
        return connection

    def _missing(self, artifact: str, version: str) -> Missing:
        return Missing(f"{artifact} {version} is not published in {self._folder}", next="a server publishes it when it loads it")

    def _error(self, done: str, error: Exception) -> OnlineError:
        return OnlineError(
            f"online features in {self._folder} cannot be {done}", why=str(error), next="delete the folder: it is made again from the lake"
        )
