"""The whole record as lines of JSON, and back, also into another engine.

    {"format": 1, "schema": 2}                  the schema that the rows are of
    {"table": "runs", "columns": ["id", ..]}    from here on rows of this table
    ["r-1", ..]                                 one row

Floats that JSON lacks are `{"float": "nan"}`. Rows are written as they are at one moment, and read back in one transaction: into an
empty record, brought to the schema that they are of; the next `Catalog.open` brings it further.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec

from bedplate.core.errors import CorruptError, Refused

from .database import Database, Row
from .migration import load_migrations, migrate, pending

FORMAT = 1
_FLOAT = "float"


def write_record(database: Database, file: IO[bytes]) -> int:
    """Write every row, within a snapshot of the caller's; how many."""
    count = 0
    file.write(_line({"format": FORMAT, "schema": database.schema()}))
    for table, columns in database.tables().items():
        file.write(_line({"table": table, "columns": columns}))
        for row in database.dump(table):
            file.write(_line([_outward(value) for value in row]))
            count += 1
    return count


def read_record(database: Database, lines: Iterable[bytes]) -> int:
    """Fill an empty record; how many rows. Raises Refused for one that is not empty or is of a newer bedplate, CorruptError."""
    refuse_filled(database)
    rest = (_read(line) for line in lines)
    head = next(rest, None)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise CorruptError("this is not a record that was backed up", why=f"it begins with {str(head)[:80]!r}")
    known, schema = load_migrations(), int(head["schema"])
    pending(schema, known, "the backup")
    migrate(database, known[:schema])
    return database.transact(lambda: _fill(database, _tables(rest)))


def refuse_filled(database: Database) -> None:
    """Raises Refused where there is a record that anything ran in, or that a server was started on: it has accounts."""
    if database.schema() and (database.rows("run_ids") or database.rows("artifact_kinds") or _has_accounts(database)):
        raise Refused(
            f"there is a record at {database.location} already",
            why="a backup is restored onto an empty place, so that nothing is overwritten",
            next="give another catalog (--target NAME, --state URL), or move this one away",
        )


def _has_accounts(database: Database) -> bool:
    """Whether there are any; a record of before there were any has no table of them."""
    return "accounts" in database.tables() and bool(database.value("accounts_count"))


def _fill(database: Database, found: dict[str, tuple[list[str], list[Row]]]) -> int:
    """Every table, in the order in which rows may refer to others."""
    missing = set(found) - set(database.tables())
    if missing:
        raise CorruptError(f"the backup has tables that its schema lacks: {', '.join(sorted(missing))}")
    for table in database.tables():
        columns, rows = found.get(table, ([], []))
        database.fill(table, columns, rows)
    return sum(len(rows) for _, rows in found.values())


def _tables(lines: Iterator[Any]) -> dict[str, tuple[list[str], list[Row]]]:
    found: dict[str, tuple[list[str], list[Row]]] = {}
    rows: list[Row] = []
    for line in lines:
        if isinstance(line, dict):
            rows = []
            found[str(line["table"])] = (line["columns"], rows)
        else:
            rows.append(tuple(_inward(value) for value in line))
    return found


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _read(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise CorruptError("a line of the backed up record is not JSON", why=str(error)) from error


def _outward(value: Any) -> Any:
    return {_FLOAT: repr(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _inward(value: Any) -> Any:
    return float(value[_FLOAT]) if isinstance(value, dict) else value
