"""Listing: every artifact, a page at a time, and what stands around its versions: runs, aliases, who reads them.

Choices: an artifact is told by its head, or by its newest version where it has none; `meta` and schema, which may be large, are not read.
How a step stands is its last row among the `RUNS` newest runs of the project, in the words that the run recorded.
Limits: a model that a client registered is listed only for who names it among `models`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from bedplate.core.clock import parse
from bedplate.core.errors import UserError
from bedplate.core.kinds import Kind, View
from bedplate.core.records import Attempt, Record, StepStatus

from .database import Database, Row
from .rows import at_of, attempt_of
from .tracking import keyset
from .tracking.keyset import SortKey, Sought
from .tracking.pages import Values, chunks

RUNS: Final = 50
Order = Literal["name", "made", "rows", "size", "versions"]
_KEYS: Final[dict[Order, SortKey]] = {
    "name": SortKey("a.name", False, str),
    "made": SortKey("v.created_at", True, str),
    "rows": SortKey("coalesce(v.rows, -1)", True, int),
    "size": SortKey("v.size_bytes", True, int),
    "versions": SortKey("a.last", True, int),
}
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_LONGEST: Final = 200
_COLUMNS: Final = (
    "a.name, a.kind, a.last, a.head, v.number, v.rows, v.size_bytes, v.created_at, v.attempt, t.step, t.part, t.run, "
    "coalesce(s.stage, ''), r.origin"
)
_SOURCE: Final = (
    "artifacts AS a JOIN versions AS v ON v.artifact = a.name AND v.number = coalesce(a.head, a.last) "
    "JOIN attempts AS t ON t.id = v.attempt JOIN runs AS r ON r.id = t.run "
    "LEFT JOIN steps AS s ON s.run = t.run AND s.name = t.step AND s.part = t.part"
)
_STANDS: Final = (
    "SELECT s.name, s.run, s.status, s.why, s.started_at, s.ended_at FROM (SELECT max(id) AS id FROM steps WHERE run IN "
    f"(SELECT id FROM runs WHERE origin = 'project' ORDER BY started_at DESC LIMIT {RUNS}) AND name IN ({{}}) GROUP BY name) AS l "
    "JOIN steps AS s ON s.id = l.id"
)
_ALIASES: Final = (
    "SELECT p.model, p.alias, p.version FROM promotions AS p JOIN (SELECT max(id) AS id FROM promotions WHERE model IN ({}) "
    "GROUP BY model, alias) AS l ON l.id = p.id WHERE NOT EXISTS (SELECT 1 FROM withdrawn AS w WHERE w.promotion = p.id) "
    "ORDER BY p.model, p.alias"
)


class Question(Record, frozen=True, kw_only=True):
    """Which artifacts: a part of the name, a kind, a stage, the order (`turned` the other way round).

    `own`: those of the project; `models`: those of clients that may be seen, None all.
    """

    words: str = ""
    kind: str = ""
    stage: str = ""
    order: Order = "name"
    turned: bool = False
    own: bool = True
    models: frozenset[str] | None = frozenset()
    limit: int = 50
    token: str = ""

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it the same search on its next page."""
        return "artifacts", self.words, self.kind, self.stage, self.order, self.turned


class Listed(Record, frozen=True, kw_only=True):
    """An artifact by the version that its consumers read: how many versions there are, and which attempt of which run made this one."""

    name: str
    kind: Kind
    versions: int
    head: int | None
    number: int
    rows: int | None
    size_bytes: int
    created_at: datetime
    attempt: str
    step: str
    part: str
    run: str
    stage: str
    origin: Literal["project", "client"]


class Stand(Record, frozen=True, kw_only=True):
    """How a step stood when it last came to its turn, and why."""

    run: str
    status: StepStatus
    why: str
    at: datetime | None


class Made(Record, frozen=True, kw_only=True):
    """One version of an artifact in a list: `why` is why its step ran."""

    number: int
    digest: str
    rows: int | None
    size_bytes: int
    created_at: datetime
    attempt: str
    step: str
    run: str
    head: bool
    why: str


class Use(Record, frozen=True, kw_only=True):
    """A step that was handed a version: as which parameter, in which view, and what it made of it (empty: nothing yet)."""

    number: int
    step: str
    parameter: str
    view: View
    run: str
    at: datetime
    made: str


