"""Experiments of the tracking API: make, find, rename, tag, delete, bring back; the datasets that their runs used.

Where artifacts lie is not a client's to say: they are kept in the store, behind the tracker (an `artifact_location` that says otherwise is
refused).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.experiments import ExperimentQuestion
from bedplate.catalog.tracking.tracked import Named
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Resource, invalid, on_server, taken

from .words import MOST_RESULTS, AskedTag, AsksExperiment, experiment_of, limit, on_experiment, page, stages, told_experiment

_MOST_WITH_DATASETS: Final = 20
_ROOT: Final = "mlflow-artifacts:"


class CreateExperiment(Asks, frozen=True, kw_only=True):
    """A new experiment."""

    name: str
    artifact_location: str = ""
    tags: list[AskedTag] = msgspec.field(default_factory=list)


class ByName(Asks, frozen=True, kw_only=True):
    """An experiment by its name."""

    experiment_name: str


class SearchExperiments(Asks, frozen=True, kw_only=True):
    """Which experiments are looked for."""

    max_results: int = 1000
    page_token: str = ""
    filter: str = ""
    order_by: list[str] = msgspec.field(default_factory=list)
    view_type: str | int = ""


class UpdateExperiment(AsksExperiment, frozen=True, kw_only=True):
    """Another name."""

    new_name: str


class SetExperimentTag(AsksExperiment, frozen=True, kw_only=True):
    """A tag of an experiment."""

    key: str
    value: str = ""


class DeleteExperimentTag(AsksExperiment, frozen=True, kw_only=True):
    """A tag to take away."""

    key: str


class SearchDatasets(Asks, frozen=True, kw_only=True):
    """Experiments whose datasets are looked for."""

    experiment_ids: list[str | int] = msgspec.field(default_factory=list)


def create(desk: Desk, asked: CreateExperiment) -> dict[str, Any]:
    """Make an experiment; who asks is its maintainer."""
    if asked.artifact_location and asked.artifact_location.rstrip("/") != _ROOT:
        raise invalid("Invalid value for parameter 'artifact_location': artifacts are kept in the server's own store; leave it out")
    made = desk.catalog.tracking.experiments.create(asked.name, [Named(tag.key, tag.value) for tag in asked.tags], desk.now_ms)
    if made is None:
        raise taken(f"Experiment(name={asked.name[:100]}) already exists.")
    desk.owns(Resource("experiment", str(made)))
    return {"experiment_id": str(made)}


def get(desk: Desk, asked: AsksExperiment) -> dict[str, Any]:
    """One experiment."""
    return {"experiment": told_experiment(desk.catalog.tracking.experiments.get(asked.experiment))}


def on_name(desk: Desk, asked: ByName) -> Resource:
    """The experiment of a name."""
    return Resource("experiment", str(desk.catalog.tracking.experiments.find(asked.experiment_name).id))


def get_by_name(desk: Desk, asked: ByName) -> dict[str, Any]:
    """One experiment by its name."""
    return {"experiment": told_experiment(desk.catalog.tracking.experiments.find(asked.experiment_name))}


def search(desk: Desk, asked: SearchExperiments) -> dict[str, Any]:
    """A page of the experiments that who asks may see."""
    seen = desk.sees("experiment")
    question = ExperimentQuestion(
        clauses=grammar.clauses(asked.filter, grammar.EXPERIMENTS),
        orders=grammar.orders(asked.order_by, grammar.EXPERIMENTS),
        stages=stages("view_type", asked.view_type),
        seen=None if seen is None else frozenset(int(one) for one in seen if one.isdecimal()),
        limit=limit("max_results", asked.max_results, MOST_RESULTS),
        token=asked.page_token,
    )
    found, token = desk.catalog.tracking.experiments.search(question)
    return page("experiments", [told_experiment(one) for one in found], token)


def update(desk: Desk, asked: UpdateExperiment) -> dict[str, Any]:
    """Rename one."""
    if not desk.catalog.tracking.experiments.rename(asked.experiment, asked.new_name, desk.now_ms):
        raise taken(f"Experiment(name={asked.new_name[:100]}) already exists.")
    return {}


def delete(desk: Desk, asked: AsksExperiment) -> dict[str, Any]:
    """Delete one with its runs."""
    desk.catalog.tracking.experiments.delete(asked.experiment, desk.now_ms)
    return {}


def restore(desk: Desk, asked: AsksExperiment) -> dict[str, Any]:
    """Bring one back with its runs."""
    desk.catalog.tracking.experiments.restore(asked.experiment, desk.now_ms)
    return {}


def set_tag(desk: Desk, asked: SetExperimentTag) -> dict[str, Any]:
    """Tag one."""
    desk.catalog.tracking.experiments.set_tag(asked.experiment, Named(asked.key, asked.value))
    return {}


def delete_tag(desk: Desk, asked: DeleteExperimentTag) -> dict[str, Any]:
    """Take a tag away."""
    desk.catalog.tracking.experiments.delete_tag(asked.experiment, asked.key)
    return {}


def search_datasets(desk: Desk, asked: SearchDatasets) -> dict[str, Any]:
    """The datasets of experiments that who asks may see."""
    if not 1 <= len(asked.experiment_ids) <= _MOST_WITH_DATASETS:
        raise invalid(f"Invalid value for parameter 'experiment_ids': from 1 to {_MOST_WITH_DATASETS} are needed")
    seen = desk.sees("experiment")
    wanted = [experiment_of(one) for one in asked.experiment_ids if seen is None or str(one) in seen]
    return {"dataset_summaries": desk.catalog.tracking.datasets.summaries(wanted)}


_AT: Final = "/api/2.0/mlflow/experiments"
ENDPOINTS: Final = (
    Endpoint("POST", f"{_AT}/create", CreateExperiment, "experiment.create", on_server, create, writes=True),
    Endpoint("GET", f"{_AT}/get", AsksExperiment, "experiment.read", on_experiment, get),
    Endpoint("GET", f"{_AT}/get-by-name", ByName, "experiment.read", on_name, get_by_name),
    Endpoint("POST", f"{_AT}/search", SearchExperiments, "experiment.list", on_server, search),
    Endpoint("GET", f"{_AT}/search", SearchExperiments, "experiment.list", on_server, search),
    Endpoint("GET", f"{_AT}/list", SearchExperiments, "experiment.list", on_server, search),
    Endpoint("POST", f"{_AT}/update", UpdateExperiment, "experiment.write", on_experiment, update, writes=True),
    Endpoint("POST", f"{_AT}/delete", AsksExperiment, "experiment.delete", on_experiment, delete, writes=True),
    Endpoint("POST", f"{_AT}/restore", AsksExperiment, "experiment.delete", on_experiment, restore, writes=True),
    Endpoint("POST", f"{_AT}/set-experiment-tag", SetExperimentTag, "experiment.write", on_experiment, set_tag, writes=True),
    Endpoint("POST", f"{_AT}/delete-experiment-tag", DeleteExperimentTag, "experiment.write", on_experiment, delete_tag, writes=True),
    Endpoint("POST", f"{_AT}/search-datasets", SearchDatasets, "dataset.list", on_server, search_datasets),
)
