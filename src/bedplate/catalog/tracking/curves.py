"""Curves: every point of every metric, once; the latest of each, for searches; pages and samples of their history.

The latest point is the one of the highest step, then time, then value, in whichever order they came. History is in that order too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from bedplate.catalog.database import Database, Row, Value
from bedplate.core.errors import NotFound

from . import pages
from .overview import write_keys
from .pages import Values
from .tracked import Metric, Point, all_bits_of, bits_of, number_of, rank_of, told, value_of

MOST_PAGE: Final = 25_000
MOST_SAMPLED: Final = 2_500
MOST_RUNS: Final = 100
_LISTED: Final = 500
At = tuple[int, int, int]
"""Where a point stands on its curve: step, time, bits of its value."""
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_BEFORE_ALL: Final = (_LOWEST, -1, _LOWEST)
"""A place before every point of a curve: said so, each engine begins in its index, though it knows nothing of the table yet."""


class Curves:
    """The metrics of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def log(self, run: str, experiment: int, points: Sequence[Point]) -> None:
        """Record points of a run; inside a transaction, for a run that is there. Raises NotFound for a model that is not logged."""
        write_points(self._database, run, experiment, points)
        measured = [point for point in points if point.model_id]
        for model in {point.model_id for point in measured}:
            if self._database.value("model_is_logged", id=model) is None:
                raise NotFound(f"Logged model with ID '{model}' not found.")
        if measured:
            self._database.many("model_points_put", [_measured(run, point) for point in measured])

    def history(self, run: str, key: str, limit: int, token: str = "") -> tuple[list[Metric], str]:
        """A page of a curve's points, and the token of the next (empty: none). Raises UserError for a wrong token."""
        _, place = pages.place(token, ("points", run, key), [(int, int, int)])
        curve = self._curve(run, key)
        if curve is None:
            return [], ""
        at_step, at_ms, bits = place or _BEFORE_ALL
        found = self._database.rows("points_after", curve=curve, at_step=at_step, at_ms=at_ms, bits=bits, limit=limit + 1)
        more = pages.token(("points", run, key), 0, found[limit - 1]) if len(found) > limit else ""
        return _metrics(key, found[:limit]), more

    def sampled(self, run: str, key: str, limit: int, first: int | None = None, last: int | None = None) -> list[Metric]:
        """At most `limit` points spread over a curve (between two steps), the last one among them; all, where they are no more."""
        curve = self._curve(run, key)
        if curve is None:
            return []
        between = {"curve": curve, "first": _LOWEST if first is None else first, "last": _HIGHEST if last is None else last}
        few = self._database.rows("points_between", **between, limit=limit + 1)
        if len(few) <= limit:
            return _metrics(key, few)
        low, high = self._database.rows("points_ends", **between)[0]
        found = self._at_steps(curve, _spread(low, high, limit))
        if len(found) < limit // 2:
            found = self._every(between, limit)
        return _metrics(key, found)

    def _curve(self, run: str, key: str) -> int | None:
        row = self._database.one("curve_of", run=run, name=key)
        return None if row is None else int(row[0])

    def _at_steps(self, curve: int, steps: Sequence[int]) -> list[Row]:
        """The last point of the first step at or after each of these."""
        found: dict[Row, None] = {}
        for some in pages.chunks(steps, _LISTED):
            values = Values()
            mark = values.bind(curve)
            asked = ", ".join(f"({values.bind(step)})" for step in some)
            newest = f"FROM points AS q WHERE q.curve = {mark} AND q.at_step = s.at_step ORDER BY q.at_ms DESC, q.bits DESC LIMIT 1"
            next_step = f"SELECT p.at_step FROM points AS p WHERE p.curve = {mark} AND p.at_step >= w.step ORDER BY p.at_step LIMIT 1"
            sql = (
                f"WITH wanted (step) AS (VALUES {asked}), stood AS (SELECT DISTINCT ({next_step}) AS at_step FROM wanted AS w) "
                f"SELECT s.at_step, (SELECT q.at_ms {newest}), (SELECT q.bits {newest}) FROM stood AS s ORDER BY s.at_step"
            )
            found.update(dict.fromkeys(self._database.composed(sql, values.given)))
        return list(found)

    def _every(self, between: dict[str, int], limit: int) -> list[Row]:
        """Every so many-th point and the last: for curves with many points at a step."""
        count = int(self._database.value("points_count", **between))
        every = -(-count // max(limit - 1, 1)) if limit > 1 else count
        found = self._database.rows("points_every", **between, every=every, final=count - 1)
        return found if limit > 1 else found[-1:]


def write_points(database: Database, run: str, experiment: int, points: Iterable[Point]) -> None:
    """Record points of a run, each once, and which is the latest of each curve; inside a transaction."""
    came: dict[str, dict[At, float]] = {}
    listed = list(points)
    for point, bits in zip(listed, all_bits_of([point.value for point in listed]), strict=True):
        some = came.get(point.key)
        if some is None:
            some = came[point.key] = {}
        some[point.step, point.timestamp, bits] = point.value
    known = _known(database, run, list(came))
    latest = {name: _latest(some) for name, some in came.items()}
    new = [
        _curve_values(latest[name], came[name]) | {"run": run, "experiment": experiment, "name": name} for name in came if name not in known
    ]
    if new:
        database.many("curve_add", new)
        write_keys(database, run, "metric", [str(one["name"]) for one in new])
    moved = [
        _curve_values(at, came[name]) | {"id": known[name][0]}
        for name, at in latest.items()
        if name in known and _order(at) > _order((known[name][1], known[name][2], known[name][3]))
    ]
    if moved:
        database.many("curve_move", moved)
    if new:
        known |= _known(database, run, [str(one["name"]) for one in new])
    database.many(
        "point_add",
        [
            {"curve": curve, "at_step": at_step, "at_ms": at_ms, "bits": bits}
            for curve, some in [(known[name][0], some) for name, some in came.items()]
            for at_step, at_ms, bits in some
        ],
    )


def _known(database: Database, run: str, names: list[str]) -> dict[str, Row]:
    """The curves of a run by these names: number, then step, time and bits of the latest point."""
    if len(names) == 1:
        row = database.one("curve_of", run=run, name=names[0])
        return {} if row is None else {names[0]: row}
    found: dict[str, Row] = {}
    for some in pages.chunks(names, _LISTED):
        values = Values()
        mark = values.bind(run)
        sql = f"SELECT name, id, at_step, at_ms, bits FROM curves WHERE run = {mark} AND name IN ({values.listed(some)})"
        found |= {row[0]: row[1:] for row in database.composed(sql, values.given)}
    return found


def _latest(some: Collection[At]) -> At:
    """The latest of some points. Bits order values that are not negative; of two negative ones the smaller bits are the greater value."""
    last = max(some)
    return last if last[2] >= 0 else min(at for at in some if at[:2] == last[:2])


def _order(at: At) -> At:
    step, timestamp, bits = at
    return step, timestamp, rank_of(bits)


def _curve_values(at: At, some: dict[At, float]) -> dict[str, Value]:
    return {"number": number_of(some[at]), "bits": at[2], "at_step": at[0], "at_ms": at[1]}


def _measured(run: str, point: Point) -> dict[str, Value]:
    return {
        "model": point.model_id, "run": run, "name": point.key, "number": number_of(point.value), "bits": bits_of(point.value),
        "at_step": point.step, "at_ms": point.timestamp, "dataset": point.dataset_name, "dataset_digest": point.dataset_digest,
    }  # fmt: skip


def _metrics(key: str, found: Iterable[Row]) -> list[Metric]:
    return [Metric(key, told(value_of(bits), bits), at_ms, at_step) for at_step, at_ms, bits in found]


def _spread(low: int, high: int, count: int) -> list[int]:
    """So many steps from the lowest to the highest, evenly."""
    if count == 1:
        return [high]
    return sorted({low + (high - low) * number // (count - 1) for number in range(count)})