class Listing:
    """Reads lists of artifacts and versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, asked: Question) -> tuple[list[Listed], str]:
        """A page of artifacts, and the token of the next; empty: it was the last. Raises UserError for a token of another search."""
        values = Values()
        keys = _ordered(asked)
        sought = Sought(
            columns=_COLUMNS, source=_SOURCE, held=tuple(_held(asked, values)), keys=keys, identity=asked.identity, limit=asked.limit,
            token=asked.token,
        )  # fmt: skip
        found, more = keyset.page(self._database, sought, values)
        return [_listed(row) for row in found], more

    def total(self, asked: Question) -> tuple[int, int]:
        """How many artifacts that is, and the bytes of the versions that are read of them."""
        values = Values()
        sql = f"SELECT count(*), coalesce(sum(v.size_bytes), 0) FROM {_SOURCE} WHERE {' AND '.join(_held(asked, values))}"
        count, size = self._database.composed(sql, values.given)[0]
        return int(count), int(size)

    def stands(self, steps: Sequence[str]) -> dict[str, Stand]:
        """How each of these steps stood last, by name; one that none of the newest runs came to is left out."""
        found: dict[str, Stand] = {}
        for some in chunks(sorted(set(steps)), 500):
            values = Values()
            for name, run, status, why, started, ended in self._database.composed(_STANDS.format(values.listed(some)), values.given):
                found[name] = Stand(run=run, status=status, why=why, at=at_of(ended or started))
        return found

    def aliases(self, names: Sequence[str]) -> dict[str, dict[str, int]]:
        """Today's aliases of each of these artifacts that has any: alias to version."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for some in chunks(list(names), 500):
            values = Values()
            for name, alias, number in self._database.composed(_ALIASES.format(values.listed(some)), values.given):
                found[name][alias] = number
        return dict(found)

    def versions(self, name: str, limit: int = 50, before: int | None = None) -> list[Made]:
        """The versions of an artifact, newest first; with `before`, those older than that number."""
        found = self._database.rows("versions_listed", artifact=name, before=before or 2**62, limit=limit)
        return [
            Made(
                number=row[0], digest=row[1], rows=row[2], size_bytes=row[3], created_at=parse(row[4]), attempt=row[5], step=row[6],
                run=row[7], head=bool(row[8]), why=row[9],
            )
            for row in found
        ]  # fmt: skip

    def growth(self, name: str, limit: int = 1000) -> list[tuple[int, datetime, int | None, int]]:
        """Number, time, rows and bytes of the newest versions, oldest first."""
        found = self._database.rows("versions_growth", artifact=name, limit=limit)
        return [(number, parse(at), rows, size) for number, at, rows, size in reversed(found)]

    def uses(self, name: str, first: int, last: int, limit: int = 100) -> list[Use]:
        """Who was handed the versions `first` to `last`, the newest first."""
        found = self._database.rows("version_uses", artifact=name, first=first, last=last, limit=limit)
        return [
            Use(number=row[0], step=row[1], parameter=row[2], view=row[3], run=row[4], at=parse(row[5]), made=row[6]) for row in found
        ]  # fmt: skip

    def looked_up(self, limit: int = 200) -> list[str]:
        """The artifacts that some step was handed as features, or that were made as features, by name."""
        return [row[0] for row in self._database.rows("artifacts_looked_up", limit=limit)]

    def lookup(self, name: str) -> tuple[str, str, str, str] | None:
        """The newest attempt that was handed an artifact as features: parameter, run, step, key parts as JSON ('' if unknown)."""
        row = self._database.one("lookup_newest", artifact=name)
        return None if row is None else (row[0], row[1], row[2], row[3])

    def failures(self, step: str, limit: int = 10) -> list[Attempt]:
        """The newest attempts at a step that failed, in the `RUNS` newest runs of the project."""
        return [attempt_of(row) for row in self._database.rows("attempts_failed", step=step, runs=RUNS, limit=limit)]

    def origin(self, run: str) -> str:
        """Whose run it is: `project`, `client`; empty where there is none."""
        row = self._database.one("run_get", id=run)
        return "" if row is None else str(row[14])

    def made_by(self, attempt: str) -> tuple[str, str, str, str] | None:
        """Run, step, why it ran, and whose run it is (`project`, `client`); None where there is no such attempt."""
        row = self._database.one("attempt_made", attempt=attempt)
        return None if row is None else (row[0], row[1], row[2], row[3])


def _ordered(asked: Question) -> tuple[SortKey, ...]:
    """The order's key, turned where asked, and the name."""
    if asked.order not in _KEYS:
        raise UserError(f"artifacts are not sorted by '{asked.order}'", next=f"one of {', '.join(_KEYS)}")
    key = _KEYS[asked.order]
    key = SortKey(key.expression, key.falls != asked.turned, key.type)
    return (key,) if asked.order == "name" else (key, _KEYS["name"])


def _held(asked: Question, values: Values) -> list[str]:
    """The conditions."""
    held = [_seen(asked, values)]
    if asked.words:
        word = asked.words[:_LONGEST].translate(_LOWER)
        for special in ("\\", "%", "_"):
            word = word.replace(special, f"\\{special}")
        held.append(f"lower(a.name) LIKE {values.bind(f'%{word}%')} ESCAPE '\\'")
    if asked.kind:
        held.append(f"a.kind = {values.bind(asked.kind)}")
    if asked.stage:
        held.append(f"s.stage = {values.bind(asked.stage)}")
    return held


def _seen(asked: Question, values: Values) -> str:
    """That the artifact may be seen."""
    ways = ["r.origin = 'project'"] if asked.own else []
    if asked.models is None or asked.models:
        there = "EXISTS (SELECT 1 FROM registered_models AS m WHERE m.name = a.name AND m.stage = 'active')"
        named = "" if asked.models is None else f" AND a.name IN ({values.listed(sorted(asked.models))})"
        ways.append(f"(r.origin = 'client' AND {there}{named})")
    return f"({' OR '.join(ways)})" if ways else "1 = 0"


def _listed(row: Row) -> Listed:
    name, kind, versions, head, number, rows, size, created_at, attempt, step, part, run, stage, origin = row
    return Listed(
        name=name, kind=kind, versions=versions, head=head, number=number, rows=rows, size_bytes=size, created_at=parse(created_at),
        attempt=attempt, step=step, part=part, run=run, stage=stage, origin=origin,
    )  # fmt: skip
