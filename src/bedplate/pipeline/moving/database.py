"""MLflow's SQLite database, of any version that has these tables: columns that came later are asked for only where they are.

Limits: MLflow keeps an infinity as the largest number that there is; it comes over as that. Traces are left where they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from bedplate.catalog.tracking.theirs import (
    LOGGED_READY,
    Point,
    TheirDataset,
    TheirExperiment,
    TheirLogged,
    TheirMetric,
    TheirModel,
    TheirRun,
    TheirVersion,
)

from .file_store import DELETED, LOGGED_STATUS
from .folders import Folders, InFolders

Tags = dict[str, str]


class Foreign(Protocol):
    """A foreign database: `rows` of our own queries, `columns` of a table."""

    @property
    def path(self) -> Path:
        """Its file."""
        ...

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table; none where there is none."""
        ...

    def rows(self, sql: str, values: dict[str, str | int | None] | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows of a query."""
        ...


class SqliteStore(InFolders):
    """The database and the folders in which its files may lie."""

    def __init__(self, foreign: Foreign, folders: Folders) -> None:
        super().__init__(folders)
        self._foreign = foreign

    @property
    def place(self) -> str:
        return str(self._foreign.path.resolve())

    def experiments(self) -> list[TheirExperiment]:
        times = self._given("experiments", "creation_time", "last_update_time")
        found = self._foreign.rows(f"SELECT experiment_id, name, lifecycle_stage, {times} FROM experiments ORDER BY experiment_id")
        return [
            TheirExperiment(
                id=str(key), name=name, stage=stage or "active", created_ms=created or 0, updated_ms=updated or 0,
                tags=self._tags("SELECT key, value FROM experiment_tags WHERE experiment_id = :id", key),
            )
            for key, name, stage, created, updated in found
        ]  # fmt: skip

    def runs(self, experiment: str) -> Iterator[TheirRun]:
        more = self._given("runs", "name", "deleted_time")
        sql = (
            f"SELECT run_uuid, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, {more} FROM runs "
            "WHERE experiment_id = :id ORDER BY start_time, run_uuid"
        )
        for key, user, status, started, ended, stage, root, name, deleted in self._foreign.rows(sql, {"id": int(experiment)}):
            tags = self._tags("SELECT key, value FROM tags WHERE run_uuid = :id", key)
            yield TheirRun(
                id=key, experiment=experiment, name=name or tags.get("mlflow.runName", ""), user=user or "", status=status or "FINISHED",
                started_ms=started or 0, ended_ms=ended, stage=stage or "active", deleted_ms=deleted, root=root or "", tags=tags,
                params=self._tags("SELECT key, value FROM params WHERE run_uuid = :id", key),
                datasets=tuple(self._datasets(key)), inputs=tuple(model for model, _ in self._links("RUN_INPUT", "MODEL_INPUT", key)),
                outputs=tuple(self._links("RUN_OUTPUT", "MODEL_OUTPUT", key)),
            )  # fmt: skip

    def points(self, run: TheirRun) -> Iterator[Point]:
        sql = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = :id"
        for name, value, at, step, is_nan in self._foreign.rows(sql, {"id": run.id}):
            yield Point(name, math.nan if is_nan else float(value), int(at or 0), int(step or 0))

    def logged(self, experiment: str) -> Iterator[TheirLogged]:
        if not self._foreign.columns("logged_models"):
            return
        sql = (
            "SELECT model_id, name, model_type, source_run_id, status, status_message, creation_timestamp_ms, last_updated_timestamp_ms, "
            "lifecycle_stage, artifact_location FROM logged_models WHERE experiment_id = :id ORDER BY creation_timestamp_ms, model_id"
        )
        for key, name, kind, run, status, message, created, updated, stage, root in self._foreign.rows(sql, {"id": int(experiment)}):
            yield TheirLogged(
                id=key, experiment=experiment, name=name or "", model_type=kind or "", run=run or "",
                status=LOGGED_STATUS.get(str(status), LOGGED_READY), message=message or "",
                created_ms=created or 0, updated_ms=updated or 0,
                is_deleted=stage == "deleted", root=root or "",
                params=self._tags("SELECT param_key, param_value FROM logged_model_params WHERE model_id = :id", key),
                tags=self._tags("SELECT tag_key, tag_value FROM logged_model_tags WHERE model_id = :id", key),
                metrics=tuple(self._measured(key)),
            )  # fmt: skip

    def models(self) -> Iterator[TheirModel]:
        if not self._foreign.columns("registered_models"):
            return
        sql = "SELECT name, description, creation_time, last_updated_time FROM registered_models ORDER BY name"
        has_aliases = bool(self._foreign.columns("registered_model_aliases"))
        for name, description, created, updated in self._foreign.rows(sql):
            aliases = self._pairs("SELECT alias, version FROM registered_model_aliases WHERE name = :id", name) if has_aliases else ()
            yield TheirModel(
                name=name, description=description or "", created_ms=created or 0, updated_ms=updated or 0,
                tags=self._tags("SELECT key, value FROM registered_model_tags WHERE name = :id", name),
                aliases={str(alias): int(number) for alias, number in aliases}, versions=tuple(self._versions(name)),
            )  # fmt: skip

    def _versions(self, model: str) -> Iterator[TheirVersion]:
        sql = (
            "SELECT version, creation_time, last_updated_time, description, user_id, current_stage, source, run_id "
            "FROM model_versions WHERE name = :name AND current_stage <> :deleted ORDER BY version"
        )
        for number, created, updated, description, user, stage, source, run in self._foreign.rows(sql, {"name": model, "deleted": DELETED}):
            tags = self._foreign.rows(
                "SELECT key, value FROM model_version_tags WHERE name = :name AND version = :number", {"name": model, "number": number}
            )
            yield TheirVersion(
                number=number, run=run or "", logged_model=_model_of(source or ""), source=source or "", description=description or "",
                user=user or "", stage=stage or "None", created_ms=created or 0, updated_ms=updated or 0,
                tags={str(key): str(value or "") for key, value in tags},
            )  # fmt: skip

    def _datasets(self, run: str) -> Iterator[TheirDataset]:
        if not self._foreign.columns("inputs"):
            return
        sql = (
            "SELECT i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema, d.dataset_profile "
            "FROM inputs AS i JOIN datasets AS d ON d.dataset_uuid = i.source_id "
            "WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id = :id ORDER BY d.name"
        )
        for key, name, digest, kind, source, schema, profile in self._foreign.rows(sql, {"id": run}):
            yield TheirDataset(
                name=name, digest=digest, source_type=kind, source=source, schema=schema or "", profile=profile or "",
                tags=self._tags("SELECT name, value FROM input_tags WHERE input_uuid = :id", key),
            )  # fmt: skip

    def _links(self, source: str, kind: str, run: str) -> Iterator[tuple[str, int]]:
        """The logged models that a run took or gave: a row from the run to the model."""
        if "step" in self._foreign.columns("inputs"):
            sql = "SELECT destination_id, step FROM inputs WHERE source_type = :source AND source_id = :id AND destination_type = :kind"
            for model, step in self._foreign.rows(sql, {"source": source, "kind": kind, "id": run}):
                yield str(model), int(step or 0)

    def _measured(self, model: str) -> Iterator[TheirMetric]:
        sql = (
            "SELECT run_id, metric_name, metric_value, metric_step, metric_timestamp_ms, dataset_name, dataset_digest "
            "FROM logged_model_metrics WHERE model_id = :id"
        )
        for run, name, value, step, at, dataset, digest in self._foreign.rows(sql, {"id": model}):
            yield TheirMetric(
                run=run, name=name, value=math.nan if value is None else float(value), at_step=step, at_ms=at,
                dataset=dataset or "", dataset_digest=digest or "",
            )  # fmt: skip

    def _given(self, table: str, *columns: str) -> str:
        """These columns as a query asks for them: NULL for one that this version of the table does not have."""
        there = self._foreign.columns(table)
        return ", ".join(column if column in there else f"NULL AS {column}" for column in columns)

    def _tags(self, sql: str, key: str | int) -> Tags:
        return {str(name): "" if value is None else str(value) for name, value in self._pairs(sql, key)}

    def _pairs(self, sql: str, key: str | int) -> list[tuple[Any, ...]]:
        return list(self._foreign.rows(sql, {"id": key}))


def _model_of(source: str) -> str:
    """The logged model that a version's source names: `models:/m-..`."""
    name = source.removeprefix("models:/").partition("/")[0]
    return name if source.startswith("models:/m-") else ""


def opened(path: Path, folders: Folders, make: Callable[[Path], Foreign]) -> SqliteStore:
    """The tracker in a file."""
    return SqliteStore(make(path), folders)
