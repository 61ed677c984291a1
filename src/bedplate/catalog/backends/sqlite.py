"""SQLite as the catalog's database, through apsw: many processes on one file, each an equal peer.

Choices: write-ahead log only where the library has the fix for its reset bug (3.51.3), else a rollback journal; full sync either way,
so that what was committed survives a power cut. Writers begin IMMEDIATE and wait with jitter inside SQLite's own busy handler. A new
file is made whole under another name and then linked into place, so that an empty or foreign file is always damage, never a fresh start.
SQLite's locks do not outlive a fork: a child that opens the file anew believes that it holds its parent's, and what it commits is lost
when the parent closes (seen). So the connection is closed before every fork of this process, and each side opens its own on next use.
Limits: one machine; a network file system without shared memory maps and locks is not for it.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw

from bedplate.catalog.database import Result, Row, Value
from bedplate.catalog.queries import Query, load_queries
from bedplate.core.clock import Clock, SystemClock
from bedplate.core.errors import BedplateError, BusyError, CatalogError, InternalError, UserError

from .forks import close_at_fork

APPLICATION_ID = 0x62656470
"""`bedp`: marks the file as ours (shown by `file` and checked when opened)."""
WAL_SAFE = (3, 51, 3)
PATIENCE_S = 10.0
_PAUSE_S = 0.0002
_SOON_S = 0.05
_STATEMENTS = 256
_CACHE_KIB = 16 * 1024
"""Pages held, as far as they are touched: with SQLite's own 2 MiB a transaction of 1,000 logged runs wrote its pages several times."""


def journal_mode(version: str) -> str:
    """`wal` where that SQLite has the WAL-reset fix, else `delete` (a rollback journal)."""
    return "wal" if tuple(int(number) for number in version.split(".")) >= WAL_SAFE else "delete"


def open_url(url: str, *, makes: bool = True) -> SqliteDatabase:
    """The database of a URL, `sqlite:///FOLDER/catalog.db`, where a path that begins with `/` may have a fourth one."""
    place = url.partition("://")[2]
    return open_database(Path(place.removeprefix("/") if place.startswith("//") else place), makes=makes)


def open_database(
    path: Path, *, makes: bool = True, clock: Clock | None = None, jitter: Callable[[], float] | None = None
) -> SqliteDatabase:
    """The database at a path, with the machine's clock and randomness unless others are given.

    Where there is none it is made; with `makes` False an empty one stands for it, in memory.
    """
    kind = SqliteDatabase if makes or path.exists() or _log_of(path).exists() else UnmadeDatabase
    return kind(path, clock=clock or SystemClock(), jitter=jitter or random.SystemRandom().random)


