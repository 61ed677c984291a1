"""Logged models of the tracking API's third version, what runs took and gave, and the note of a model that older clients leave at a run."""

from __future__ import annotations

import json
import posixpath
from typing import Any, Final

import msgspec

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.logged import LOGGED, STATUSES, Asked, LoggedModel, LoggedStatus, On, Ordered
from bedplate.catalog.tracking.tracked import Named
from bedplate.core import client_paths
from bedplate.core.client_paths import Place
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, Resource, always, invalid, missing, on_server

from .artifact_forms import listed, sent
from .registry_forms import named
from .words import MOST_EXPERIMENTS, AskedTag, AsksExperiment, AsksRun, experiment_of, limit, need_model, on_experiment, on_run, page

MOST_MODELS: Final = 1_000
MOST_GIVEN: Final = 100
_HISTORY: Final = "mlflow.log-model.history"


class CreateLogged(AsksExperiment, frozen=True, kw_only=True):
    """A model begins to be logged."""

    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[AskedTag] = msgspec.field(default_factory=list)
    tags: list[AskedTag] = msgspec.field(default_factory=list)


class AsksLogged(Asks, frozen=True, kw_only=True):
    """What is about a logged model."""

    model_id: str


class FinishLogged(AsksLogged, frozen=True, kw_only=True):
    """A model is ready, or could not be sent."""

    status: str | int


class TagLogged(AsksLogged, frozen=True, kw_only=True):
    """Tags of a model."""

    tags: list[AskedTag]


class UntagLogged(AsksLogged, frozen=True, kw_only=True):
    """A tag to take away."""

    tag_key: str


class ParamsLogged(AsksLogged, frozen=True, kw_only=True):
    """What a model was made with."""

    params: list[AskedTag]


class FolderLogged(AsksLogged, frozen=True, kw_only=True):
    """A folder of a model."""

    artifact_directory_path: str = ""


class FileLogged(AsksLogged, frozen=True, kw_only=True):
    """A file of a model."""

    artifact_file_path: str


class AskedDataset(msgspec.Struct, frozen=True):
    """A dataset that metrics were measured on."""

    dataset_name: str
    dataset_digest: str = ""


class AskedOrder(msgspec.Struct, frozen=True):
    """One key to sort by."""

    field_name: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class SearchLogged(Asks, frozen=True, kw_only=True):
    """Which models are looked for."""

    experiment_ids: list[str | int]
    filter: str = ""
    datasets: list[AskedDataset] = msgspec.field(default_factory=list)
    max_results: int = 100
    order_by: list[AskedOrder] = msgspec.field(default_factory=list)
    page_token: str = ""


class GivenModel(msgspec.Struct, frozen=True):
    """A model that a run gave."""

    model_id: str
    step: int = 0


class LogOutputs(AsksRun, frozen=True, kw_only=True):
    """What a run gave."""

    models: list[GivenModel] = msgspec.field(default_factory=list)


class LogModel(AsksRun, frozen=True, kw_only=True):
    """A model that an older client logged, as JSON."""

    model_json: str


def on_logged(desk: Desk, asked: AsksLogged) -> Resource:
    """The experiment of a logged model."""
    return Resource("experiment", str(desk.catalog.tracking.logged.experiment(asked.model_id)))


def create(desk: Desk, asked: CreateLogged) -> dict[str, Any]:
    """Begin a model, pending until its files have come."""
    tracking = desk.catalog.tracking
    tracking.experiments.get(asked.experiment)
    if asked.source_run_id and tracking.runs.get(asked.source_run_id).experiment != asked.experiment:
        raise invalid(f"Invalid value for parameter 'source_run_id': run {asked.source_run_id[:64]} is of another experiment")
    model = LoggedModel(
        id=f"m-{desk.now_ms:012x}{desk.random_bits(80):020x}", experiment=asked.experiment, name=asked.name or "model",
        model_type=asked.model_type, run=asked.source_run_id, status=STATUSES[0], message="", created_ms=desk.now_ms,
        updated_ms=desk.now_ms, params=named(asked.params), tags=named(asked.tags),
    )  # fmt: skip
    return {"model": told(desk, tracking.logged.create(model))}


def get(desk: Desk, asked: AsksLogged) -> dict[str, Any]:
    """One model."""
    return {"model": told(desk, desk.catalog.tracking.logged.get(asked.model_id))}


