"""Many runs side by side: where their code came from, what their steps were keyed by, what they were handed. A few queries for all of them.

A run of the project is its steps, the first part of each; an attempt is its own step; a client's run has no steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec

from bedplate.catalog.database import Database
from bedplate.core.records import KeyParts, Record

from .pages import Values, chunks

_AT_ONCE: Final = 500
_MOST_STEPS, _MOST_RESULTS = 5_000, 500
_ORIGINS: Final = (
    "SELECT t.id, r.git_commit, r.git_dirty, r.command FROM tracked AS t LEFT JOIN attempts AS a ON a.id = t.id "
    "JOIN runs AS r ON r.id = coalesce(a.run, t.id) WHERE t.id IN ({})"
)
_STEPS_OF_RUNS: Final = (
    "SELECT s.run, s.name, s.key_parts, s.result FROM steps AS s WHERE s.run IN ({0}) "
    "AND s.part = (SELECT min(m.part) FROM steps AS m WHERE m.run = s.run AND m.name = s.name) ORDER BY s.id LIMIT {1}"
)
_STEPS_OF_ATTEMPTS: Final = (
    "SELECT a.id, s.name, s.key_parts, a.id FROM attempts AS a JOIN steps AS s ON s.run = a.run AND s.name = a.step AND s.part = a.part "
    "WHERE a.id IN ({0}) LIMIT {1}"
)
_RESULTS: Final = (
    "SELECT s.run, s.name, s.result FROM steps AS s WHERE s.run IN ({0}) AND s.result <> '' "
    "AND s.part = (SELECT min(m.part) FROM steps AS m WHERE m.run = s.run AND m.name = s.name) LIMIT {1}"
)
_PARTS: Final = "SELECT digest, parts FROM key_parts WHERE digest IN ({})"
_INPUTS: Final = (
    "SELECT attempt, artifact, number FROM inputs WHERE attempt IN ({}) AND number IS NOT NULL ORDER BY attempt, artifact, number"
)
_CURVED: Final = (
    "SELECT c.name, count(*) AS often FROM curves AS c WHERE c.run IN ({}) "
    "AND (SELECT count(*) FROM (SELECT 1 AS one FROM points AS p WHERE p.curve = c.id LIMIT 2) AS f) = 2 "
    "GROUP BY c.name ORDER BY often DESC, c.name"
)
_parts = msgspec.json.Decoder(KeyParts)


class Origin(Record, frozen=True, kw_only=False):
    """Where a run's code came from, as the record knows it: git, and what was started."""

    commit: str
    is_dirty: bool
    command: str


class KeyedStep(Record, frozen=True, kw_only=False):
    """A step of a run: what its key was made of (None: not known), and the attempt that stands for it."""

    name: str
    parts: KeyParts | None
    result: str


class Compared:
    """Reads what a comparison of runs shows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def curved(self, runs: Sequence[str]) -> list[str]:
        """The metrics of which some of these runs (500 at most) have more than one point, the most frequent first."""
        if not runs:
            return []
        values = Values()
        return [str(row[0]) for row in self._database.composed(_CURVED.format(values.listed(runs)), values.given)]

    def origins(self, runs: Sequence[str]) -> dict[str, Origin]:
        """Where the code of each run came from."""
        found = {}
        for some in chunks(runs, _AT_ONCE):
            values = Values()
            for id, commit, is_dirty, command in self._database.composed(_ORIGINS.format(values.listed(some)), values.given):
                found[str(id)] = Origin(commit, bool(is_dirty), command)
        return found

    def steps(self, runs: Sequence[str]) -> dict[str, list[KeyedStep]]:
        """The steps of each run that has some; equal key parts are one record."""
        rows = []
        for some in chunks(runs, _AT_ONCE):
            for query in (_STEPS_OF_RUNS, _STEPS_OF_ATTEMPTS):
                values = Values()
                rows += self._database.composed(query.format(values.listed(some), _MOST_STEPS), values.given)
        parts: dict[str, KeyParts] = {}
        for some in chunks(sorted({row[2] for row in rows if row[2]}), _AT_ONCE):
            values = Values()
            parts |= {row[0]: _parts.decode(row[1]) for row in self._database.composed(_PARTS.format(values.listed(some)), values.given)}
        found: dict[str, list[KeyedStep]] = defaultdict(list)
        for run, name, digest, result in rows:
            found[run].append(KeyedStep(name, parts.get(digest), result))
        return dict(found)

    def results(self, runs: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """The steps of each run (500 at most) that has some, with the attempt that stands for each: of this run, or an earlier one.

        By name; of runs with very many steps, some.
        """
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        if runs:
            values = Values()
            for run, name, result in sorted(self._database.composed(_RESULTS.format(values.listed(runs), _MOST_RESULTS), values.given)):
                found[run].append((name, result))
        return dict(found)

    def inputs(self, attempts: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
        """The versions (artifact, number) that each attempt was handed."""
        found: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for some in chunks(attempts, _AT_ONCE):
            values = Values()
            for attempt, artifact, number in self._database.composed(_INPUTS.format(values.listed(some)), values.given):
                found[attempt].append((artifact, int(number)))
        return dict(found)
