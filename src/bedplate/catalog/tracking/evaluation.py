"""Datasets that language models are evaluated on: records of inputs, outputs and what is expected, with tags, of any number of experiments.

The same inputs are one record: what is expected and the tags are added to those it has, outputs take the place of those before. A record's
id comes from its dataset and its inputs. Bodies are JSON as clients sent it, NaN included, in ASCII.
Limits: 10,000 records at once and 1,000,000 in a dataset, 1,000,000 characters in each; a page ends early at 8,000,000.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from bedplate.catalog.database import Database, Row
from bedplate.core.digests import of_bytes
from bedplate.core.errors import NotFound, UserError
from bedplate.core.records import Record

from . import keyset, limits, pages
from .clauses import Clause, Order
from .comparing import compared
from .keyset import SortKey, Sought
from .pages import Values

MOST_AT_ONCE: Final = 10_000
MOST_RECORDS: Final = 1_000_000
MOST_EXPERIMENTS: Final = 1_000
LONGEST_RECORD: Final = 1_000_000
LONGEST_SCHEMA: Final = 1_000_000
USER_TAG: Final = "mlflow.user"
_LONGEST_PAGE: Final = 8_000_000
_FEW: Final = 50
_SOUGHT_AT_ONCE: Final = 500
_COLUMNS: Final = {
    "name": "e.name", "created_time": "e.created_ms", "last_update_time": "e.updated_ms", "created_by": "e.created_by",
    "last_updated_by": "e.updated_by",
}  # fmt: skip
_NUMBERS: Final = frozenset({"created_time", "last_update_time"})
_PARTS: Final = ("inputs", "outputs", "expectations")
_TYPES: Final = {bool: "boolean", int: "integer", float: "float", str: "string", list: "array", dict: "object", type(None): "null"}


class Evaluation(Record, frozen=True, kw_only=True):
    """A dataset without its records; times in ms. `schema` is JSON, empty before the first record."""

    id: str
    name: str
    digest: str = ""
    schema: str = ""
    records: int = 0
    created_by: str = ""
    updated_by: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    experiments: tuple[int, ...] = ()


class EvaluationRecord(Record, frozen=True, kw_only=True):
    """One record. `said` has inputs, outputs, expectations, tags, source, created_by and last_updated_by, those that there are."""

    id: str
    created_ms: int
    updated_ms: int
    said: dict[str, Any]


class EvaluationQuestion(Record, frozen=True, kw_only=True):
    """What is looked for. `experiments`: of one of these, none for any; `seen`: ids of experiments and datasets, None for all."""

    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    experiments: tuple[int, ...] = ()
    seen: frozenset[str] | None = None
    limit: int = 1_000
    token: str = ""


class Evaluations:
    """The datasets for evaluation of the record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, dataset: str) -> Evaluation:
        """One dataset. Raises NotFound."""
        row = self._database.one("evaluation_get", id=dataset)
        if row is None:
            raise NotFound(f"Evaluation dataset with id '{dataset[:100]}' not found")
        tags: dict[str, str] = dict(self._database.rows("evaluation_tags", id=dataset))
        return Evaluation(
            id=row[0], name=row[1], digest=row[2], schema=row[3], records=row[4], created_by=row[5], updated_by=row[6],
            created_ms=row[7], updated_ms=row[8], tags=tags, experiments=self.experiments(dataset),
        )  # fmt: skip

    def experiments(self, dataset: str) -> tuple[int, ...]:
        """The experiments that a dataset is of, if it is there."""
        return tuple(int(row[0]) for row in self._database.rows("evaluation_experiments", id=dataset))

    def create(self, dataset: Evaluation) -> Evaluation:
        """Make a dataset. Raises UserError."""
        limits.key("name", dataset.name, limits.LONGEST_NAME)
        user = limits.text(dataset.tags.get(USER_TAG, ""))
        made = msgspec.structs.replace(dataset, created_by=user, updated_by=user, digest=_digest(dataset.id))

        def work() -> Evaluation:
            self._put(made)
            self._tag(made.id, made.tags)
            self._join(made.id, made.experiments)
            return self.get(made.id)

        return self._database.transact(work)

    def delete(self, dataset: str) -> None:
        """Delete a dataset and its records. Raises NotFound."""

        def work() -> None:
            self.get(dataset)
            for query in ("evaluation_records_drop", "evaluation_tags_drop", "evaluation_experiments_drop", "evaluation_drop"):
                self._database.run(query, id=dataset)

        self._database.transact(work)

    def search(self, question: EvaluationQuestion) -> tuple[list[Evaluation], str]:
        """A page of datasets, the newest first unless asked otherwise, and the token of the next. Raises UserError."""
        values = Values()
        held = [_holds(one, values) for one in question.clauses]
        if question.experiments:
            held.append(f"EXISTS (SELECT 1 {_OF} AND x.experiment IN ({values.listed(question.experiments)}))")
        if question.seen is not None:
            held.append(_seen(question.seen, values))
        sought = Sought(
            columns="e.id", source="evaluations AS e", held=tuple(held), keys=_keys(question.orders),
            identity=("evaluations", question.clauses, question.orders, question.experiments), limit=question.limit, token=question.token,
        )  # fmt: skip
        found, token = keyset.page(self._database, sought, values)
        return [self.get(row[0]) for row in found], token

    def tag(self, dataset: str, tags: Mapping[str, str | None], now_ms: int) -> None:
        """Set tags; one that is None is taken away. Raises NotFound, UserError."""

        def work() -> None:
            known = self.get(dataset)
            self._tag(dataset, {name: value for name, value in tags.items() if value is not None})
            for name in (name for name, value in tags.items() if value is None):
                self._database.run("evaluation_tag_drop", id=dataset, name=name)
            self._put(msgspec.structs.replace(known, updated_ms=now_ms))

        self._database.transact(work)

    def join(self, dataset: str, experiments: Sequence[int], now_ms: int) -> Evaluation:
        """It is of these experiments too. Raises NotFound, UserError."""

        def work() -> Evaluation:
            self._put(msgspec.structs.replace(self.get(dataset), updated_ms=now_ms))
            self._join(dataset, experiments)
            return self.get(dataset)

        return self._database.transact(work)

    def leave(self, dataset: str, experiments: Sequence[int], now_ms: int) -> Evaluation:
        """It is of these experiments no more. Raises NotFound."""

        def work() -> Evaluation:
            self._put(msgspec.structs.replace(self.get(dataset), updated_ms=now_ms))
            self._database.many("evaluation_experiment_drop", [{"id": dataset, "experiment": one} for one in experiments])
            return self.get(dataset)

        return self._database.transact(work)

    def merge(self, dataset: str, records: Sequence[Mapping[str, Any]], now_ms: int) -> tuple[int, int]:
        """Add records, each to the one with its inputs where there is one: how many are new, and how many were there.

        Raises NotFound, UserError.
        """
        if len(records) > MOST_AT_ONCE:
            raise UserError(f"'records' has more than {MOST_AT_ONCE} records: send them in several requests")

        def work() -> tuple[int, int]:
            known = self.get(dataset)
            keys = [_record_id(dataset, one["inputs"]) for one in records]
            merged = self._there(dataset, keys)
            new = 0
            for key, one in zip(keys, records, strict=True):
                before = merged.get(key)
                new += before is None
                merged[key] = _merged(before or EvaluationRecord(id=key, created_ms=now_ms, updated_ms=now_ms, said={}), one, now_ms)
            bodies = self._keep(dataset, merged.values())
            self._put(_grown(known, records, new, _digest(known.digest, *bodies), now_ms))
            return new, len(records) - new

        return self._database.transact(work)

    def records(self, dataset: str, limit: int, token: str = "") -> tuple[list[EvaluationRecord], str]:
        """A page of records in the order in which they came, and the token of the next. Raises UserError."""
        search = ("evaluation_records", dataset)
        _, place = pages.place(token, search, [[int]])
        after, size = int(place[0]) if place else 0, 0
        found: list[EvaluationRecord] = []
        while len(found) < limit and size < _LONGEST_PAGE:
            rows = self._database.rows("evaluation_records_after", evaluation=dataset, after=after, limit=min(_FEW, limit - len(found)))
            if not rows:
                return found, ""
            found += map(_read, rows)
            after, size = int(rows[-1][0]), size + sum(len(row[4]) for row in rows)
        more = self._database.rows("evaluation_records_after", evaluation=dataset, after=after, limit=1)
        return found, pages.token(search, 0, (after,)) if more else ""

    def drop_records(self, dataset: str, ids: Sequence[str], now_ms: int) -> int:
        """Take records away; how many went. Raises NotFound, UserError."""
        if len(ids) > MOST_AT_ONCE:
            raise UserError(f"'dataset_record_ids' has more than {MOST_AT_ONCE} ids: send them in several requests")

        def work() -> int:
            known = self.get(dataset)
            gone = sum(self._database.run("evaluation_record_drop", evaluation=dataset, id=one) for one in ids)
            if gone:
                digest = _digest(known.digest, *ids)
                self._put(msgspec.structs.replace(known, records=known.records - gone, digest=digest, updated_ms=now_ms))
            return gone

        return self._database.transact(work)

    def _there(self, dataset: str, keys: Sequence[str]) -> dict[str, EvaluationRecord]:
        """Those of the records that there are, by their ids."""
        found: dict[str, EvaluationRecord] = {}
        for some in pages.chunks(keys, _SOUGHT_AT_ONCE):
            values = Values()
            held = f"evaluation = {values.bind(dataset)} AND id IN ({values.listed(some)})"
            sql = f"SELECT number, id, created_ms, updated_ms, body FROM evaluation_records WHERE {held}"
            found.update({row[1]: _read(row) for row in self._database.composed(sql, values.given)})
        return found

    def _keep(self, dataset: str, records: Iterable[EvaluationRecord]) -> list[str]:
        """The bodies that are kept. Raises UserError."""
        kept = [(one, json.dumps(one.said, sort_keys=True)) for one in records]
        for _, body in kept:
            limits.length("records.record", body, LONGEST_RECORD)
        self._database.many(
            "evaluation_record_put",
            [
                {"evaluation": dataset, "id": one.id, "created_ms": one.created_ms, "updated_ms": one.updated_ms, "body": body}
                for one, body in kept
            ],
        )
        return [body for _, body in kept]

    def _put(self, dataset: Evaluation) -> None:
        self._database.run(
            "evaluation_put", id=dataset.id, name=dataset.name, digest=dataset.digest, schema=dataset.schema, records=dataset.records,
            created_by=dataset.created_by, updated_by=dataset.updated_by, created_ms=dataset.created_ms, updated_ms=dataset.updated_ms,
        )  # fmt: skip

    def _tag(self, dataset: str, tags: Mapping[str, str]) -> None:
        limits.many("tags", list(tags), limits.MOST_TAGS)
        for name, value in tags.items():
            limits.key("tags.key", name)
            limits.length("tags.value", value, limits.LONGEST_VALUE)
        self._database.many("evaluation_tag_put", [{"id": dataset, "name": name, "value": limits.text(tags[name])} for name in tags])

    def _join(self, dataset: str, experiments: Sequence[int]) -> None:
        if len({*experiments, *self.experiments(dataset)}) > MOST_EXPERIMENTS:
            raise UserError(f"'experiment_ids': a dataset is of at most {MOST_EXPERIMENTS} experiments")
        self._database.many("evaluation_experiment_put", [{"id": dataset, "experiment": one} for one in experiments])