class SqliteDatabase:
    """One SQLite file. `jitter` gives random numbers in [0, 1); `clock` waits and measures the waiting.

    `waited_s` is the longest wait for another process so far. Opens on first use.
    """

    def __init__(self, path: Path, *, clock: Clock, jitter: Callable[[], float], queries: Mapping[str, Query] | None = None) -> None:
        self.path = path
        self.waited_s = 0.0
        self._clock = clock
        self._jitter = jitter
        self._sql = {name: query.sql for name, query in (queries or load_queries()).items()}
        self._connection: apsw.Connection | None = None
        self._orphan: apsw.Connection | None = None
        self._lock = threading.RLock()
        self._began = 0.0
        self._place: tuple[int, int] | None = None
        close_at_fork(self)

    @property
    def location(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def engine(self) -> str:
        """The library's version and how it keeps commits safe."""
        version = apsw.sqlite_lib_version()
        wal = "write-ahead log" if journal_mode(version) == "wal" else "rollback journal, for it has the WAL-reset bug"
        return f"SQLite {version}, {wal}"

    @property
    def clock(self) -> Clock:
        """The machine's: there is but one."""
        return self._clock

    def rows(self, query: str, **values: Value) -> list[Row]:
        with self as connection:
            return connection.execute(self._sql[query], values).fetchall()

    def one(self, query: str, **values: Value) -> Row | None:
        found = self.rows(query, **values)
        return found[0] if found else None

    def value(self, query: str, **values: Value) -> Any:
        found = self.rows(query, **values)
        return found[0][0] if found else None

    def moved(self) -> int:
        with self as connection:
            return int(next(connection.execute("PRAGMA data_version"))[0])

    def run(self, query: str, **values: Value) -> int:
        with self as connection:
            if not connection.in_transaction:
                self._still_there()
            connection.execute(self._sql[query], values)
            return connection.changes()

    def many(self, query: str, values: Iterable[Mapping[str, Value]]) -> None:
        with self as connection:
            if connection.in_transaction:
                connection.executemany(self._sql[query], values)
                return
        self.transact(lambda: self.many(query, values))

    def composed(self, sql: str, values: Mapping[str, Value]) -> list[Row]:
        with self as connection:
            return connection.execute(sql, values).fetchall()

    def transact(self, work: Callable[[], Result]) -> Result:
        return self._within("BEGIN IMMEDIATE", work)

    def snapshot(self, work: Callable[[], Result]) -> Result:
        return self._within("BEGIN", work)

    def schema(self) -> int:
        with self as connection:
            return int(connection.pragma("user_version"))

    def apply(self, number: int, script: str) -> bool:
        def work() -> bool:
            with self as connection:
                if connection.pragma("user_version") >= number:
                    return False
                connection.execute(script).fetchall()
                connection.pragma("user_version", number)
                return True

        return self._within("BEGIN EXCLUSIVE", work)

    def tables(self) -> dict[str, tuple[str, ...]]:
        with self as connection:
            found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").fetchall()
            columns = {str(name): connection.execute("SELECT name FROM pragma_table_info(?)", (name,)).fetchall() for (name,) in found}
        return {name: tuple(str(column) for (column,) in listed) for name, listed in columns.items()}

    def dump(self, table: str) -> Iterator[Row]:
        with self as connection:
            yield from connection.execute(f'SELECT * FROM "{table}"')

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        with self as connection:
            connection.execute(f'PRAGMA defer_foreign_keys = ON; DELETE FROM "{table}"')
            if columns:
                places = ", ".join("?" for _ in columns)
                connection.executemany(f'INSERT INTO "{table}" ({", ".join(columns)}) VALUES ({places})', rows)

    def faults(self) -> list[str]:
        with self as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check")]
            found += [f"{row[0]} row {row[1]} names a missing {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")]
            return [line for line in found if line != "ok"]

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def before_fork(self) -> None:
        """Wait for this process's other threads, then close, unless this very thread is inside a transaction."""
        self._lock.acquire()
        if self._connection is not None and not self._connection.in_transaction:
            self.close()

    def after_fork_in_parent(self) -> None:
        """Let the other threads in again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Start afresh; a child born inside a transaction cannot. Its one thread is the one that took the lock."""
        self._orphan = self._connection
        self._lock.release()

    def _within(self, begin: str, work: Callable[[], Result]) -> Result:
        with self as connection:
            if connection.in_transaction:
                return work()
            self._still_there()
            connection.execute(begin)
            try:
                result = work()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

    def __enter__(self) -> apsw.Connection:
        """The connection of this process, for one thread at a time, with the engine's errors in our words.

        No generator, which took longer than a small query.
        """
        self._lock.acquire()
        if self._connection is not None and self._orphan is None:
            return self._connection
        try:
            if self._connection is None:
                self._connection = self._open()
            if self._orphan is not None:
                raise InternalError("this process was forked inside a catalog transaction", why="it has no connection of its own")
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()
        if error is None:
            return
        if isinstance(error, UnicodeEncodeError):
            raise UserError("a name given is not text", why=str(error)) from error
        if isinstance(error, apsw.Error):
            raise translated(error, self.path) from error

    def _still_there(self) -> None:
        """SQLite writes on into a file that was deleted, and all of it would be lost: see that the path still leads to ours."""
        if self._place != _place(self.path):
            raise CatalogError(
                f"the catalog at {self.path} was deleted or replaced while it was in use",
                why="what is recorded from here on would be lost",
                next="put it back, or run again: what is in the store is made anew",
            )

    def _open(self) -> apsw.Connection:
        self._found()
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=_STATEMENTS)
        connection.set_busy_handler(self._wait)
        # Without it this build plans a query anew for every value bound to it: 20 us a query instead of 6.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        if connection.pragma("application_id") != APPLICATION_ID:
            raise damaged(self.path, "it is not a catalog of bedplate")
        if connection.pragma("journal_mode") != journal_mode(apsw.sqlite_lib_version()):
            connection.pragma("journal_mode", journal_mode(apsw.sqlite_lib_version()))
        connection.pragma("synchronous", "FULL")
        connection.pragma("foreign_keys", True)
        connection.pragma("case_sensitive_like", True)
        connection.pragma("cache_size", -_CACHE_KIB)
        self._place = _place(self.path)
        return connection

    def _found(self) -> None:
        """See that the file is there: make it if not, refuse an empty one."""
        try:
            if not self.path.exists():
                self._no_log_left()
                self._make()
            elif self.path.stat().st_size == 0:
                raise damaged(self.path, "it is empty")
        except OSError as error:
            raise CatalogError(
                f"the catalog at {self.path} cannot be made",
                why=f"{error.strerror or error}",
                next="check the folder's rights and space, or set `state` in bedplate.toml to another place",
            ) from error

    def _no_log_left(self) -> None:
        """A new file beside the log of a deleted one would be mixed with it. Nothing is removed: another process may just have begun."""
        log = _log_of(self.path)
        if log.exists() and not self.path.exists():
            raise CatalogError(
                f"the catalog at {self.path} is gone, and its write-ahead log is left",
                why="what was recorded last is in that log, and a new catalog must not be mixed with it",
                next=f"bring it back from a copy; without one, move {log.name} away: the next run makes a new one, and everything anew",
            )

    def _make(self) -> None:
        """A whole empty catalog, made aside and linked into place: of several processes that try, one wins."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}.{int(self._jitter() * 1e9)}")
        try:
            os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))  # its log gets the same mode
            connection = apsw.Connection(str(aside))
            connection.pragma("journal_mode", journal_mode(apsw.sqlite_lib_version()))
            connection.pragma("application_id", APPLICATION_ID)
            connection.close()
            os.link(aside, self.path)
        except FileExistsError:
            return
        finally:
            aside.unlink(missing_ok=True)

    def _wait(self, tries: int) -> bool:
        """SQLite's busy handler: sleep up to 2.2 ms, less the longer it has waited; False gives up.

        Pauses shrink so that who has waited long asks most often: growing ones starved the unluckiest of eight writers for 0.8 s.
        """
        now = self._clock.monotonic()
        if tries == 0:
            self._began = now
        waited_s = now - self._began
        self.waited_s = max(self.waited_s, waited_s)
        if waited_s > PATIENCE_S:
            return False
        self._clock.sleep(_PAUSE_S + 10 * _PAUSE_S * self._jitter() / (1 + waited_s / _SOON_S))
        return True


class UnmadeDatabase(SqliteDatabase):
    """What is read where no catalog is yet: an empty one in memory, which lives as long as this does: looking leaves nothing behind."""

    def before_fork(self) -> None:
        """Stay open: there is no file to lock, and closed it would be gone."""
        self._lock.acquire()

    def after_fork_in_child(self) -> None:
        """As the parent."""
        self._lock.release()

    def _still_there(self) -> None:
        """It never was."""

    def _open(self) -> apsw.Connection:
        return apsw.Connection(":memory:", statementcachesize=_STATEMENTS)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _place(path: Path) -> tuple[int, int] | None:
    """Which file the path leads to; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def damaged(path: Path, why: str) -> CatalogError:
    """The file is not a whole catalog."""
    return CatalogError(
        f"the catalog at {path} is damaged",
        why=why,
        next="bring it back from a copy; without one, move it away: the next run makes a new one, and everything anew",
    )


def translated(error: apsw.Error, path: Path) -> BedplateError:
    """What SQLite raised, in our words."""
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return damaged(path, str(error))
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return BusyError(
            f"the catalog at {path} is busy", why=f"another process held it for over {PATIENCE_S:.0f} s", next="bedplate status"
        )
    if isinstance(error, apsw.FullError):
        return CatalogError(
            f"the catalog at {path} cannot be written", why="the disk is full", next="free some space (bedplate gc), then run again"
        )
    if isinstance(error, apsw.ReadOnlyError | apsw.CantOpenError | apsw.IOError | apsw.PermissionsError | apsw.ProtocolError):
        return CatalogError(
            f"the catalog at {path} cannot be opened or written",
            why=str(error),
            next="check the folder's rights and space, then: bedplate doctor",
        )
    return InternalError(f"the catalog's SQL failed: {error}", why=f"on {path}", next="please report this")
