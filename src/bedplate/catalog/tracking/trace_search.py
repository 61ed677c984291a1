"""Search of traces: which ones, in which order, a page at a time; keys and values are bound, never written into the SQL.

Choices: newest first unless asked otherwise; a trace that has no value for a sort key comes as if it were the smallest. `!=` of a tag needs
the tag; what judges said is compared as text.
"""

from __future__ import annotations

from typing import Final

from bedplate.catalog.database import Database
from bedplate.core.errors import UserError
from bedplate.core.records import Record

from . import pages
from .clauses import Clause, Order
from .comparing import after, compared
from .pages import Values
from .traces import NAME_TAG

_PROMPTS: Final = "mlflow.linkedPrompts"
_COLUMNS: Final = {
    "request_id": "t.id", "timestamp_ms": "t.started_ms", "execution_time_ms": "coalesce(t.lasted_ms, -1)",
    "end_time_ms": "(t.started_ms + coalesce(t.lasted_ms, 0))", "status": "t.state", "client_request_id": "t.client_id",
    "run_id": "t.run", "experiment_id": "t.experiment",
}  # fmt: skip
_NUMBERS: Final = frozenset({"timestamp_ms", "execution_time_ms", "end_time_ms", "experiment_id"})
_TAGS: Final = {"name": NAME_TAG, "prompt": _PROMPTS}
_SPANS: Final = {"name": "s.name", "type": "s.type", "status": "s.status", "content": "s.body"}
_NEWEST: Final = Order("attribute", "timestamp_ms", True)
_LAST: Final = Order("attribute", "request_id")


class TraceQuestion(Record, frozen=True, kw_only=True):
    """What is looked for: traces of these experiments that satisfy every clause. `limit` is at least 1."""

    experiments: tuple[int, ...]
    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    limit: int = 100
    token: str = ""


class TraceSearch:
    """Finds traces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, question: TraceQuestion) -> tuple[list[str], str]:
        """The ids of a page, and the token of the next one (empty: this was the last). Raises UserError."""
        orders = [*(question.orders or (_NEWEST,)), _LAST]
        types = [int if order.key in _NUMBERS else str for order in orders]
        identity = (question.experiments, question.clauses, question.orders)
        _, place = pages.place(question.token, identity, [types])
        if not question.experiments:
            return [], ""
        values = Values()
        keys = [_sorted_by(order, values) for order in orders]
        held = [f"t.experiment IN ({values.listed(question.experiments)})", *(_where(clause, values) for clause in question.clauses)]
        if place is not None:
            told = zip(keys, orders, place, strict=True)
            held.append(after([(key, order.descending, value) for key, order, value in told], values))
        columns = ", ".join(f"{key} AS k{number}" for number, key in enumerate(keys))
        ordered = ", ".join(f"k{number}{' DESC' if order.descending else ''}" for number, order in enumerate(orders))
        rows = self._database.composed(
            f"SELECT t.id, {columns} FROM traces AS t WHERE {' AND '.join(held)} ORDER BY {ordered} LIMIT {question.limit + 1:d}",
            values.given,
        )
        shown = rows[: question.limit]
        token = pages.token(identity, 0, tuple(shown[-1][1:])) if len(rows) > question.limit else ""
        return [str(row[0]) for row in shown], token


def _sorted_by(order: Order, values: Values) -> str:
    """Raises UserError for what traces are not sorted by."""
    if order.entity != "attribute" or (order.key not in _COLUMNS and order.key not in _TAGS):
        raise UserError(f"Invalid order_by key '{order.key[:50]}': traces are sorted by their attributes")
    if order.key in _COLUMNS:
        return _COLUMNS[order.key]
    name = values.bind(_TAGS[order.key])
    return f"coalesce((SELECT n.value FROM trace_notes AS n WHERE n.trace = t.id AND n.what = 'tag' AND n.name = {name}), '')"


def _where(clause: Clause, values: Values) -> str:
    match clause.entity:
        case "attribute" if clause.key in _COLUMNS:
            return compared(_COLUMNS[clause.key], clause, values)
        case "attribute":
            return _noted("tag", _TAGS[clause.key], clause, values)
        case "span":
            return f"EXISTS (SELECT 1 FROM spans AS s WHERE s.trace = t.id AND {compared(_SPANS[clause.key], clause, values)})"
        case "tag" | "metadata" | "feedback" | "expectation" as what:
            return _noted(what, clause.key, clause, values)
        case _:
            raise UserError(f"Invalid entity type '{clause.entity}' for traces")


def _noted(what: str, name: str, clause: Clause, values: Values) -> str:
    """`what` is a word of ours."""
    there = f"SELECT 1 FROM trace_notes AS n WHERE n.trace = t.id AND n.what = '{what}' AND n.name = {values.bind(name)}"
    if clause.comparator == "IS NULL":
        return f"NOT EXISTS ({there})"
    if clause.comparator == "IS NOT NULL":
        return f"EXISTS ({there})"
    return f"EXISTS ({there} AND {compared('n.value', clause, values)})"
