"""Many runs at a glance: which keys there are to ask for, and the values of some columns for a page of runs.

A page costs a few queries whatever its runs hold: only what is shown is read. Which keys an experiment knows is written as runs say them,
and stays when the run goes: a name that is suggested may find nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from bedplate.catalog.database import Database
from bedplate.core.records import Record

from .clauses import Entity
from .comparing import lowered
from .pages import Values, chunks
from .tracked import Stage, TrackedRun, told

What = Literal["metric", "param", "tag"]
_AT_ONCE: Final = 500
_BRANCHES: Final = 40
_MOST_METRICS: Final = 5_000
_TABLES: Final[dict[What, str]] = {"param": "run_params", "tag": "run_tags"}
_RUNS: Final = "SELECT id, experiment, origin, parent, name, made_by, status, started_ms, ended_ms, stage FROM tracked WHERE id IN ({})"


class Key(Record, frozen=True, kw_only=False):
    """What a column shows: a metric's latest value, a param, a tag, or an attribute of the run itself."""

    entity: Entity
    name: str


def write_keys(database: Database, run: str, what: What, names: Iterable[str]) -> None:
    """A run says these names; inside a transaction, for a run that is there."""
    listed = [{"run": run, "what": what, "name": name} for name in names]
    if listed:
        database.many("run_key_put", listed)


class Overview:
    """Reads what pages over many runs show."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self, experiments: Sequence[int], what: What, part: str = "", limit: int = 50) -> list[str]:
        """Names that runs of these experiments said and that have `part` in them, whatever its case: by name, tags of protocols last."""
        if not experiments:
            return []
        values = Values()
        held = [f"k.experiment IN ({', '.join(str(int(one)) for one in experiments)})", f"k.what = {values.bind(what)}"]
        if part:
            held.append(f"lower(k.name) LIKE {values.bind(lowered(part))} ESCAPE '\\'")
        own = "CASE WHEN k.name LIKE 'mlflow.%' ESCAPE '\\' THEN 1 ELSE 0 END"
        sql = f"SELECT DISTINCT {own} AS own, k.name FROM run_keys AS k WHERE {' AND '.join(held)} ORDER BY own, k.name LIMIT {int(limit)}"
        return [str(name) for _, name in self._database.composed(sql, values.given)]

    def runs(self, ids: Sequence[str]) -> list[TrackedRun]:
        """The runs of these ids in their order; one that is not there is left out."""
        known: dict[str, TrackedRun] = {}
        for some in chunks(ids, _AT_ONCE):
            values = Values()
            known |= {row[0]: TrackedRun(*row) for row in self._database.composed(_RUNS.format(values.listed(some)), values.given)}
        return [known[id] for id in ids if id in known]

    def cells(self, ids: Sequence[str], keys: Sequence[Key]) -> dict[str, dict[Key, float | str]]:
        """The values of columns (metrics, params and tags) for each run that has some."""
        found: dict[str, dict[Key, float | str]] = defaultdict(dict)
        for some in chunks(ids, _AT_ONCE):
            metrics = [key.name for key in keys if key.entity == "metric"]
            if metrics:
                sql, given = _selected("run, name, number, bits", "curves", some, metrics)
                for run, name, number, bits in self._database.composed(sql, given):
                    found[run][Key("metric", name)] = told(number, bits)
            for what, table in _TABLES.items():
                named = [key.name for key in keys if key.entity == what]
                if named:
                    sql, given = _selected("run, name, value", table, some, named)
                    for run, name, value in self._database.composed(sql, given):
                        found[run][Key(what, name)] = value
        return dict(found)

    def metrics(self, ids: Sequence[str]) -> dict[str, list[tuple[str, float | str]]]:
        """The latest values of what runs measured, but for those of the machine; a few thousand at most."""
        found: dict[str, list[tuple[str, float | str]]] = defaultdict(list)
        for some in chunks(ids, _AT_ONCE):
            values = Values()
            sql = (
                f"SELECT run, name, number, bits FROM curves WHERE run IN ({values.listed(some)}) AND NOT name LIKE 'system/%' ESCAPE '\\' "
                f"ORDER BY run, name LIMIT {_MOST_METRICS}"
            )
            for run, name, number, bits in self._database.composed(sql, values.given):
                found[run].append((name, told(number, bits)))
        return dict(found)

    def common(self, ids: Sequence[str], what: What, most: int) -> list[Key]:
        """The names that most of these runs have, the most frequent first; tags of protocols and what machines did are not among them."""
        if not ids:
            return []
        values = Values()
        table = "curves" if what == "metric" else _TABLES[what]
        sql = (
            f"SELECT name, count(*) AS often FROM {table} WHERE run IN ({values.listed(ids)}) AND NOT name LIKE 'mlflow.%' ESCAPE '\\' "
            f"AND NOT name LIKE 'system/%' ESCAPE '\\' GROUP BY name ORDER BY often DESC, name LIMIT {int(most)}"
        )
        return [Key(what, str(name)) for name, _ in self._database.composed(sql, values.given)]

    def count(self, experiments: Sequence[int], stages: Sequence[Stage], parent: str | None) -> int:
        """How many runs experiments have, as a search without clauses finds them."""
        values = Values()
        of_parent = "" if parent is None else " AND t.parent = ''" if not parent else f" AND t.parent = {values.bind(parent)}"
        pairs = [(int(experiment), stage) for experiment in experiments for stage in stages]
        found = 0
        for some in chunks(pairs, _BRANCHES):  # each by equality, which the index of the top is found by
            counts = [
                f"SELECT count(*) AS n FROM tracked AS t WHERE t.experiment = {experiment} AND t.stage = {values.bind(stage)}{of_parent}"
                for experiment, stage in some
            ]
            found += sum(int(row[0]) for row in self._database.composed(" UNION ALL ".join(counts), values.given))
        return found

    def children(self, ids: Sequence[str]) -> dict[str, int]:
        """How many runs that are not deleted each of these is the parent of, where it is."""
        if not ids:
            return {}
        values = Values()
        sql = f"SELECT parent, count(*) FROM tracked WHERE parent IN ({values.listed(ids)}) AND stage = 'active' GROUP BY parent"
        return {str(parent): int(count) for parent, count in self._database.composed(sql, values.given)}


def _selected(columns: str, table: str, ids: Sequence[str], names: Sequence[str]) -> tuple[str, dict[str, str | int | float | None]]:
    values = Values()
    sql = f"SELECT {columns} FROM {table} WHERE run IN ({values.listed(ids)}) AND name IN ({values.listed(names)})"
    return sql, values.given
