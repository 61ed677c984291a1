"""The port to a database: named queries and short immediate transactions.

A backend is done when `bedplate.testing.catalog_contract` passes against the real engine. What it owes:

* `transact(work)` runs `work` alone among writers (SQLite: BEGIN IMMEDIATE; PostgreSQL: serializable), commits what it did or
  undoes all of it, and may call `work` again after a conflict: `work` reads and writes the database and nothing else.
  A `transact` inside a `transact` joins it. `snapshot(work)` is the same for reading one moment.
* A query outside both is a transaction of its own.
* `clock` is what all who share the record go by.
* It waits for other processes with jitter, and gives up with BusyError.
* Whatever the engine raises comes out as CatalogError (the world's fault) or InternalError (our SQL).
* It may be used by several threads (one at a time goes in) and after a fork (a child gets a connection of its own).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from bedplate.core.clock import Clock

Row = tuple[Any, ...]
Value = str | int | float | None
Result = TypeVar("Result")


class Database(Protocol):
    """Where the record is kept; see the module for what a backend owes."""

    @property
    def location(self) -> str:
        """Where it is, for messages: a path or an address without credentials."""
        ...

    @property
    def engine(self) -> str:
        """What it is and how it keeps commits safe, for people."""
        ...

    @property
    def clock(self) -> Clock:
        """What all who share this record go by: machines whose own clocks differ agree on when a lease has expired."""
        ...

    def rows(self, query: str, **values: Value) -> list[Row]:
        """Every row of a named query."""
        ...

    def one(self, query: str, **values: Value) -> Row | None:
        """The first row, or None."""
        ...

    def value(self, query: str, **values: Value) -> Any:
        """The first column of the first row, or None."""
        ...

    def moved(self) -> int:
        """A number that is another one once another connection has committed something; two looks on one connection are compared."""
        ...

    def run(self, query: str, **values: Value) -> int:
        """Change something; returns how many rows changed."""
        ...

    def many(self, query: str, values: Iterable[Mapping[str, Value]]) -> None:
        """Run a change once for each mapping."""
        ...

    def composed(self, sql: str, values: Mapping[str, Value]) -> list[Row]:
        """Every row of a query that is put together for one question; what anybody wrote is among `values`, never in `sql`.

        It is in the words that both engines share: `LIKE` tells cases apart, and is given its ESCAPE.
        """
        ...

    def transact(self, work: Callable[[], Result]) -> Result:
        """Run `work` as one transaction and return what it returns. Raises BusyError, CatalogError."""
        ...

    def snapshot(self, work: Callable[[], Result]) -> Result:
        """Run `work`, which only reads, on one moment of the database."""
        ...

    def schema(self) -> int:
        """The number of the last migration applied; 0 for a new database."""
        ...

    def apply(self, number: int, script: str) -> bool:
        """Apply a migration alone, in one transaction; False where another process was first."""
        ...

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Every table with its columns, in an order in which they may be filled: who is referred to comes first."""
        ...

    def dump(self, table: str) -> Iterator[Row]:
        """Every row of a table, its columns in their order; within a `snapshot`."""
        ...

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Put these rows in the place of what a table has; within a `transact`."""
        ...

    def faults(self) -> list[str]:
        """What the engine's own check finds wrong; empty when whole. Reads everything: for `doctor`."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