def finish(desk: Desk, asked: FinishLogged) -> dict[str, Any]:
    """Say that a model is ready, or that it could not be sent."""
    return {"model": told(desk, desk.catalog.tracking.logged.finish(asked.model_id, _status(asked.status), desk.now_ms))}


def delete(desk: Desk, asked: AsksLogged) -> dict[str, Any]:
    """Delete a model."""
    desk.catalog.tracking.logged.delete(asked.model_id, desk.now_ms)
    return {}


def set_tags(desk: Desk, asked: TagLogged) -> dict[str, Any]:
    """Tag a model."""
    return {"model": told(desk, desk.catalog.tracking.logged.set_tags(asked.model_id, named(asked.tags), desk.now_ms))}


def drop_tag(desk: Desk, asked: UntagLogged) -> dict[str, Any]:
    """Take a tag away."""
    desk.catalog.tracking.logged.drop_tag(asked.model_id, asked.tag_key, desk.now_ms)
    return {}


def add_params(desk: Desk, asked: ParamsLogged) -> dict[str, Any]:
    """Say what a model was made with."""
    desk.catalog.tracking.logged.add_params(asked.model_id, named(asked.params), desk.now_ms)
    return {}


def list_folder(desk: Desk, asked: FolderLogged) -> dict[str, Any]:
    """What lies in a folder of a model."""
    logged = desk.catalog.tracking.logged.get(asked.model_id)
    entries = desk.catalog.tracking.files.listed(logged.id, client_paths.folder_path(asked.artifact_directory_path))
    return {"root_uri": _uri(logged), "files": listed(entries)}


def download(desk: Desk, asked: FileLogged) -> Reply:
    """A file of a model."""
    path = client_paths.file_path(asked.artifact_file_path)
    found = desk.catalog.tracking.files.get(asked.model_id, path)
    if found is None:
        raise missing(f"there is no file '{path}'")
    return sent(desk, found.sha256, posixpath.basename(path))


def search(desk: Desk, asked: SearchLogged) -> dict[str, Any]:
    """A page of the models of experiments that who asks may see."""
    if len(asked.experiment_ids) > MOST_EXPERIMENTS or len(asked.datasets) > MOST_GIVEN:
        raise invalid(f"Invalid value for parameter 'experiment_ids': at most {MOST_EXPERIMENTS} are searched at once")
    seen = desk.sees("experiment")
    wanted = [experiment_of(one) for one in asked.experiment_ids if seen is None or str(one) in seen]
    orders = grammar.orders([_ordered(one) for one in asked.order_by], LOGGED)
    found, token = desk.catalog.tracking.logged.page(
        Asked(
            experiments=tuple(sorted(set(wanted))), clauses=grammar.clauses(asked.filter, LOGGED),
            datasets=tuple(On(name=one.dataset_name, digest=one.dataset_digest) for one in asked.datasets),
            orders=tuple(Ordered(order=one, on=_on(by)) for one, by in zip(orders, asked.order_by, strict=True)),
            limit=limit("max_results", asked.max_results, MOST_MODELS), token=asked.page_token,
        )
    )  # fmt: skip
    return page("models", [told(desk, one) for one in found], token)


def log_outputs(desk: Desk, asked: LogOutputs) -> dict[str, Any]:
    """Record which models a run gave."""
    if len(asked.models) > MOST_GIVEN:
        raise invalid(f"Invalid value for parameter 'models': at most {MOST_GIVEN} at once")
    run = desk.catalog.tracking.runs.active(asked.run).id
    for one in asked.models:
        need_model(desk, one.model_id, run=run)
        desk.catalog.tracking.logged.give(run, one.model_id, one.step)
    return {}


def log_model(desk: Desk, asked: LogModel) -> dict[str, Any]:
    """Add a model to the list that a run keeps as a tag, which is how older clients note one."""
    try:
        model = json.loads(asked.model_json)
    except (ValueError, RecursionError):
        raise invalid("Malformed model info: 'model_json' is not JSON") from None
    if not isinstance(model, dict) or not {"artifact_path", "flavors", "run_id"} <= model.keys():
        raise invalid("Model json is missing mandatory fields: artifact_path, flavors, run_id")
    tags = desk.catalog.tracking.details.of([asked.run])[0].tags
    known = _history(next((one.value for one in tags if one.key == _HISTORY), "[]"))
    if model not in known:
        desk.catalog.tracking.runs.set_tag(asked.run, Named(_HISTORY, json.dumps([*known, model])))
    return {}


