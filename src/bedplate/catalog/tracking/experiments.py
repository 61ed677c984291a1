"""Experiments: what groups runs. A project has one of its own name, made when it is first looked for; clients make others.

A name is taken for ever, by a deleted experiment too. Deleting an experiment deletes what runs it has, at the same moment; bringing it back
brings those back, and none that was deleted before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bedplate.catalog.database import Database, Row
from bedplate.core.errors import InternalError, NotFound, Refused, UserError
from bedplate.core.records import Record

from . import limits, pages
from .clauses import Clause, Order
from .comparing import after, compared
from .pages import Types, Values
from .tracked import Experiment, Named, Stage

_COLUMNS: Final = {
    "name": ("e.name", str), "experiment_id": ("e.id", int), "creation_time": ("e.created_ms", int),
    "last_update_time": ("e.updated_ms", int),
}  # fmt: skip
_SELECTED: Final = "e.id, e.name, e.stage, e.created_ms, e.updated_ms"
_EQUAL: Final = frozenset({"=", "!=", "IN", "NOT IN"})


class ExperimentQuestion(Record, frozen=True, kw_only=True):
    """Which experiments are looked for; `seen` are those that the asker may see (None: all). `limit` is at least 1."""

    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    stages: tuple[Stage, ...] = ("active",)
    seen: frozenset[int] | None = None
    limit: int = 1000
    token: str = ""


class Experiments:
    """The experiments of the record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, tags: Sequence[Named], now_ms: int) -> int | None:
        """Make one; its id, or None where the name is taken. Raises UserError."""
        limits.key("name", name, limits.LONGEST_NAME)
        limits.many("tags", tags, limits.MOST_TAGS)
        checked = [limits.named(f"tags[{place}]", tag) for place, tag in enumerate(tags)]

        def work() -> int | None:
            made = self._database.value("experiment_add", name=name, now_ms=now_ms)
            if made is not None and checked:
                self._database.many("experiment_tag_put", [{"id": made, "name": tag.key, "value": tag.value} for tag in checked])
            return None if made is None else int(made)

        return self._database.transact(work)

    def of_project(self, project: str, now_ms: int) -> int:
        """The id of a project's experiment, made where it is not there yet."""
        return of_project(self._database, project, now_ms)

    def get(self, experiment: int) -> Experiment:
        """One, with its tags, deleted or not. Raises NotFound."""
        row = self._database.one("experiment_get", id=experiment)
        if row is None:
            raise NotFound(f"No Experiment with id={experiment} exists")
        return self._whole(row)

    def find(self, name: str) -> Experiment:
        """The one of a name. Raises NotFound."""
        row = self._database.one("experiment_by_name", name=name)
        if row is None:
            raise NotFound(f"Could not find experiment with name '{name[:100]}'")
        return self._whole(row)

    def search(self, question: ExperimentQuestion) -> tuple[list[Experiment], str]:
        """A page of experiments with their tags, and the token of the next (empty: none). Raises UserError."""
        orders = question.orders or (Order("attribute", "creation_time", True), Order("attribute", "experiment_id"))
        if not any(order.key == "experiment_id" for order in orders):
            orders = (*orders, Order("attribute", "experiment_id", True))
        keys = [(*_column(order), order.descending) for order in orders]
        search = (question.clauses, orders, question.stages)
        _, place = pages.place(question.token, search, [[type for _, type, _ in keys]])
        values = Values()
        held = [f"e.stage IN ({values.listed(question.stages)})", *(_where(clause, values) for clause in question.clauses)]
        if question.seen is not None:
            held.append(f"e.id IN ({', '.join(str(int(one)) for one in sorted(question.seen)) or 'NULL'})")
        if place is not None:
            held.append(after([(column, falls, one) for (column, _, falls), one in zip(keys, place, strict=True)], values))
        ordered = ", ".join(f"{column}{' DESC' if falls else ''}" for column, _, falls in keys)
        sql = f"SELECT {_SELECTED} FROM experiments AS e WHERE {' AND '.join(held)} ORDER BY {ordered} LIMIT {int(question.limit) + 1}"
        rows = self._database.composed(sql, values.given)
        found = self._tagged(rows[: question.limit])
        if len(rows) <= question.limit:
            return found, ""
        return found, pages.token(search, 0, tuple(_told(found[-1], order) for order in orders))

    def rename(self, experiment: int, name: str, now_ms: int) -> bool:
        """Give it another name; False where that is taken. Raises NotFound, UserError, and Refused for one that is deleted."""
        limits.key("new_name", name, limits.LONGEST_NAME)

        def work() -> bool:
            if self.get(experiment).stage != "active":
                raise Refused("Cannot rename a non-active experiment.")
            row = self._database.one("experiment_by_name", name=name)
            if row is not None:
                return int(row[0]) == experiment
            self._database.run("experiment_rename", id=experiment, name=name, now_ms=now_ms)
            return True

        return self._database.transact(work)

    def delete(self, experiment: int, now_ms: int) -> None:
        """Delete it with its runs. Raises NotFound where it is not there or deleted, Refused for the default one."""

        def work() -> None:
            self._staged(experiment, "active")
            if experiment == 0:
                raise Refused("Experiment 0 is where clients log that name none: it stays")
            self._database.run("experiment_stage", id=experiment, stage="deleted", now_ms=now_ms)
            self._database.run("experiment_runs_deleted", id=experiment, now_ms=now_ms)

        self._database.transact(work)

    def restore(self, experiment: int, now_ms: int) -> None:
        """Bring it back with the runs that were deleted with it. Raises NotFound where it is not deleted."""

        def work() -> None:
            deleted_ms = self._staged(experiment, "deleted").updated_ms
            self._database.run("experiment_stage", id=experiment, stage="active", now_ms=now_ms)
            self._database.run("experiment_runs_restored", id=experiment, deleted_ms=deleted_ms)

        self._database.transact(work)

    def set_tag(self, experiment: int, tag: Named) -> None:
        """Tag it. Raises NotFound, UserError."""
        checked = limits.named("", tag)

        def work() -> None:
            self._active(experiment)
            self._database.many("experiment_tag_put", [{"id": experiment, "name": checked.key, "value": checked.value}])

        self._database.transact(work)

    def delete_tag(self, experiment: int, key: str) -> None:
        """Take a tag away. Raises NotFound, UserError."""

        def work() -> None:
            self._active(experiment)
            if not self._database.run("experiment_tag_drop", id=experiment, name=key):
                raise NotFound(f"No tag with name: {key[:100]} in experiment with id {experiment}")

        self._database.transact(work)

    def _active(self, experiment: int) -> None:
        stage = self.get(experiment).stage
        if stage != "active":
            raise UserError(f"The experiment {experiment} must be in the 'active' state. Current state is {stage}.")

    def _staged(self, experiment: int, stage: Stage) -> Experiment:
        found = self.get(experiment)
        if found.stage != stage:
            raise NotFound(f"No {'Experiment' if stage == 'active' else 'deleted Experiment'} with id={experiment} exists")
        return found

    def _whole(self, row: Row) -> Experiment:
        return _experiment(row, [Named(*tag) for tag in self._database.rows("experiment_tags_of", id=row[0])])

    def _tagged(self, rows: Sequence[Row]) -> list[Experiment]:
        tags: dict[int, list[Named]] = {}
        for some in pages.chunks([row[0] for row in rows], 500):
            listed = ", ".join(str(int(one)) for one in some)
            sql = f"SELECT experiment, name, value FROM experiment_tags WHERE experiment IN ({listed}) ORDER BY experiment, name"
            for experiment, name, value in self._database.composed(sql, {}):
                tags.setdefault(experiment, []).append(Named(name, value))
        return [_experiment(row, tags.get(row[0], ())) for row in rows]


