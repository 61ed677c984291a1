"""Search of registered models and of their versions: filters and orders of the common grammar, put into SQL, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bedplate.catalog.database import Database
from bedplate.core.records import Record

from . import keyset
from .clauses import Clause, Entity, Order, Vocabulary
from .comparing import compared
from .keyset import SortKey, Sought
from .pages import Values
from .registered import ModelVersion, RegisteredModel
from .registry import Registry

_ENTITIES: Final[dict[str, Entity]] = {
    "attribute": "attribute", "attributes": "attribute", "attr": "attribute", "tag": "tag", "tags": "tag",
}  # fmt: skip
MODELS: Final = Vocabulary(
    text=frozenset({"name"}),
    numbers=frozenset({"creation_timestamp", "last_updated_timestamp"}),
    entities=_ENTITIES,
    alike={"timestamp": "last_updated_timestamp"},
)
"""What may be asked of registered models."""
VERSIONS: Final = Vocabulary(
    text=frozenset({"name", "run_id", "source_path"}),
    numbers=frozenset({"version_number", "creation_timestamp", "last_updated_timestamp"}),
    entities=_ENTITIES,
    alike={"timestamp": "last_updated_timestamp", "version": "version_number"},
)
"""What may be asked of versions."""
PROMPT: Final = "mlflow.prompt.is_prompt"
_MODEL_COLUMNS: Final = {"name": "r.name", "creation_timestamp": "r.created_ms", "last_updated_timestamp": "r.updated_ms"}
_VERSION_COLUMNS: Final = {**_MODEL_COLUMNS, "run_id": "r.run", "source_path": "r.source", "version_number": "r.number"}
_SELECTED: Final = (
    "r.name, r.number, r.description, r.serving_stage, r.source, r.run, r.logged_model, r.made_by, r.origin, r.stage, r.created_ms, "
    "r.updated_ms, v.digest, v.meta"
)
_VERSIONS: Final = "registered_versions AS r JOIN versions AS v ON v.artifact = r.name AND v.number = r.number"


class Asked(Record, frozen=True, kw_only=True):
    """What is looked for. `names` are those that may be seen, None all; `limit` is at least 1."""

    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    names: frozenset[str] | None = None
    limit: int = 100
    token: str = ""

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it the same search on its next page; whoever asks, it is asked anew what may be seen."""
        return self.clauses, self.orders


class RegistrySearch:
    """Finds models and versions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registry = Registry(database)

    def models(self, asked: Asked) -> tuple[list[RegisteredModel], str]:
        """A page of models, by name unless asked otherwise; prompts only where the filter names their tag. Raises UserError."""
        values = Values()
        held = ["r.stage = 'active'", *_seen(asked.names, values), *(_holds(one, _MODEL_COLUMNS, "0", values) for one in asked.clauses)]
        if not any((one.entity, one.key) == ("tag", PROMPT) for one in asked.clauses):
            mark = values.bind(PROMPT)
            held.append(f"NOT EXISTS (SELECT 1 FROM registered_tags AS p WHERE p.name = r.name AND p.number = 0 AND p.tag = {mark})")
        keys = _keys(asked.orders, _MODEL_COLUMNS, [SortKey("r.name", False, str)])
        sought = Sought(
            columns="r.name", source="registered_models AS r", held=tuple(held), keys=keys, identity=("models", *asked.identity),
            limit=asked.limit, token=asked.token,
        )  # fmt: skip
        found, more = keyset.page(self._database, sought, values)
        return [self._registry.get(row[0]) for row in found], more

    def versions(self, asked: Asked) -> tuple[list[ModelVersion], str]:
        """A page of versions, the newest first unless asked otherwise. Raises UserError."""
        values = Values()
        held = [
            "r.stage = 'active'", *_seen(asked.names, values), *(_holds(one, _VERSION_COLUMNS, "r.number", values) for one in asked.clauses)
        ]  # fmt: skip
        tail = [SortKey("r.name", False, str), SortKey("r.number", True, int)]
        first = asked.orders or (Order("attribute", "last_updated_timestamp", True),)
        sought = Sought(
            columns=_SELECTED, source=_VERSIONS, held=tuple(held), keys=_keys(first, _VERSION_COLUMNS, tail),
            identity=("versions", *asked.identity), limit=asked.limit, token=asked.token,
        )  # fmt: skip
        found, more = keyset.page(self._database, sought, values)
        return list(self._registry.told(found)), more


def _seen(names: frozenset[str] | None, values: Values) -> list[str]:
    if names is None:
        return []
    return [f"r.name IN ({values.listed(sorted(names))})" if names else "1 = 0"]


def _holds(clause: Clause, columns: dict[str, str], number: str, values: Values) -> str:
    """That row `r` satisfies a clause; a tag is one of the model (number 0) or of the version."""
    if clause.entity == "attribute":
        return compared(columns[clause.key], clause, values)
    found = (
        f"EXISTS (SELECT 1 FROM registered_tags AS t WHERE t.name = r.name AND t.number = {number} AND t.tag = {values.bind(clause.key)}"
    )
    if clause.comparator in ("IS NULL", "IS NOT NULL"):
        return f"{'NOT ' if clause.comparator == 'IS NULL' else ''}{found})"
    if (clause.key, clause.comparator) == (PROMPT, "!="):  # as clients ask for models that are no prompts, most of which lack the tag
        return f"NOT {found} AND t.value = {values.bind(str(clause.value))})"
    return f"{found} AND {compared('t.value', clause, values)})"


def _keys(orders: Sequence[Order], columns: dict[str, str], tail: Sequence[SortKey]) -> tuple[SortKey, ...]:
    """The keys asked for, then those that tell rows apart."""
    asked = [
        SortKey(columns[one.key], one.descending, str if one.key in ("name", "run_id", "source_path") else int)
        for one in orders
        if one.entity == "attribute"
    ]
    there = {key.expression for key in asked}
    return (*asked, *(key for key in tail if key.expression not in there))
