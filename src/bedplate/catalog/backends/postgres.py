"""PostgreSQL as the catalog's database, through psycopg: processes on many machines, each an equal peer with one connection.

Choices: all tables lie in one schema (`?schema=`, by default `bedplate`), so that projects share a database. A writer takes the schema's
advisory lock for its transaction: writers go one at a time, in the order of asking, as the port promises, and what they do needs no
serializable isolation, whose conflicts eight writers of one counter would meet all the time. Conflicts and deadlocks with others are
repeated all the same. Where the server goes away the connection is made anew, and what was under way is repeated; each transaction notes
its own number in a row of its process, which says whether a commit whose answer was lost took place, so that nothing is done twice. (The
server's own transaction ids do not: after a crash it gives those of lost transactions again.) A process that is frozen
inside a transaction is cut off by the server after 10 s, and repeats its work when it wakes.
A commit is acknowledged when it is on the server's disk: `synchronous_commit = off` is overruled.

Limits: PostgreSQL 13 and newer, UTF-8. Text cannot hold the character NUL there, which is kept as U+FFFD. A pooler must keep a connection
for a session. After a failover to a standby that was behind, an unanswered commit counts as undone.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from bedplate.catalog.database import Database, Result, Row, Value
from bedplate.catalog.queries import load_queries
from bedplate.core.clock import Clock, SystemClock
from bedplate.core.errors import CatalogError, InternalError, UserError

from . import postgres_dialect as dialect
from .forks import close_at_fork
from .postgres_address import parted
from .postgres_errors import Again, refused, translated
from .sqlite import UnmadeDatabase

Found = TypeVar("Found")
Connection = psycopg.Connection[Row]
PATIENCE_S = 30.0
"""How long the server may be gone before work under way is given up."""
_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0
_OLDEST = 130000
_SESSION = (
    "SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '10s'; SET default_transaction_isolation = 'read committed'; "
    "SET client_min_messages = 'warning'; SET enable_bitmapscan = off"
)
"""What each session is told. Without bitmaps it goes by an index's order also where the server has not yet looked at a table."""
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def open_url(url: str, *, makes: bool = True) -> Database:
    """The database of a URL, `postgresql://USER@HOST/DATABASE?schema=NAME`, with libpq's own options beside `schema`.

    Where there is no catalog yet it is made; with `makes` False an empty one stands for it, in memory.
    """
    database = PostgresDatabase(url, clock=SystemClock(), jitter=random.SystemRandom().random)
    if makes or database.schema():
        return database
    database.close()
    return UnmadeDatabase(Path(database.location), clock=SystemClock(), jitter=random.SystemRandom().random)


