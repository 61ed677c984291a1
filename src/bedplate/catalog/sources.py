"""Sources: what each attempt read of them, and what the committed head has seen."""

from __future__ import annotations

from collections.abc import Mapping

from bedplate.core.sources import Entry

from .database import Database
from .rows import entries_of, text


class Sources:
    """Offsets; they are written by `Catalog.commit`, with the output."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, step: str, parameter: str) -> tuple[Entry, ...]:
        """What the head of that step has seen of that source; empty before the first commit."""
        found = self._database.value("source_entries_of_head", step=step, parameter=parameter)
        return () if found is None else entries_of(found)

    def read_by(self, attempt: str) -> dict[str, tuple[Entry, ...]]:
        """What an attempt read of each source, by parameter."""
        return {row[0]: entries_of(row[1]) for row in self._database.rows("source_entries_of_attempt", attempt=attempt)}


def write_entries(database: Database, attempt: str, step: str, entries: Mapping[str, tuple[Entry, ...]], head: bool) -> None:
    """What an attempt read of its sources; inside a transaction."""
    for parameter, seen in entries.items():
        database.run("source_add", attempt=attempt, step=step, parameter=parameter, entries=text(seen))
        if head:
            database.run("source_head", step=step, parameter=parameter, attempt=attempt)
