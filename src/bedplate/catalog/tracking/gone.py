"""What clients deleted longer ago than `gc`'s bound, taken out of the record for good.

A run goes with its points, params, tags, traces and its files' names; an experiment once none of its runs is left (those of the project
stay), with its datasets, logged models, traces and grants. What a registered version rests on stays in the record's own tables, so that
lineage and files of that version are whole; the run is gone for trackers. What was brought back before that is whole: all is decided in the
transaction that deletes. A transaction takes a few runs, so that writers wait for no more than those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bedplate.catalog.database import Database, Row
from bedplate.core.records import Record

from .files import Files

_AT_ONCE = 20
_OF_RUN = (
    "gone_points", "gone_curves", "gone_params", "gone_tags", "gone_run_datasets", "gone_run_models", "gone_run_brought", "gone_tracked",
    "gone_attempt", "gone_run",
)  # fmt: skip
_OF_MODEL = ("gone_logged_params", "gone_logged_tags", "gone_logged_metrics", "gone_logged_runs", "gone_logged_brought", "gone_logged")
_OF_TRACE = ("trace_spans_drop", "trace_notes_drop", "trace_drop")


class Forgotten(Record, frozen=True, kw_only=True):
    """How many of each were taken out of the record, or would be."""

    runs: int = 0
    logged_models: int = 0
    experiments: int = 0


class Gone:
    """Takes out what was deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files = Files(database)

    def counted(self, before_ms: int) -> Forgotten:
        """What `forget` would take."""
        return Forgotten(
            runs=int(self._database.value("gone_runs_count", before_ms=before_ms)),
            logged_models=int(self._database.value("gone_models_count", before_ms=before_ms)),
            experiments=int(self._database.value("gone_experiments_count", before_ms=before_ms)),
        )

    def forget(self, before_ms: int) -> Forgotten:
        """Take out what was deleted before that time, in transactions of its own; how much it was."""
        self._database.transact(lambda: self._files.forget(before_ms))
        return Forgotten(
            runs=self._in_turns(lambda: self._runs(before_ms)),
            logged_models=self._in_turns(lambda: self._models(before_ms)),
            experiments=self._database.transact(lambda: self._experiments(before_ms)),
        )

    def _in_turns(self, work: Callable[[], int]) -> int:
        total = 0
        while taken := self._database.transact(work):
            total += taken
        return total

    def _runs(self, before_ms: int) -> int:
        found = self._database.rows("gone_runs", before_ms=before_ms, limit=_AT_ONCE)
        for run, experiment in found:
            self._traces(self._database.rows("gone_traces_of_run", id=run))
            self._files.drop(run, experiment)
        self._each(_OF_RUN, found)
        return len(found)

    def _models(self, before_ms: int) -> int:
        found = self._database.rows("gone_models", before_ms=before_ms, limit=_AT_ONCE)
        self._each(_OF_MODEL, found)
        return len(found)

    def _experiments(self, before_ms: int) -> int:
        found = self._database.rows("gone_experiments", before_ms=before_ms)
        for (experiment,) in found:
            self._traces(self._database.rows("gone_traces_of", id=experiment))
            models = self._database.rows("gone_models_of", id=experiment)
            for (model,) in models:
                self._files.drop(model, experiment)
            self._each(_OF_MODEL, models)
            self._database.run("gone_datasets", id=experiment)
            self._database.run("gone_evaluations", id=experiment)
            self._database.run("gone_experiment_tags", id=experiment)
            self._database.run("gone_run_keys", id=experiment)
            self._database.run("gone_grants", resource=f"experiment:{experiment}")
            self._database.run("gone_experiment_brought", here=str(experiment))
            self._database.run("gone_experiment", id=experiment)
        return len(found)

    def _traces(self, traces: Iterable[Row]) -> None:
        for trace, experiment in traces:
            self._files.drop(trace, experiment)
            self._each(_OF_TRACE, [(trace,)])

    def _each(self, queries: tuple[str, ...], found: Iterable[Row]) -> None:
        keys = [{"id": row[0]} for row in found]
        for query in queries:
            self._database.many(query, keys)
