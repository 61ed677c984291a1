"""Logged models: a model that a client keeps for itself, with params, tags, metrics and a folder of files, of an experiment.

It is pending while its files come, and ready or failed after; then its files are frozen. Params are said once; a tag may be said again.
Deleted ones keep their id; `gc` takes their files away. Limits: at most 10,000 points of metrics are shown of one model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from bedplate.catalog.database import Database, Row
from bedplate.core.errors import NotFound, UserError
from bedplate.core.records import Record

from . import keyset, limits
from .clauses import Clause, Entity, Order, Vocabulary
from .comparing import compared
from .keyset import SortKey, Sought
from .pages import Values
from .tracked import Named, told

LoggedStatus = Literal["LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"]
STATUSES: Final[tuple[LoggedStatus, ...]] = ("LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED")
MOST_SHOWN: Final = 10_000
_ENTITIES: Final[dict[str, Entity]] = {
    "attribute": "attribute", "attributes": "attribute", "tag": "tag", "tags": "tag", "param": "param", "params": "param",
    "metric": "metric", "metrics": "metric",
}  # fmt: skip
LOGGED: Final = Vocabulary(
    text=frozenset({"name", "model_id", "model_type", "status", "source_run_id"}),
    numbers=frozenset({"creation_timestamp", "last_updated_timestamp"}),
    entities=_ENTITIES,
    alike={"creation_time": "creation_timestamp", "creation_timestamp_ms": "creation_timestamp",
           "last_updated_timestamp_ms": "last_updated_timestamp", "experiment_name": "name"},
)  # fmt: skip
"""What may be asked of logged models."""
_COLUMNS: Final = {
    "name": "m.name", "model_id": "m.id", "model_type": "m.model_type", "status": "m.status", "source_run_id": "m.run",
    "creation_timestamp": "m.created_ms", "last_updated_timestamp": "m.updated_ms",
}  # fmt: skip
_SELECTED: Final = "m.id, m.experiment, m.name, m.model_type, m.run, m.status, m.message, m.created_ms, m.updated_ms, m.deleted_ms"


class Measured(Record, frozen=True, kw_only=True):
    """What was measured of a model, by a run, perhaps on a dataset."""

    key: str
    value: float | str
    timestamp: int
    step: int
    run: str
    dataset_name: str
    dataset_digest: str


class LoggedModel(Record, frozen=True, kw_only=True):
    """One logged model. Times are ms since the epoch."""

    id: str
    experiment: int
    name: str
    model_type: str
    run: str
    status: LoggedStatus
    message: str
    created_ms: int
    updated_ms: int
    params: tuple[Named, ...] = ()
    tags: tuple[Named, ...] = ()
    metrics: tuple[Measured, ...] = ()


class On(Record, frozen=True, kw_only=True):
    """A dataset that metrics were measured on; its digest may be left out."""

    name: str
    digest: str = ""


class Ordered(Record, frozen=True, kw_only=True):
    """One key to sort by; a metric perhaps as measured on a dataset."""

    order: Order
    on: On | None = None


class Asked(Record, frozen=True, kw_only=True):
    """What is looked for: models of these experiments that satisfy every clause, their metrics on one of `datasets` where there are any."""

    experiments: tuple[int, ...]
    clauses: tuple[Clause, ...] = ()
    datasets: tuple[On, ...] = ()
    orders: tuple[Ordered, ...] = ()
    limit: int = 100
    token: str = ""


class LoggedModels:
    """Logged models; writes are for inside a transaction. Raises NotFound for what is not there or deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def experiment(self, model: str) -> int:
        """The experiment of a model."""
        return int(self._row(model)[1])

    def get(self, model: str) -> LoggedModel:
        """One model."""
        return self._told(self._row(model))

    def create(self, model: LoggedModel) -> LoggedModel:
        """A model begins to be logged; its id is new. Raises UserError for params or tags that cannot be taken."""
        limits.length("name", model.name, limits.LONGEST_NAME)
        limits.length("model_type", model.model_type, limits.LONGEST_NAME)
        self._database.run(
            "logged_add", id=model.id, experiment=model.experiment, name=model.name, model_type=model.model_type, run=model.run,
            at_ms=model.created_ms,
        )  # fmt: skip
        self._add_params(model.id, model.params)
        self._put_tags(model.id, model.tags)
        return self.get(model.id)

    def finish(self, model: str, status: LoggedStatus, at_ms: int) -> LoggedModel:
        """Say that a model is ready, or that it could not be sent; pending again opens its files."""
        self._row(model)
        self._database.run("logged_end", id=model, status=status, at_ms=at_ms)
        return self.get(model)

    def delete(self, model: str, at_ms: int) -> None:
        """Delete a model."""
        self._row(model)
        self._database.run("logged_delete", id=model, at_ms=at_ms)

    def add_params(self, model: str, params: Sequence[Named], at_ms: int) -> None:
        """Say what a model was made with. Raises UserError for one that was said otherwise."""
        self._row(model)
        self._add_params(model, params)
        self._database.run("logged_touch", id=model, at_ms=at_ms)

    def set_tags(self, model: str, tags: Sequence[Named], at_ms: int) -> LoggedModel:
        """Tag a model."""
        self._row(model)
        self._put_tags(model, tags)
        self._database.run("logged_touch", id=model, at_ms=at_ms)
        return self.get(model)

    def drop_tag(self, model: str, key: str, at_ms: int) -> None:
        """Take a tag away. Raises NotFound where it is not there."""
        self._row(model)
        if not self._database.run("logged_tag_drop", model=model, name=key):
            raise NotFound(f"No tag with key {key[:80]!r} found for model with ID {model!r}.")
        self._database.run("logged_touch", id=model, at_ms=at_ms)

    def give(self, run: str, model: str, step: int) -> None:
        """A run gave a model, as it stood at a step; said again, it stays as it was said first."""
        self._row(model)
        self._database.many("run_model_put", [{"run": run, "model": model, "way": "out", "at_step": step}])

    def page(self, asked: Asked) -> tuple[list[LoggedModel], str]:
        """A page of models, the newest first unless asked otherwise, and the token of the next. Raises UserError."""
        if not asked.experiments:
            return [], ""
        values = Values()
        held = [
            "m.deleted_ms IS NULL",
            f"m.experiment IN ({', '.join(str(int(one)) for one in asked.experiments)})",
            *(_holds(clause, asked.datasets, values) for clause in asked.clauses),
            *([_measured_on(asked.datasets, values)] if asked.datasets else []),
        ]
        sought = Sought(
            columns=_SELECTED, source="logged_models AS m", held=tuple(held), keys=_keys(asked.orders, values),
            identity=(asked.experiments, asked.clauses, asked.datasets, asked.orders), limit=asked.limit, token=asked.token,
        )  # fmt: skip
        found, more = keyset.page(self._database, sought, values)
        return [self._told(row) for row in found], more

    def _row(self, model: str) -> Row:
        row = self._database.one("logged_get", id=model)
        if row is None or row[9] is not None:
            raise NotFound(f"Logged model with ID '{model[:80]}' not found.")
        return row

    def _told(self, row: Row) -> LoggedModel:
        model = row[0]
        measured = self._database.rows("logged_metrics_of", model=model, limit=MOST_SHOWN)
        latest = {(one[0], one[4], one[5], one[6]): one for one in measured}
        return LoggedModel(
            id=model, experiment=row[1], name=row[2], model_type=row[3], run=row[4], status=row[5], message=row[6], created_ms=row[7],
            updated_ms=row[8], params=self._named("logged_params_of", model), tags=self._named("logged_tags_of", model),
            metrics=tuple(
                Measured(
                    key=one[0], value=told(one[7], one[1]), step=one[2], timestamp=one[3], run=one[4], dataset_name=one[5],
                    dataset_digest=one[6],
                )
                for one in latest.values()
            ),
        )  # fmt: skip

    def _named(self, query: str, model: str) -> tuple[Named, ...]:
        return tuple(Named(row[0], row[1]) for row in self._database.rows(query, model=model))

    def _add_params(self, model: str, params: Iterable[Named]) -> None:
        known = {one.key: one.value for one in self._named("logged_params_of", model)}
        for number, given in enumerate(params):
            one = limits.named(f"params[{number}]", given)
            if known.setdefault(one.key, one.value) != one.value:
                raise UserError(f"Changing param values is not allowed. Param with key='{one.key}' was already logged.")
            self._database.run("logged_param_add", model=model, name=one.key, value=one.value)

    def _put_tags(self, model: str, tags: Iterable[Named]) -> None:
        for number, given in enumerate(tags):
            one = limits.named(f"tags[{number}]", given)
            self._database.run("logged_tag_put", model=model, name=one.key, value=one.value)