def of_project(database: Database, project: str, now_ms: int) -> int:
    """The id of a project's experiment, made where it is not there yet."""

    def work() -> int:
        row = database.one("experiment_by_name", name=project)
        return int(row[0] if row is not None else database.value("experiment_add", name=project, now_ms=now_ms))

    return database.transact(work)


def _experiment(row: Row, tags: Sequence[Named]) -> Experiment:
    return Experiment(id=row[0], name=row[1], stage=row[2], created_ms=row[3], updated_ms=row[4], tags=tuple(tags))


def _column(order: Order) -> tuple[str, Types]:
    if order.entity != "attribute":
        raise UserError(f"Invalid order_by entity: {order.entity}")
    column, type = _COLUMNS[order.key]
    return column, type


def _told(experiment: Experiment, order: Order) -> int | str:
    known: dict[str, int | str] = {
        "name": experiment.name, "experiment_id": experiment.id, "creation_time": experiment.created_ms,
        "last_update_time": experiment.updated_ms,
    }  # fmt: skip
    return known[order.key]


def _where(clause: Clause, values: Values) -> str:
    """That experiment `e` satisfies a clause. Raises UserError."""
    if clause.entity == "attribute":
        if clause.key == "experiment_id":
            return _by_id(clause)
        return compared(_COLUMNS[clause.key][0], clause, values)
    if clause.entity != "tag":
        raise InternalError(f"experiments have no {clause.entity}")
    found = f"EXISTS (SELECT 1 FROM experiment_tags AS g WHERE g.experiment = e.id AND g.name = {values.bind(clause.key)}"
    if clause.value is None:
        return f"{found})" if clause.comparator == "IS NOT NULL" else f"NOT {found})"
    return f"{found} AND {compared('g.value', clause, values)})"


def _by_id(clause: Clause) -> str:
    """Ids are texts in the protocol and numbers in the record: one that is no number is nobody's."""
    if clause.comparator not in _EQUAL:
        raise UserError(f"Invalid comparator for experiment_id: {clause.comparator}")
    given = clause.value if isinstance(clause.value, tuple) else (str(clause.value),)
    numbers = ", ".join(str(experiment_id(one)) for one in given)
    return f"e.id {'IN' if clause.comparator in ('=', 'IN') else 'NOT IN'} ({numbers})"


def experiment_id(given: str) -> int:
    """An experiment's id from its text; -1, which none has, for what is no id."""
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else -1
