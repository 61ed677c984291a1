"""Runs of the tracking API: begin, end, delete, what is said of them, and how they are found.

An id begins with the time it was given at, so that new runs lie side by side in every index: 100,000 runs are as quick to add to as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.limits import MOST_DATASETS
from bedplate.catalog.tracking.runs import Batch, NewRun
from bedplate.catalog.tracking.search import Question
from bedplate.catalog.tracking.tracked import Dataset, DatasetInput, Named, Point, Status
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, invalid, on_server

from .words import (
    MOST_EXPERIMENTS,
    MOST_RESULTS,
    AskedTag,
    AsksExperiment,
    AsksRun,
    experiment_of,
    limit,
    need_model,
    on_experiment,
    on_run,
    page,
    stages,
    told_info,
    told_run,
)

_USER: Final = "mlflow.user"
_LONGEST_REASON: Final = 500
_STATUS: Final[dict[str, Status]] = {
    "RUNNING": "RUNNING", "SCHEDULED": "SCHEDULED", "FINISHED": "FINISHED", "FAILED": "FAILED", "KILLED": "KILLED",
    "1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED",
}  # fmt: skip


class CreateRun(AsksExperiment, frozen=True, kw_only=True):
    """A new run."""

    experiment_id: str | int = "0"
    user_id: str = ""
    run_name: str = ""
    start_time: int | None = None
    tags: list[AskedTag] = msgspec.field(default_factory=list)


class StageRun(AsksRun, frozen=True, kw_only=True):
    """A run to delete or to bring back; `reason`, where one is given, stands in the audit log."""

    reason: str = ""


class UpdateRun(AsksRun, frozen=True, kw_only=True):
    """How a run stands, when it ended, what it is called."""

    status: str | int = ""
    end_time: int | None = None
    run_name: str = ""


class LogMetric(AsksRun, frozen=True, kw_only=True):
    """One point."""

    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogTag(AsksRun, frozen=True, kw_only=True):
    """A param or a tag."""

    key: str
    value: str = ""


class DeleteTag(AsksRun, frozen=True, kw_only=True):
    """A tag to take away."""

    key: str


class LogBatch(AsksRun, frozen=True, kw_only=True):
    """Much at once."""

    metrics: tuple[Point, ...] = ()
    params: list[AskedTag] = msgspec.field(default_factory=list)
    tags: list[AskedTag] = msgspec.field(default_factory=list)


class AskedDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str = ""
    profile: str = ""


class AskedInput(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as the run used it."""

    dataset: AskedDataset
    tags: list[AskedTag] = msgspec.field(default_factory=list)


class AskedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that the run took."""

    model_id: str


class LogInputs(AsksRun, frozen=True, kw_only=True):
    """What a run was trained on."""

    datasets: list[AskedInput] = msgspec.field(default_factory=list)
    models: list[AskedModel] = msgspec.field(default_factory=list)


class SearchRuns(Asks, frozen=True, kw_only=True):
    """Which runs are looked for."""

    experiment_ids: list[str | int] = msgspec.field(default_factory=list)
    filter: str = ""
    run_view_type: str | int = ""
    max_results: int = 1000
    order_by: list[str] = msgspec.field(default_factory=list)
    page_token: str = ""


def create(desk: Desk, asked: CreateRun) -> dict[str, Any]:
    """Begin a run."""
    tags = _named(asked.tags)
    user = asked.user_id or next((tag.value for tag in tags if tag.key == _USER), "") or desk.actor.name
    begun = desk.catalog.tracking.runs.create(
        NewRun(
            id=f"{desk.now_ms:012x}{desk.random_bits(80):020x}",
            experiment=asked.experiment,
            name=asked.run_name,
            made_by=user,
            started_ms=desk.now_ms if asked.start_time is None else asked.start_time,
            tags=tuple(tags),
            random=desk.random_bits(48),
        )
    )
    return {"run": told_run(begun)}


def update(desk: Desk, asked: UpdateRun) -> dict[str, Any]:
    """Say how a run stands."""
    status = _STATUS.get(str(asked.status)) if asked.status else None
    if asked.status and status is None:
        raise invalid(f"Invalid value for parameter 'status': one of {', '.join(list(_STATUS)[:5])} is needed")
    run = desk.catalog.tracking.runs.update(asked.run, desk.now_ms, status=status, ended_ms=asked.end_time, name=asked.run_name)
    return {"run_info": told_info(run)}


def get(desk: Desk, asked: AsksRun) -> dict[str, Any]:
    """A run with all that it said."""
    return {"run": told_run(desk.catalog.tracking.details.of([asked.run])[0])}


def delete(desk: Desk, asked: StageRun) -> dict[str, Any]:
    """Mark a run deleted."""
    _note_reason(desk, asked)
    desk.catalog.tracking.runs.delete(asked.run, desk.now_ms)
    return {}


def restore(desk: Desk, asked: StageRun) -> dict[str, Any]:
    """Bring a deleted run back."""
    _note_reason(desk, asked)
    desk.catalog.tracking.runs.restore(asked.run)
    return {}


def log_metric(desk: Desk, asked: LogMetric) -> dict[str, Any]:
    """Record a point."""
    point = Point(asked.key, asked.value, asked.timestamp, asked.step, asked.model_id, asked.dataset_name, asked.dataset_digest)
    _need_models(desk, asked.run, [point])
    desk.catalog.tracking.runs.log_metric(asked.run, point)
    return {}


def log_param(desk: Desk, asked: LogTag) -> dict[str, Any]:
    """Record a param, once for all."""
    desk.catalog.tracking.runs.log_param(asked.run, Named(asked.key, asked.value))
    return {}


def set_tag(desk: Desk, asked: LogTag) -> dict[str, Any]:
    """Tag a run."""
    desk.catalog.tracking.runs.set_tag(asked.run, Named(asked.key, asked.value))
    return {}


def delete_tag(desk: Desk, asked: DeleteTag) -> dict[str, Any]:
    """Take a tag away."""
    desk.catalog.tracking.runs.delete_tag(asked.run, asked.key)
    return {}


def log_batch(desk: Desk, asked: LogBatch) -> dict[str, Any]:
    """Record much at once: all of it, or nothing."""
    _need_models(desk, asked.run, asked.metrics)
    said = Batch(metrics=asked.metrics, params=tuple(_named(asked.params)), tags=tuple(_named(asked.tags)))
    desk.catalog.tracking.runs.log(asked.run, said)
    return {}


def log_inputs(desk: Desk, asked: LogInputs) -> dict[str, Any]:
    """Record what a run was trained on, and which logged models it took."""
    inputs = [DatasetInput(Dataset(*msgspec.structs.astuple(one.dataset)), tuple(_named(one.tags))) for one in asked.datasets]
    for model in asked.models[:MOST_DATASETS]:
        need_model(desk, model.model_id, "run.read", asked.run)
    desk.catalog.tracking.datasets.log(asked.run, inputs, [model.model_id for model in asked.models])
    return {}


def search(desk: Desk, asked: SearchRuns) -> dict[str, Any]:
    """A page of the runs of experiments that who asks may see."""
    if len(asked.experiment_ids) > MOST_EXPERIMENTS:
        raise invalid(f"Invalid value for parameter 'experiment_ids': at most {MOST_EXPERIMENTS} are searched at once")
    seen = desk.sees("experiment")
    wanted = [experiment_of(one) for one in asked.experiment_ids if seen is None or str(one) in seen]
    question = Question(
        experiments=tuple(sorted(set(wanted))),
        clauses=grammar.clauses(asked.filter, grammar.RUNS),
        orders=grammar.orders(asked.order_by, grammar.RUNS),
        stages=stages("run_view_type", asked.run_view_type),
        limit=limit("max_results", asked.max_results, MOST_RESULTS),
        token=asked.page_token,
    )
    found, token = desk.catalog.tracking.search.whole(question)
    return page("runs", [told_run(one) for one in found], token)


def _note_reason(desk: Desk, asked: StageRun) -> None:
    if asked.reason.strip():
        desk.note(run=asked.run, reason=asked.reason.strip()[:_LONGEST_REASON])


def _need_models(desk: Desk, run: str, points: Iterable[Point]) -> None:
    """Raise Fault where a point is measured of a logged model that the actor may not write to."""
    for model in {point.model_id for point in points if point.model_id}:
        need_model(desk, model, run=run)


def _named(asked: list[AskedTag]) -> list[Named]:
    return [Named(one.key, one.value) for one in asked]


def _is_stated(asked: CreateRun) -> bool:
    """Whether the body says when the run began: two of the same moment are one, asked for twice."""
    return asked.start_time is not None


_AT: Final = "/api/2.0/mlflow/runs"
ENDPOINTS: Final = (
    Endpoint("POST", f"{_AT}/create", CreateRun, "run.write", on_experiment, create, writes=True, repeats=_is_stated),
    Endpoint("POST", f"{_AT}/update", UpdateRun, "run.write", on_run, update, writes=True),
    Endpoint("GET", f"{_AT}/get", AsksRun, "run.read", on_run, get),
    Endpoint("POST", f"{_AT}/delete", StageRun, "run.delete", on_run, delete, writes=True),
    Endpoint("POST", f"{_AT}/restore", StageRun, "run.delete", on_run, restore, writes=True),
    Endpoint("POST", f"{_AT}/search", SearchRuns, "experiment.list", on_server, search),
    Endpoint("POST", f"{_AT}/log-metric", LogMetric, "run.write", on_run, log_metric, writes=True),
    Endpoint("POST", f"{_AT}/log-parameter", LogTag, "run.write", on_run, log_param, writes=True),
    Endpoint("POST", f"{_AT}/set-tag", LogTag, "run.write", on_run, set_tag, writes=True),
    Endpoint("POST", f"{_AT}/delete-tag", DeleteTag, "run.write", on_run, delete_tag, writes=True),
    Endpoint("POST", f"{_AT}/log-batch", LogBatch, "run.write", on_run, log_batch, writes=True),
    Endpoint("POST", f"{_AT}/log-inputs", LogInputs, "run.write", on_run, log_inputs, writes=True),
)
