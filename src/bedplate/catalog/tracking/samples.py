"""Samples of one metric's curves of many runs at once, for charts that lay them over each other: a few queries, however many runs.

Each curve has at most so many points, spread over its steps, its last one among them; all, where they are no more. Of the points of one
step the last is taken; a curve whose points crowd on few steps is thinned by their order instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from bedplate.catalog.database import Database, Row
from bedplate.core.records import Record

from .pages import Values, chunks
from .tracked import Metric, told, value_of

_AT_ONCE: Final = 500
_HIGHEST: Final = 2**63 - 1
Steps = tuple[int, int]
"""From a step to a step, both included."""
ALL: Final[Steps] = (-_HIGHEST, _HIGHEST)


class _Curve(Record, frozen=True, kw_only=False):
    """A curve of which a stretch is asked: how many points that has (counted to one more than asked), its first and last step."""

    id: int
    low: int
    high: int
    points: int = 0


class Samples:
    """Reads curves of many runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, runs: Sequence[str], key: str, limit: int, between: Mapping[str, Steps] | None = None) -> dict[str, list[Metric]]:
        """At most `limit` (2 or more) points of each run's curve; without `between` whole curves, with it those stretches alone."""
        return self._database.snapshot(lambda: self._of(runs, key, limit, between))

    def _of(self, runs: Sequence[str], key: str, limit: int, between: Mapping[str, Steps] | None) -> dict[str, list[Metric]]:
        found: dict[str, list[Metric]] = {}
        for some in chunks(runs, _AT_ONCE):
            values = Values()
            sql = f"SELECT id, run FROM curves WHERE run IN ({values.listed(some)}) AND name = {values.bind(key)}"
            owners = {int(id): str(run) for id, run in self._database.composed(sql, values.given)}
            asked = [
                _Curve(id, *(ALL if between is None else between[run])) for id, run in owners.items() if between is None or run in between
            ]
            for row in self._points(asked, limit):
                id, at_step, at_ms, bits = row
                found.setdefault(owners[id], []).append(Metric(key, told(value_of(bits), bits), at_ms, at_step))
        return found

    def _points(self, asked: Sequence[_Curve], limit: int) -> list[Row]:
        """Curve, step, time and bits of each point taken, in the order of each curve."""
        if not asked:
            return []
        curves = [_Curve(*row) for row in self._database.composed(_ENDS.format(_listed(asked), int(limit) + 1), {}) if row[3]]
        few = [curve for curve in curves if curve.points <= limit]
        many = [curve for curve in curves if curve.points > limit]
        found = self._database.composed(_WHOLE.format(_listed(few)), {}) if few else []
        if many:
            spread = self._database.composed(_SPREAD.format(_listed(many, limit), int(limit) - 1), {})
            taken: dict[int, int] = defaultdict(int)
            for row in spread:
                taken[row[0]] += 1
            crowded = [curve for curve in many if taken[curve.id] < limit // 2]
            left_out = {curve.id for curve in crowded}
            found += [row for row in spread if row[0] not in left_out]
            if crowded:
                found += self._database.composed(_THINNED.format(_listed(crowded), int(limit) - 1), {})
        return found


def _listed(curves: Sequence[_Curve], limit: int = 2) -> str:
    """Rows of VALUES: curve, first step, last step, and how far apart that many steps lie. Numbers of the record, nobody's text."""
    apart = [min(max((curve.high - curve.low) // (limit - 1), 1), _HIGHEST) for curve in curves]
    rows = [f"{curve.id}, {curve.low}, {curve.high}, {step}" for curve, step in zip(curves, apart, strict=True)]
    wide = ", ".join(f"CAST({one} AS BIGINT)" for one in rows[0].split(", "))
    return f"({wide})" + "".join(f", ({row})" for row in rows[1:])


_ASKED: Final = "WITH RECURSIVE asked (id, low, high, apart) AS (VALUES {0})"
_WITHIN: Final = "p.curve = a.id AND p.at_step BETWEEN a.low AND a.high"
_ENDS: Final = (
    f"{_ASKED} SELECT a.id, (SELECT min(p.at_step) FROM points AS p WHERE {_WITHIN}), "
    f"(SELECT max(p.at_step) FROM points AS p WHERE {_WITHIN}), "
    f"(SELECT count(*) FROM (SELECT 1 AS one FROM points AS p WHERE {_WITHIN} LIMIT {{1}}) AS f) FROM asked AS a"
)
_WHOLE: Final = (
    f"{_ASKED} SELECT p.curve, p.at_step, p.at_ms, p.bits FROM asked AS a CROSS JOIN points AS p WHERE {_WITHIN} "
    "ORDER BY p.curve, p.at_step, p.at_ms, p.bits"
)
_NEWEST: Final = "FROM points AS q WHERE q.curve = s.id AND q.at_step = s.at_step ORDER BY q.at_ms DESC, q.bits DESC LIMIT 1"
_SPREAD: Final = (
    f"{_ASKED}, places (place) AS (SELECT 0 UNION ALL SELECT place + 1 FROM places WHERE place < {{1}}), "
    "wanted (id, at_step) AS (SELECT a.id, CASE WHEN n.place = {1} THEN a.high WHEN a.low + n.place * a.apart > a.high THEN a.high "
    "ELSE a.low + n.place * a.apart END FROM asked AS a CROSS JOIN places AS n), "
    "stood AS (SELECT DISTINCT w.id AS id, (SELECT p.at_step FROM points AS p WHERE p.curve = w.id AND p.at_step >= w.at_step "
    "ORDER BY p.at_step LIMIT 1) AS at_step FROM wanted AS w) "
    f"SELECT s.id, s.at_step, (SELECT q.at_ms {_NEWEST}), (SELECT q.bits {_NEWEST}) FROM stood AS s ORDER BY s.id, s.at_step"
)
_THINNED: Final = (
    f"{_ASKED} SELECT curve, at_step, at_ms, bits FROM (SELECT p.curve, p.at_step, p.at_ms, p.bits, "
    "count(*) OVER (PARTITION BY p.curve) AS total, "
    "row_number() OVER (PARTITION BY p.curve ORDER BY p.at_step, p.at_ms, p.bits) - 1 AS place "
    f"FROM asked AS a CROSS JOIN points AS p WHERE {_WITHIN}) AS t WHERE place % ((total + {{1}} - 1) / {{1}}) = 0 OR place = total - 1 "
    "ORDER BY curve, at_step, at_ms, bits"
)
