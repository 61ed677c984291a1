"""What a search asks, as records: comparisons that all must hold, and keys to sort by. `grammar` reads them from text."""

from __future__ import annotations

from collections.abc import Mapping
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


class Vocabulary(Record, frozen=True, kw_only=False):
    """What may be asked of one kind of thing: its own attributes in words and in numbers, its groups of keys, words for the same.

    `entities` maps what may stand before the dot; an entity whose keys are fixed has them in `fixed`.
    """

    text: frozenset[str]
    numbers: frozenset[str]
    entities: Mapping[str, Entity]
    alike: Mapping[str, str] = {}
    fixed: Mapping[str, frozenset[str]] = {}