def _history(said: str) -> list[Any]:
    """What a run's tag says of models by now. Raises Fault where a client wrote something else into it."""
    try:
        known = json.loads(said)
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, list):
        raise invalid(f"the tag {_HISTORY} of the run is not a list in JSON: delete it first")
    return known


def told(desk: Desk, model: LoggedModel) -> dict[str, Any]:
    """A logged model in the protocol's words."""
    registered = desk.catalog.tracking.registry.of_logged(model.id)
    seen = desk.sees("model") if registered else None
    info: dict[str, Any] = {
        "model_id": model.id, "experiment_id": str(model.experiment), "name": model.name, "creation_timestamp_ms": model.created_ms,
        "last_updated_timestamp_ms": model.updated_ms, "artifact_uri": _uri(model), "status": model.status, "tags": model.tags,
        "registrations": [{"name": name, "version": str(number)} for name, number in registered if seen is None or name in seen],
    }  # fmt: skip
    more = {"model_type": model.model_type, "source_run_id": model.run, "status_message": model.message}
    metrics = [
        {"key": one.key, "value": one.value, "timestamp": one.timestamp, "step": one.step, "model_id": model.id, "run_id": one.run,
         "dataset_name": one.dataset_name, "dataset_digest": one.dataset_digest}
        for one in model.metrics
    ]  # fmt: skip
    return {
        "info": {**info, **{name: value for name, value in more.items() if value}},
        "data": {"params": model.params, "metrics": metrics},
    }


def _uri(model: LoggedModel) -> str:
    return client_paths.address(Place(owner="model", id=model.id, experiment=model.experiment))


def _status(given: str | int) -> LoggedStatus:
    numbered: dict[str, LoggedStatus] = {str(place + 1): one for place, one in enumerate(STATUSES)}
    found = numbered.get(str(given)) or next((one for one in STATUSES if one == given), None)
    if found is None:
        raise invalid(f"Invalid value for parameter 'status': one of {', '.join(STATUSES)} is needed")
    return found


def _ordered(one: AskedOrder) -> str:
    return f"{one.field_name} {'ASC' if one.ascending else 'DESC'}"


def _on(one: AskedOrder) -> On | None:
    return On(name=one.dataset_name, digest=one.dataset_digest) if one.dataset_name else None


_AT: Final = "/api/2.0/mlflow/logged-models"
_RUNS: Final = "/api/2.0/mlflow/runs"
ENDPOINTS: Final = (
    Endpoint("POST", _AT, CreateLogged, "run.write", on_experiment, create, writes=True, repeats=always),
    Endpoint("POST", f"{_AT}/search", SearchLogged, "experiment.list", on_server, search),
    Endpoint("GET", f"{_AT}/{{model_id}}", AsksLogged, "run.read", on_logged, get),
    Endpoint("PATCH", f"{_AT}/{{model_id}}", FinishLogged, "run.write", on_logged, finish, writes=True),
    Endpoint("DELETE", f"{_AT}/{{model_id}}", AsksLogged, "run.delete", on_logged, delete, writes=True),
    Endpoint("PATCH", f"{_AT}/{{model_id}}/tags", TagLogged, "run.write", on_logged, set_tags, writes=True),
    Endpoint("DELETE", f"{_AT}/{{model_id}}/tags/{{tag_key}}", UntagLogged, "run.write", on_logged, drop_tag, writes=True),
    Endpoint("POST", f"{_AT}/{{model_id}}/params", ParamsLogged, "run.write", on_logged, add_params, writes=True),
    Endpoint("GET", f"{_AT}/{{model_id}}/artifacts/directories", FolderLogged, "artifact.read", on_logged, list_folder),
    Endpoint("GET", f"{_AT}/{{model_id}}/artifacts/files", FileLogged, "artifact.read", on_logged, download),
    Endpoint("POST", f"{_RUNS}/outputs", LogOutputs, "run.write", on_run, log_outputs, writes=True),
    Endpoint("POST", f"{_RUNS}/log-model", LogModel, "run.write", on_run, log_model, writes=True),
)