class PostgresDatabase:
    """One schema of a PostgreSQL database. `jitter` gives random numbers in [0, 1); `clock` waits. Connects on first use."""

    def __init__(self, url: str, *, clock: Clock, jitter: Callable[[], float]) -> None:
        self._conninfo, self._schema = parted(url)
        self._clock = clock
        self._jitter = jitter
        self._sql = {name: dialect.query(query.sql) for name, query in load_queries().items()}
        self._connection: Connection | None = None
        self._orphan: Connection | None = None
        self._lock = threading.RLock()
        self._alone = f"SELECT pg_advisory_xact_lock({dialect.lock_number(self._schema)})"
        self._id, self._number = secrets.token_hex(8), 0
        self._inside = False
        self._met = False
        self._measured: tuple[datetime, float] | None = None
        close_at_fork(self)

    @property
    def location(self) -> str:
        """Host, database and schema."""
        known = self._conninfo
        host = f"{known.get('host', 'localhost')}:{known.get('port', 5432)}"
        return f"postgresql://{host}/{known.get('dbname', '')}?schema={self._schema}"

    @property
    def engine(self) -> str:
        """The server's version and how it keeps commits safe."""
        version, fsync = self.composed("SELECT current_setting('server_version'), current_setting('fsync')", {})[0]
        return f"PostgreSQL {version}, write-ahead log" + ("" if fsync == "on" else ", NOT safe: fsync is off")

    @property
    def clock(self) -> Clock:
        """The server's, measured with every write and carried on by this machine's monotonic clock, which does not jump."""
        return ServerClock(self, self._clock)

    def measured(self) -> tuple[datetime, float]:
        """A time of the server, and what this machine's monotonic clock then was."""
        if self._measured is None:
            self._read(lambda connection: self._measure(_row(connection, "SELECT clock_timestamp()")[0]))
        assert self._measured is not None
        return self._measured

    def rows(self, query: str, **values: Value) -> list[Row]:
        return self._read(lambda connection: connection.execute(self._sql[query], dialect.kept(values)).fetchall())

    def one(self, query: str, **values: Value) -> Row | None:
        found = self.rows(query, **values)
        return found[0] if found else None

    def value(self, query: str, **values: Value) -> Any:
        found = self.rows(query, **values)
        return found[0][0] if found else None

    def moved(self) -> int:
        return int(self.composed("SELECT pg_snapshot_xmax(pg_current_snapshot())::text", {})[0][0])

    def run(self, query: str, **values: Value) -> int:
        return self.transact(lambda: self._ask(lambda connection: connection.execute(self._sql[query], dialect.kept(values)).rowcount))

    def many(self, query: str, values: Iterable[Mapping[str, Value]]) -> None:
        listed = [dialect.kept(one) for one in values]

        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(self._sql[query], listed)
            connection.execute("SELECT 1")  # after a pipeline alone the server does not watch for an idle transaction (18.4)

        if listed:
            self.transact(lambda: self._ask(work))

    def composed(self, sql: str, values: Mapping[str, Value]) -> list[Row]:
        return self._read(lambda connection: connection.execute(dialect.query(sql), dialect.kept(values)).fetchall())

    def transact(self, work: Callable[[], Result]) -> Result:
        return self._within(f"BEGIN; {self._alone}; SELECT clock_timestamp()", work)

    def snapshot(self, work: Callable[[], Result]) -> Result:
        return self._within(_SNAPSHOT, work)

    def schema(self) -> int:
        def work(connection: Connection) -> int:
            place = f"{dialect.quoted(self._schema)}.migrations"
            if _row(connection, "SELECT to_regclass(%s)::text", place)[0] is None:
                return 0
            return int(_row(connection, f"SELECT coalesce(max(number), 0) FROM {place}")[0])

        return self._read(work)

    def apply(self, number: int, script: str) -> bool:
        def work(connection: Connection) -> bool:
            name = dialect.quoted(self._schema)
            if not _row(connection, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", self._schema)[0]:
                connection.execute(f"CREATE SCHEMA {name}")
            connection.execute(dialect.OWN_TABLES)
            if _row(connection, "SELECT coalesce(max(number), 0) FROM migrations")[0] >= number:
                return False
            connection.execute(dialect.script(script))
            connection.execute("INSERT INTO migrations (number) VALUES (%s)", (number,))
            return True

        return self.transact(lambda: self._ask(work))

    def tables(self) -> dict[str, tuple[str, ...]]:
        rows = self._read(lambda connection: connection.execute(dialect.TABLES, (self._schema,)).fetchall())
        return {name: tuple(columns) for name, columns in rows}

    def dump(self, table: str) -> Iterator[Row]:
        if self._connection is None or not self._inside:
            raise InternalError("a dump is made within a snapshot")
        with self._connection.cursor(name="dump") as cursor:
            yield from cursor.execute(f"SELECT * FROM {dialect.quoted(table)}")

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        name, listed = dialect.quoted(table), ", ".join(dialect.quoted(column) for column in columns)

        def work(connection: Connection) -> None:
            connection.execute(f"DELETE FROM {name}")
            if not columns:
                return
            with connection.cursor() as cursor, cursor.copy(f"COPY {name} ({listed}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row([value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row])
            if "id" in columns and _row(connection, "SELECT pg_get_serial_sequence(%s, 'id')", name)[0]:
                last = f"SELECT setval(pg_get_serial_sequence(%s, 'id'), coalesce(max(id), 0) + 1, false) FROM {name}"
                connection.execute(last, (name,))

        self._ask(work)

    def faults(self) -> list[str]:
        return self._read(lambda connection: _faults(connection, self._schema))

    def close(self) -> None:
        with self._lock:
            self._drop()

    def before_fork(self) -> None:
        self._lock.acquire()
        if not self._inside:
            self._drop()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Start afresh; a child born inside a transaction cannot."""
        self._orphan = self._connection
        self._id, self._number = secrets.token_hex(8), 0
        self._lock.release()

    def _read(self, work: Callable[[Connection], Found]) -> Found:
        """Ask, in a transaction of its own unless one is under way."""
        with self._lock:
            return self._ask(work) if self._inside else self._persist(lambda: self._ask(work))

    def _within(self, begin: str, work: Callable[[], Result]) -> Result:
        with self._lock:
            return work() if self._inside else self._persist(lambda: self._once(begin, work))

    def _once(self, begin: str, work: Callable[[], Result]) -> Result:
        """One try at a transaction. Raises Again where it should be repeated."""
        changes, worked = False, False
        self._ready()
        self._inside = True
        try:
            begun = self._ask(lambda connection: _last(connection, begin))
            if begun is not None:
                changes = True
                self._measure(begun[0])
            result = work()
            worked = True
            self._end(self._noted() if changes else "")
        except BaseException as error:
            self._undo()
            self._inside = False
            if not (worked and changes and isinstance(error, Again) and self._took_place()):
                raise
        finally:
            self._inside = False
        return result

    def _measure(self, now: datetime) -> None:
        self._measured = (now, self._clock.monotonic())

    def _noted(self) -> str:
        """SQL by which this transaction is known again, where its commit is not answered."""
        self._number += 1
        old = "DELETE FROM sessions WHERE at < now() - interval '1 day'; " if self._number == 1 else ""
        row = f"INSERT INTO sessions (id, number, at) VALUES ('{self._id}', {self._number}, now())"
        return f"{old}{row} ON CONFLICT (id) DO UPDATE SET number = excluded.number, at = excluded.at; "

    def _end(self, noted: str) -> None:
        self._ask(lambda connection: connection.execute(f"{noted}COMMIT"))

    def _took_place(self) -> bool:
        """Whether the transaction whose commit was not answered was committed; waits for it to end, as the next writer would."""

        def asked(connection: Connection) -> bool:
            _last(connection, f"BEGIN; {self._alone}")
            found = connection.execute("SELECT 1 FROM sessions WHERE id = %s AND number = %s", (self._id, self._number)).fetchone()
            connection.execute("ROLLBACK")
            return found is not None

        return self._persist(lambda: self._ask(asked))

    def _undo(self) -> None:
        """Roll back; where that cannot be, the server does, for its connection is dropped."""
        try:
            if self._connection is not None:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._drop()

    def _persist(self, ask: Callable[[], Found]) -> Found:
        """Ask until it is answered, for as long as patience lasts."""
        began, tries = self._clock.monotonic(), 0
        while True:
            try:
                return ask()
            except Again as error:
                if error.lost:
                    self._drop()
                patience_s = PATIENCE_S if self._met or not error.refused else 0.0
                if self._clock.monotonic() - began >= patience_s:
                    raise error.final from error
                pause_s = min(_PAUSE_S * 2**tries, _LONGEST_PAUSE_S)
                self._clock.sleep(pause_s * (0.5 + self._jitter()))
                tries += 1

    def _ask(self, work: Callable[[Connection], Found]) -> Found:
        """Use the connection once. Raises Again for what may pass, else the engine's error in our words."""
        if self._orphan is not None:
            raise InternalError("this process was forked inside a catalog transaction", why="it has no connection of its own")
        if not self._inside:
            self._ready()
        if self._connection is None:
            raise Again(CatalogError(f"the connection to {self.location} was lost"), lost=True)
        try:
            return work(self._connection)
        except psycopg.Error as error:
            raise translated(error, self.location, closed=self._connection.closed) from error
        except UnicodeEncodeError as error:
            raise UserError("a name given is not text", why=str(error)) from error

    def _ready(self) -> None:
        """Have a connection with no transaction under way: an interrupt may have left one."""
        if self._connection is not None and self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self._drop()
        if self._connection is None:
            self._connection = self._connect()

    def _connect(self) -> Connection:
        try:
            connection = psycopg.connect(**self._conninfo, autocommit=True)
        except psycopg.Error as error:
            raise refused(error, self.location) from error
        try:
            self._prepare(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, psycopg.Error):
                raise translated(error, self.location, closed=True) from error
            raise
        self._met = True
        return connection

    def _prepare(self, connection: Connection) -> None:
        """See that the server will do, and set the session."""
        encoding, durable = _row(connection, "SELECT current_setting('server_encoding'), current_setting('synchronous_commit')")
        version = connection.info.server_version
        if version < _OLDEST or encoding != "UTF8":
            raise CatalogError(
                f"the database at {self.location} cannot hold a catalog",
                why=f"PostgreSQL 13 or newer with UTF-8 is needed; it is {version // 10000} with {encoding}",
                next="CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
            )
        connection.execute(f"SET search_path = {dialect.quoted(self._schema)}; {_SESSION}")
        if durable == "off":
            connection.execute("SET synchronous_commit = on")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class ServerClock:
    """The time of a database's server."""

    def __init__(self, database: PostgresDatabase, own: Clock) -> None:
        self._database = database
        self._own = own

    def now(self) -> datetime:
        at, then = self._database.measured()
        return (at + timedelta(seconds=self._own.monotonic() - then)).astimezone(UTC)

    def monotonic(self) -> float:
        return self._own.monotonic()

    def sleep(self, seconds: float) -> None:
        self._own.sleep(seconds)


def _row(connection: Connection, sql: Any, *values: Value) -> Row:
    found = connection.execute(sql, values or None).fetchone()
    assert found is not None
    return found


def _last(connection: Connection, sql: Any) -> Row | None:
    """Run several statements at once; the row that the last of them gives, if it gives one."""
    cursor = connection.execute(sql)
    while cursor.nextset():
        pass
    return cursor.fetchone() if cursor.description else None


def _faults(connection: Connection, schema: str) -> list[str]:
    """Read every row of every table, and ask for what the server itself knows to be broken."""
    found = [] if _row(connection, "SELECT current_setting('fsync')")[0] == "on" else ["fsync is off: a power cut may lose commits"]
    invalid = connection.execute(
        "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND NOT i.indisvalid", (schema,),
    )  # fmt: skip
    found += [f"the index {row[0]} is not valid: REINDEX it" for row in invalid]
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename", (schema,)).fetchall()
    for (table,) in tables:
        try:
            connection.execute(f"SELECT sum(length(t::text)) FROM {dialect.quoted(table)} AS t")
        except psycopg.DatabaseError as error:
            if connection.closed:
                raise
            found.append(f"the table {table} cannot be read: {str(error).splitlines()[0]}")
    return found
