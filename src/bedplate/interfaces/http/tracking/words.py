"""The protocol's words for runs and experiments: how the record's are told, and what endpoints of several modules ask alike."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from bedplate.catalog.tracking.experiments import experiment_id
from bedplate.catalog.tracking.tracked import Dataset, Experiment, Given, Metric, Named, RunDetail, Stage, TrackedRun, artifact_uri
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Fault, Resource, invalid, missing

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
VIEWS: Final[dict[str, tuple[Stage, ...]]] = {
    "": ("active",), "ACTIVE_ONLY": ("active",), "1": ("active",), "DELETED_ONLY": ("deleted",), "2": ("deleted",),
    "ALL": ("active", "deleted"), "3": ("active", "deleted"),
}  # fmt: skip
MOST_RESULTS: Final = 50_000
MOST_EXPERIMENTS: Final = 1_000


class AsksRun(Asks, frozen=True, kw_only=True):
    """What is about a run; `run_uuid` is how old clients name it."""

    run_id: str = ""
    run_uuid: str = ""

    @property
    def run(self) -> str:
        """Its id. Raises Fault where there is none."""
        found = self.run_id or self.run_uuid
        if not found:
            raise invalid("Missing value for required parameter 'run_id'.")
        return found


class AsksExperiment(Asks, frozen=True, kw_only=True):
    """What is about an experiment."""

    experiment_id: str | int

    @property
    def experiment(self) -> int:
        """Its number in the record. Raises Fault for what is no id."""
        return experiment_of(self.experiment_id)


class AskedTag(msgspec.Struct, frozen=True):
    """A param or tag in a list."""

    key: str
    value: str = ""


class ToldInfo(msgspec.Struct, frozen=True, gc=False):
    """A run without what it said, in the protocol's form."""

    run_id: str
    run_uuid: str
    run_name: str
    experiment_id: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    end_time: int | msgspec.UnsetType


class ToldData(msgspec.Struct, frozen=True):
    """What it said."""

    metrics: list[Metric]
    params: list[Named]
    tags: list[Named]


class ToldInputs(msgspec.Struct, frozen=True):
    """What it took."""

    dataset_inputs: list[dict[str, Any]]
    model_inputs: list[dict[str, str]]


class ToldOutputs(msgspec.Struct, frozen=True):
    """What it gave."""

    model_outputs: list[Given]


class ToldRun(msgspec.Struct, frozen=True):
    """A run in the protocol's form."""

    info: ToldInfo
    data: ToldData
    inputs: ToldInputs
    outputs: ToldOutputs


def on_run(desk: Desk, asked: AsksRun) -> Resource:
    """The experiment of a run."""
    return Resource("experiment", str(desk.catalog.tracking.runs.experiment(asked.run)))


def on_experiment(_desk: Desk, asked: AsksExperiment) -> Resource:
    """An experiment."""
    return Resource("experiment", str(asked.experiment))


def experiment_of(given: str | int) -> int:
    """The number of an experiment's id. Raises Fault."""
    found = experiment_id(str(given))
    if found < 0:
        raise missing(f"No Experiment with id={str(given)[:50]} exists")
    return found


def stages(field: str, view: str | int) -> tuple[Stage, ...]:
    """What a view shows. Raises Fault."""
    found = VIEWS.get(str(view))
    if found is None:
        raise invalid(f"Invalid value for parameter '{field}': ACTIVE_ONLY, DELETED_ONLY or ALL is needed")
    return found


def limit(field: str, given: int, most: int) -> int:
    """How many are asked for. Raises Fault."""
    if not 1 <= given <= most:
        raise invalid(f"Invalid value for parameter '{field}': from 1 to {most} is needed, got {given}")
    return given


def need_model(desk: Desk, model_id: str, action: str = "run.write", run: str = "") -> None:
    """Raise Fault unless the actor may do that with a logged model that is named beside what is asked about.

    One of the experiment of `run`, about which it was judged, may be named.
    """
    tracking = desk.catalog.tracking
    experiment = tracking.logged.experiment(model_id)
    if run and tracking.runs.get(run).experiment == experiment:
        return
    resource = Resource("experiment", str(experiment))
    if desk.may(action, resource):
        return
    if desk.may("run.read", resource):
        raise Fault(
            "PERMISSION_DENIED", f"logged model {model_id[:80]} is of experiment {experiment}, where you may not do that ({action})"
        )
    raise missing(f"Logged model with ID '{model_id[:80]}' not found.")


def told_experiment(experiment: Experiment) -> dict[str, Any]:
    """An experiment, as the protocol has it."""
    return {
        "experiment_id": str(experiment.id), "name": experiment.name, "artifact_location": artifact_uri(experiment.id),
        "lifecycle_stage": experiment.stage, "last_update_time": experiment.updated_ms, "creation_time": experiment.created_ms,
        "tags": experiment.tags,
    }  # fmt: skip


def told_info(run: TrackedRun) -> ToldInfo:
    """A run without what it said."""
    return ToldInfo(
        run.id, run.id, run.name, str(run.experiment), run.made_by, run.status, run.started_ms, artifact_uri(run.experiment, run.id),
        run.stage, msgspec.UNSET if run.ended_ms is None else run.ended_ms,
    )  # fmt: skip


def told_run(detail: RunDetail) -> ToldRun:
    """A run with all that it said."""
    inputs = [{"dataset": _told_dataset(one.dataset), "tags": one.tags} for one in detail.datasets]
    return ToldRun(
        told_info(detail.run), ToldData(detail.metrics, detail.params, detail.tags),
        ToldInputs(inputs, [{"model_id": one.model_id} for one in detail.models_in]), ToldOutputs(detail.models_out),
    )  # fmt: skip


def page(name: str, told: list[Any], token: str) -> dict[str, Any]:
    """A page of something, with the token of the next where there is one."""
    return {name: told, "next_page_token": token} if token else {name: told}


def _told_dataset(dataset: Dataset) -> dict[str, str]:
    told = msgspec.structs.asdict(dataset)
    return {name: value for name, value in told.items() if value or name not in ("schema", "profile")}