def _holds(clause: Clause, datasets: Sequence[On], values: Values) -> str:
    """That model `m` satisfies a clause."""
    if clause.entity == "attribute":
        return compared(_COLUMNS[clause.key], clause, values)
    table, column = ("logged_metrics", "p.number") if clause.entity == "metric" else (f"logged_{clause.entity}s", "p.value")
    found = f"EXISTS (SELECT 1 FROM {table} AS p WHERE p.model = m.id AND p.name = {values.bind(clause.key)}"
    if clause.entity == "metric" and datasets:
        found += f" AND ({' OR '.join(_on(one, values) for one in datasets)})"
    if clause.comparator in ("IS NULL", "IS NOT NULL"):
        return f"{'NOT ' if clause.comparator == 'IS NULL' else ''}{found})"
    return f"{found} AND {compared(column, clause, values)})"


def _measured_on(datasets: Sequence[On], values: Values) -> str:
    return f"EXISTS (SELECT 1 FROM logged_metrics AS p WHERE p.model = m.id AND ({' OR '.join(_on(one, values) for one in datasets)}))"


def _on(dataset: On, values: Values) -> str:
    held = f"p.dataset = {values.bind(dataset.name)}"
    return f"({held} AND p.dataset_digest = {values.bind(dataset.digest)})" if dataset.digest else held


def _keys(orders: Sequence[Ordered], values: Values) -> tuple[SortKey, ...]:
    keys: list[SortKey] = []
    for one in orders:
        if one.order.entity == "attribute":
            column = _COLUMNS[one.order.key]
            keys.append(SortKey(column, one.order.descending, int if one.order.key in LOGGED.numbers else str))
        elif one.order.entity == "metric":
            keys += _metric_keys(one, values)
        else:
            raise UserError(f"'order_by' cannot sort by {one.order.entity}s")
    there = {key.expression for key in keys}
    tail = (SortKey("m.created_ms", True, int), SortKey("m.id", False, str))
    return (*keys, *(key for key in tail if key.expression not in there))


def _metric_keys(one: Ordered, values: Values) -> list[SortKey]:
    """By the latest value of a metric; models without it, or with none that is a number, come last."""
    on = f" AND {_on(one.on, values)}" if one.on is not None else ""
    newest = "ORDER BY p.at_step DESC, p.at_ms DESC, p.bits DESC LIMIT 1"
    latest = f"(SELECT p.number FROM logged_metrics AS p WHERE p.model = m.id AND p.name = {values.bind(one.order.key)}{on} {newest})"
    rank = SortKey(f"(CASE WHEN {latest} IS NULL THEN 1 ELSE 0 END)", False, int)
    return [rank, SortKey(f"coalesce({latest}, 0.0)", one.order.descending, float)]