_OF: Final = "FROM evaluation_experiments AS x WHERE x.evaluation = e.id"


def _seen(seen: frozenset[str], values: Values) -> str:
    """That a dataset is of an experiment that is seen, or is of none and seen itself."""
    experiments = values.listed([int(one) for one in sorted(seen) if one.isdecimal()]) or "NULL"
    own = values.listed([one for one in sorted(seen) if not one.isdecimal()]) or "NULL"
    return f"(EXISTS (SELECT 1 {_OF} AND x.experiment IN ({experiments})) OR (e.id IN ({own}) AND NOT EXISTS (SELECT 1 {_OF})))"


def _holds(clause: Clause, values: Values) -> str:
    if clause.entity == "attribute":
        return compared(_COLUMNS[clause.key], clause, values)
    found = f"EXISTS (SELECT 1 FROM evaluation_tags AS t WHERE t.evaluation = e.id AND t.name = {values.bind(clause.key)}"
    if clause.comparator in ("IS NULL", "IS NOT NULL"):
        return f"{'NOT ' if clause.comparator == 'IS NULL' else ''}{found})"
    return f"{found} AND {compared('t.value', clause, values)})"


def _keys(orders: Sequence[Order]) -> tuple[SortKey, ...]:
    """The keys asked for, then the id. Raises UserError for a tag."""
    if any(one.entity != "attribute" for one in orders):
        raise UserError("Invalid 'order_by': datasets are sorted by their attributes")
    asked = orders or (Order("attribute", "created_time", True),)
    keys = [SortKey(_COLUMNS[one.key], one.descending, int if one.key in _NUMBERS else str) for one in asked]
    return (*keys, SortKey("e.id", False, str))


