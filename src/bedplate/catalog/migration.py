"""Migrations: numbered SQL scripts that bring an older state to what this bedplate reads.

Each is applied once, alone, in one transaction; a state of a newer bedplate is refused. Scripts are in SQLite's words; another
engine brings a folder of its own with the same numbers. Limits: there is no way back; `bedplate doctor` advises a copy first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bedplate.core.errors import InternalError, Refused

from .database import Database

FOLDER = Path(__file__).parent / "migrations"
_FILE = re.compile(r"(\d{4})_([a-z_]+)\.sql\Z")


class Migration(msgspec.Struct, frozen=True):
    """One script: its number (from 1, without gaps), name and SQL."""

    number: int
    name: str
    script: str


def load_migrations(folder: Path = FOLDER) -> tuple[Migration, ...]:
    """The scripts of a folder in order. Raises InternalError where a number is missing or given twice."""
    found: list[Migration] = []
    for file in sorted(folder.glob("*.sql")):
        match = _FILE.match(file.name)
        if match is None or int(match[1]) != len(found) + 1:
            raise InternalError(f"{file.name}: migrations are numbered from 0001 without gaps")
        found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return tuple(found)


def pending(applied: int, known: Sequence[Migration], location: str = "") -> tuple[Migration, ...]:
    """The migrations still to apply. Raises Refused where the state is newer than every one known."""
    if applied > len(known):
        raise Refused(
            f"the state at {location} is from a newer bedplate",
            why=f"its schema has number {applied}; this bedplate knows up to {len(known)}",
            next="pip install --upgrade bedplate",
        )
    return tuple(known[applied:])


def migrate(database: Database, known: Sequence[Migration] | None = None) -> list[int]:
    """Bring a database up to date; returns the numbers that this call applied. Raises Refused for a newer state."""
    known = load_migrations() if known is None else known
    waiting = pending(database.schema(), known, database.location)
    return [migration.number for migration in waiting if database.apply(migration.number, migration.script)]
