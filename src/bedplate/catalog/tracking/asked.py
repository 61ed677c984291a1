"""What a search of runs asks, put into SQL: where clauses, what an index can find for them, sort keys, and pages after a place.

Every search is a union of branches, one for each experiment and stage, so that an index gives each in order. A comparison that an index
finds few runs for is where a branch starts; else it walks runs in the order asked and stops when the page is full.
"""

from __future__ import annotations

from typing import Final

from bedplate.core.errors import InternalError
from bedplate.core.records import Record

from .clauses import Clause, Order
from .comparing import compared, equal_by_index
from .pages import Types, Values
from .tracked import RUN_NAME

FEW: Final = 2_000
"""A comparison that finds no more runs than these is where the search starts."""
MANY: Final = 20 * FEW
"""One that finds no more than these is asked of its index once, for all runs at a time, where no other finds fewer."""
_ATTRIBUTES: Final = {
    "run_id": "t.id", "run_name": "t.name", "user_id": "t.made_by", "status": "t.status", "start_time": "t.started_ms",
    "end_time": "t.ended_ms", "lifecycle_stage": "t.stage",
    "artifact_uri": "('mlflow-artifacts:/' || t.experiment || '/' || t.id || '/artifacts')",
}  # fmt: skip
_TABLES: Final = {"param": "run_params", "tag": "run_tags"}
_NUMBERS: Final = frozenset({"start_time", "end_time"})


class Key(Record, frozen=True, kw_only=False):
    """One sort key: an expression that is never null, whether it falls, and the type of its values."""

    expression: str
    falls: bool
    type: Types


class Sorting(Record, frozen=True, kw_only=True):
    """How one phase of a search sorts. `joins` follow the runs; `source` is a curve that the phase starts from, where it has one."""

    keys: tuple[Key, ...]
    joins: str = ""
    source: str = ""
    where: str = ""


def where(clause: Clause, values: Values) -> str:
    """That run `t` satisfies a clause."""
    if clause.entity == "attribute":
        return compared(_ATTRIBUTES[clause.key], clause, values)
    if clause.entity == "metric":
        held = _metric(clause, values)
        return f"EXISTS (SELECT 1 FROM curves AS c WHERE c.run = t.id AND c.name = {values.bind(clause.key)} AND {held})"
    if clause.entity == "dataset":
        return f"EXISTS (SELECT 1 {_with_dataset(clause, values)} AND r.run = t.id)"
    found = f"EXISTS (SELECT 1 FROM {_TABLES[clause.entity]} AS p WHERE p.run = t.id AND p.name = {values.bind(clause.key)}"
    if clause.comparator == "IS NULL":
        return f"NOT {found})"
    if clause.comparator == "IS NOT NULL":
        return f"{found})"
    return f"{found} AND {compared('p.value', clause, values)})"


def candidates(clause: Clause, experiments: str, values: Values) -> str:
    """A query of the runs that an index finds for a clause (of any experiment, for what has no index by experiment); empty: none does."""
    if clause.entity == "metric" and clause.comparator != "!=":
        held = _metric(clause, values)
        return (
            f"SELECT c.run AS run FROM curves AS c WHERE c.experiment IN ({experiments}) AND c.name = {values.bind(clause.key)} AND {held}"
        )
    if clause.entity == "dataset" and clause.comparator in ("=", "IN"):
        return f"SELECT DISTINCT r.run AS run {_with_dataset(clause, values)}"
    is_name = clause.entity == "attribute" and clause.key == "run_name"
    if clause.comparator not in ("=", "IN") or not (is_name or clause.entity in _TABLES):
        return ""
    table, key = ("run_tags", RUN_NAME) if is_name else (_TABLES[clause.entity], clause.key)
    held = equal_by_index("p.value", clause, values)
    return f"SELECT p.run AS run FROM {table} AS p WHERE p.name = {values.bind(key)} AND {held}"