def _record_id(dataset: str, inputs: Any) -> str:
    return f"dr-{of_bytes(dataset.encode(), json.dumps(inputs, sort_keys=True).encode()).removeprefix('sha256:')[:32]}"


def _digest(*said: str) -> str:
    return of_bytes(*(one.encode() for one in said)).removeprefix("sha256:")[:8]


def _read(row: Row) -> EvaluationRecord:
    return EvaluationRecord(id=row[1], created_ms=row[2], updated_ms=row[3], said=json.loads(row[4]))


def _merged(before: EvaluationRecord, given: Mapping[str, Any], now_ms: int) -> EvaluationRecord:
    """A record with what is said of it now."""
    said = dict(before.said)
    tags = given.get("tags") or {}
    user = {"last_updated_by": tags[USER_TAG]} if USER_TAG in tags else {}
    if not said:
        said = {"inputs": given["inputs"], "source": given.get("source"), "created_by": user.get("last_updated_by")}
    if "outputs" in given:
        said["outputs"] = given["outputs"]
    for part in ("expectations", "tags"):
        said[part] = {**(said.get(part) or {}), **(given.get(part) or {})}
    kept = {name: value for name, value in {**said, **user}.items() if value is not None}
    return EvaluationRecord(id=before.id, created_ms=before.created_ms, updated_ms=now_ms, said=kept)


def _grown(known: Evaluation, records: Sequence[Mapping[str, Any]], new: int, digest: str, now_ms: int) -> Evaluation:
    """A dataset with more records. Raises UserError where those are too many, or their fields."""
    if known.records + new > MOST_RECORDS:
        raise UserError(f"'records': a dataset has at most {MOST_RECORDS} records")
    schema: dict[str, Any] = json.loads(known.schema) if known.schema else {**{part: {} for part in _PARTS}, "version": "1.0"}
    for record in records:
        for part in _PARTS:
            given = record.get(part)
            if isinstance(given, dict) and isinstance(schema[part], dict):
                schema[part] = {**{name: _TYPES[type(value)] for name, value in given.items()}, **schema[part]}
            elif given is not None and not schema[part]:
                schema[part] = _TYPES[type(given)]
    text = json.dumps(schema)
    limits.length("records.schema", text, LONGEST_SCHEMA)
    users = [record["tags"][USER_TAG] for record in records if USER_TAG in (record.get("tags") or {})]
    return msgspec.structs.replace(
        known,
        records=known.records + new,
        schema=text,
        digest=digest,
        updated_by=limits.text(users[-1].encode(errors="replace").decode()) if users else known.updated_by,
        updated_ms=now_ms,
    )
