"""A search of runs as plainly as it can be said, which engines are compared with: every clause is asked of every run, in memory."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cmp_to_key
from typing import Any, Final

import msgspec

from bedplate.catalog.tracking.clauses import Clause, Order
from bedplate.catalog.tracking.tracked import artifact_uri
from bedplate.core.records import Record

_NUMBERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class KnownRun(Record, frozen=True, kw_only=True):
    """A run as the test made it. `datasets` are (name, digest, context)."""

    id: str
    experiment: int
    name: str
    user: str = ""
    status: str = "RUNNING"
    started_ms: int = 0
    ended_ms: int | None = None
    stage: str = "active"
    metrics: dict[str, float] = msgspec.field(default_factory=dict)
    params: dict[str, str] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    datasets: tuple[tuple[str, str, str], ...] = ()


def found(runs: Iterable[KnownRun], clauses: Sequence[Clause], orders: Sequence[Order]) -> list[str]:
    """The ids of the runs that satisfy every clause, sorted: by the orders, then the newest first, then by id."""
    kept = [run for run in runs if all(holds(run, clause) for clause in clauses)]
    tail = (*orders, Order("attribute", "start_time", True), Order("attribute", "run_id"))

    def compare(one: KnownRun, other: KnownRun) -> int:
        for order in tail:
            result = _compare(_value(one, order), _value(other, order), order)
            if result:
                return result
        return 0

    return [run.id for run in sorted(kept, key=cmp_to_key(compare))]


def holds(run: KnownRun, clause: Clause) -> bool:
    """Whether a run satisfies a clause."""
    if clause.entity == "dataset":
        place = ("name", "digest", "context").index(clause.key)
        return any(_text(dataset[place], clause) for dataset in run.datasets)
    value = _value(run, Order(clause.entity, clause.key))
    if clause.comparator in ("IS NULL", "IS NOT NULL"):
        return (value is None) == (clause.comparator == "IS NULL")
    if value is None:
        return False
    if isinstance(value, str):
        return _text(value, clause)
    return _NUMBERS[clause.comparator](value, clause.value)


def like(value: str, pattern: str) -> bool:
    """LIKE: `%` stands for any text, `_` for any character, all else for itself."""
    parts = (".*" if one == "%" else "." if one == "_" else re.escape(one) for one in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _text(value: str, clause: Clause) -> bool:
    given = clause.value
    if isinstance(given, tuple):
        return (value in given) == (clause.comparator == "IN")
    if clause.comparator == "LIKE":
        return like(value, str(given))
    if clause.comparator == "ILIKE":
        return like(value.translate(_LOWER), str(given).translate(_LOWER))
    return (value == given) == (clause.comparator == "=")


def _value(run: KnownRun, order: Order) -> str | float | None:
    if order.entity == "attribute":
        known: dict[str, str | float | None] = {
            "run_id": run.id, "run_name": run.name, "user_id": run.user, "status": run.status, "start_time": run.started_ms,
            "end_time": run.ended_ms, "artifact_uri": artifact_uri(run.experiment, run.id),
        }  # fmt: skip
        return known[order.key]
    return (run.metrics if order.entity == "metric" else run.params if order.entity == "param" else run.tags).get(order.key)


def _compare(one: Any, other: Any, order: Order) -> int:
    """What has a value comes first, then what is not a number, then what has none; whichever way the values go."""
    ranks = [2 if value is None else 1 if isinstance(value, float) and math.isnan(value) else 0 for value in (one, other)]
    if ranks != [0, 0] or one == other:
        return ranks[0] - ranks[1]
    return (-1 if one < other else 1) * (-1 if order.descending else 1)