def phases(orders: tuple[Order, ...], values: Values) -> list[Sorting]:
    """The phases of a search, one after the other: with a value to sort by, with one that is no number, without any."""
    tail, joins = _tail(orders, values)
    if not orders:
        return [Sorting(keys=tail)]
    first = orders[0]
    if first.entity == "attribute":
        return [Sorting(keys=(*_attribute(first), *tail), joins=joins)]
    if first.entity == "metric":
        return _by_metric(first, tail, joins, values)
    if first.entity not in _TABLES:
        raise InternalError(f"runs cannot be sorted by {first.entity}")
    table, name = _TABLES[first.entity], values.bind(first.key)
    own = f" JOIN {table} AS s ON s.run = t.id AND s.name = {name}"
    return [
        Sorting(keys=(Key("s.value", first.descending, str), *tail), joins=own + joins),
        Sorting(keys=tail, joins=joins, where=f"NOT EXISTS (SELECT 1 FROM {table} AS s WHERE s.run = t.id AND s.name = {name})"),
    ]


def _by_metric(first: Order, tail: tuple[Key, ...], joins: str, values: Values) -> list[Sorting]:
    name = values.bind(first.key)
    own = f"s.name = {name} AND t.id = s.run"
    by_number = Key("s.number", first.descending, float)
    return [
        Sorting(keys=(by_number, *tail), joins=joins, source="curves AS s", where=f"{own} AND s.number IS NOT NULL"),
        Sorting(keys=tail, joins=joins, source="curves AS s", where=f"{own} AND s.number IS NULL"),
        Sorting(keys=tail, joins=joins, where=f"NOT EXISTS (SELECT 1 FROM curves AS s WHERE s.run = t.id AND s.name = {name})"),
    ]  # fmt: skip


def _tail(orders: tuple[Order, ...], values: Values) -> tuple[tuple[Key, ...], str]:
    """The keys after the first: those asked, then the newest run first, then its id; and what they are joined from."""
    keys: list[Key] = []
    joins = ""
    for number, order in enumerate(orders[1:]):
        if order.entity == "attribute":
            keys += _attribute(order)
            continue
        alias = f"o{number}"
        table = "curves" if order.entity == "metric" else _TABLES[order.entity]
        joins += f" LEFT JOIN {table} AS {alias} ON {alias}.run = t.id AND {alias}.name = {values.bind(order.key)}"
        keys += _metric_keys(alias, order) if order.entity == "metric" else _text_keys(f"{alias}.value", order)
    if not any(order.key == "start_time" and order.entity == "attribute" for order in orders):
        keys.append(Key("t.started_ms", True, int))
    if not any(order.key == "run_id" and order.entity == "attribute" for order in orders):
        keys.append(Key("t.id", False, str))
    return tuple(keys), joins


def _attribute(order: Order) -> tuple[Key, ...]:
    column = _ATTRIBUTES[order.key]
    if order.key == "end_time":
        rank = Key(f"CASE WHEN {column} IS NULL THEN 1 ELSE 0 END", False, int)
        return rank, Key(f"coalesce({column}, 0)", order.descending, int)
    return (Key(column, order.descending, int if order.key in _NUMBERS else str),)


def _metric_keys(alias: str, order: Order) -> list[Key]:
    rank = f"CASE WHEN {alias}.run IS NULL THEN 2 WHEN {alias}.number IS NULL THEN 1 ELSE 0 END"
    return [Key(rank, False, int), Key(f"coalesce({alias}.number, 0.0)", order.descending, float)]


def _text_keys(column: str, order: Order) -> list[Key]:
    return [Key(f"CASE WHEN {column} IS NULL THEN 1 ELSE 0 END", False, int), Key(f"coalesce({column}, '')", order.descending, str)]


def _metric(clause: Clause, values: Values) -> str:
    """Not-a-number differs from every number, and compares with none."""
    held = compared("c.number", clause, values)
    return f"({held} OR c.number IS NULL)" if clause.comparator == "!=" else held


def _with_dataset(clause: Clause, values: Values) -> str:
    column = "r.context" if clause.key == "context" else f"d.{clause.key}"
    return f"FROM run_datasets AS r JOIN datasets AS d ON d.id = r.dataset WHERE {compared(column, clause, values)}"
