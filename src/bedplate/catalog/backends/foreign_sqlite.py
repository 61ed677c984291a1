"""An SQLite file of another program, to read: nothing in it is run or changed, and nobody's work on it is in our way.

Choices: opened read-only with triggers and views that call functions switched off and a schema that is not trusted; a limit on what one
value may weigh. Limits: a file whose write-ahead log needs to be recovered by its owner may have to be opened by it first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from bedplate.catalog.database import Row
from bedplate.core.errors import UserError

_MOST_VALUE_BYTES: Final = 64_000_000
_PATIENCE_MS: Final = 10_000


class ForeignSqlite:
    """A foreign file. Raises UserError where it is no database, or one that cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._connection.set_busy_timeout(_PATIENCE_MS)
            self._connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
            self._connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
            self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, _MOST_VALUE_BYTES)
            self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except apsw.Error as error:
            raise self._unread(error) from error

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table; none where there is no such table."""
        return frozenset(str(row[0]) for row in self.rows("SELECT name FROM pragma_table_info(:name)", {"name": table}))

    def rows(self, sql: str, values: dict[str, str | int | None] | None = None) -> Iterator[Row]:
        """The rows of our own query with its values."""
        try:
            yield from self._connection.execute(sql, values or {})
        except apsw.Error as error:
            raise self._unread(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _unread(self, error: apsw.Error) -> UserError:
        return UserError(f"{self.path} cannot be read as SQLite", why=str(error), next="is it the database of the tracker?")
