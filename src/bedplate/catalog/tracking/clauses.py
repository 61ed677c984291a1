"""What a search asks, as records: comparisons that all must hold, and keys to sort by. `grammar` reads them from text."""

from __future__ import annotations

from typing import Literal

from bedplate.core.records import Record

Entity = Literal["attribute", "metric", "param", "tag", "dataset", "metadata", "span", "feedback", "expectation"]
Comparator = Literal["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"]


class Clause(Record, frozen=True, kw_only=False):
    """One comparison, as `metrics.auc > 0.9`. `value` is a list for IN and NOT IN, and None where nothing is compared with."""

    entity: Entity
    key: str
    comparator: Comparator
    value: str | int | float | tuple[str, ...] | None = None


class Order(Record, frozen=True, kw_only=False):
    """One key to sort by."""

    entity: Entity
    key: str
    descending: bool = False
