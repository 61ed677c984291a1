"""Lineage: where a version came from, down to source files, and what was made of it.

An edge says that `downstream` was made by an attempt that was handed `upstream` as `parameter`. Where equal content was made from
several inputs, all of them are shown.
"""

from __future__ import annotations

from bedplate.core.records import Record, Version
from bedplate.core.sources import Entry

from .database import Database
from .rows import entries_of


class Edge(Record, frozen=True, kw_only=True):
    """One arrow: references (`late@7`), the parameter and the first attempt."""

    upstream: str
    downstream: str
    parameter: str
    attempt: str


class SourceEdge(Record, frozen=True, kw_only=True):
    """A version made by reading a source: the parameter and the files (or rows) that it held."""

    downstream: str
    parameter: str
    entries: tuple[Entry, ...]


class Lineage(Record, frozen=True, kw_only=True):
    """Everything above and below one version; `sources` are those of the version and of all above it."""

    version: Version
    upstream: tuple[Edge, ...] = ()
    downstream: tuple[Edge, ...] = ()
    sources: tuple[SourceEdge, ...] = ()


def lineage_of(database: Database, version: Version) -> Lineage:
    """Lineage of a version, read from one moment of the database."""
    return database.snapshot(lambda: _lineage(database, version))


def handed_to(database: Database, attempt: str) -> tuple[str, ...]:
    """References of the versions that an attempt was handed."""
    return tuple(f"{artifact}@{number}" for artifact, number in database.rows("inputs_of_attempt", attempt=attempt))


def read_by(database: Database, attempt: str) -> tuple[str, ...]:
    """The names of what an attempt read of its sources."""
    return tuple(entry.name for _, entries in database.rows("sources_of_attempt", attempt=attempt) for entry in entries_of(entries))


def _lineage(database: Database, version: Version) -> Lineage:
    up = _edges(database, "lineage_up", version)
    down = _edges(database, "lineage_down", version)
    above = dict.fromkeys([version.ref, *(edge.upstream for edge in up)])
    sources = [found for ref in above for found in _sources(database, ref)]
    return Lineage(version=version, upstream=up, downstream=down, sources=tuple(sources))


def _edges(database: Database, query: str, version: Version) -> tuple[Edge, ...]:
    found = database.rows(query, artifact=version.artifact, number=version.number)
    return tuple(Edge(upstream=f"{a}@{n}", parameter=p, attempt=attempt, downstream=f"{b}@{m}") for a, n, p, attempt, b, m in found)


def _sources(database: Database, ref: str) -> list[SourceEdge]:
    artifact, _, number = ref.rpartition("@")
    found = database.rows("lineage_sources", artifact=artifact, number=int(number))
    made = [SourceEdge(downstream=ref, parameter=row[2], entries=entries_of(row[3])) for row in found]
    return [edge for place, edge in enumerate(made) if edge not in made[:place]]
