"""The records of tracking, named as the protocol of trackers names them; and a value's 64 bits, in which each survives as it came."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final, Literal

from bedplate.core.records import Record, RunStatus

RUN_NAME: Final = "mlflow.runName"
PARENT: Final = "mlflow.parentRunId"
SOURCE_NAME: Final = "mlflow.source.name"
COMMIT: Final = "mlflow.source.git.commit"
CONTEXT: Final = "mlflow.data.context"
"""Tags that mean something to us: a run's name, its parent, what was started, from which code; what a dataset was used for."""

Stage = Literal["active", "deleted"]
Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
ENDED: Final = frozenset({"FINISHED", "FAILED", "KILLED"})
OURS: Final[dict[Status, RunStatus]] = {
    "RUNNING": "running", "SCHEDULED": "running", "FINISHED": "done", "FAILED": "failed", "KILLED": "cancelled",
}  # fmt: skip
"""How a client's run stands, in the words of the record's own runs."""
THEIRS: Final[dict[RunStatus, Status]] = {"running": "RUNNING", "done": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
"""The other way round."""
_SIGN: Final = -(2**63)
_PAIR: Final = struct.Struct("<d"), struct.Struct("<q")


class Named(Record, frozen=True, kw_only=False, gc=False):
    """A param or tag."""

    key: str
    value: str


class Point(Record, frozen=True, kw_only=False, gc=False):
    """A point of a curve. `timestamp` is in ms since the epoch; `model_id` and the dataset: what it was measured of, and on."""

    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class Metric(Record, frozen=True, kw_only=False, gc=False):
    """A point as it is told: a value that JSON has no number for is its name (`NaN`, `Infinity`, `-Infinity`)."""

    key: str
    value: float | str
    timestamp: int
    step: int


class Experiment(Record, frozen=True, kw_only=False):
    """A group of runs: a project's, or one that a client made."""

    id: int
    name: str
    stage: Stage
    created_ms: int
    updated_ms: int
    tags: tuple[Named, ...] = ()


class TrackedRun(Record, frozen=True, kw_only=False, gc=False):
    """A run as trackers see it: a client's, one of the project, or an attempt at one of its steps (`parent` is the run then)."""

    id: str
    experiment: int
    origin: Literal["client", "project"]
    parent: str
    name: str
    made_by: str
    status: Status
    started_ms: int
    ended_ms: int | None
    stage: Stage


class Dataset(Record, frozen=True, kw_only=False):
    """What a run was trained or tested on. `schema` and `profile` may be empty."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str = ""
    profile: str = ""


class DatasetInput(Record, frozen=True, kw_only=False):
    """A dataset as a run used it."""

    dataset: Dataset
    tags: tuple[Named, ...] = ()


class Given(Record, frozen=True, kw_only=False):
    """A logged model that a run took or gave, with the step at which it gave it."""

    model_id: str
    step: int = 0


class RunDetail(Record, frozen=True, kw_only=False):
    """A run with all that it said: the latest point of each curve, params, tags, datasets, models taken and given."""

    run: TrackedRun
    metrics: list[Metric]
    params: list[Named]
    tags: list[Named]
    datasets: list[DatasetInput]
    models_in: list[Given]
    models_out: list[Given]


def bits_of(value: float) -> int:
    """A value's 64 bits (IEEE 754) as a signed number; every not-a-number is the same one."""
    found: int = _PAIR[1].unpack(_PAIR[0].pack(math.nan if math.isnan(value) else value))[0]
    return found


def all_bits_of(values: Sequence[float]) -> tuple[int, ...]:
    """The same of many values, at once."""
    numbers = [math.nan if math.isnan(value) else value for value in values]
    return struct.unpack(f"<{len(values)}q", struct.pack(f"<{len(values)}d", *numbers))


def value_of(bits: int) -> float:
    """The value of 64 bits."""
    found: float = _PAIR[0].unpack(_PAIR[1].pack(bits))[0]
    return found


def rank_of(bits: int) -> int:
    """A number that grows with the value, -0.0 below 0.0 and not-a-number above all: which of two points at one moment is the latest."""
    return bits if bits >= 0 else _SIGN - 1 - bits


def number_of(value: float) -> float | None:
    """A value as searches compare it: none where it is not a number."""
    return None if math.isnan(value) else value


def told(number: float | None, bits: int) -> float | str:
    """A value as JSON can have it; `number` is what searches compare, which has lost the sign of zero."""
    if number and -math.inf < number < math.inf:
        return number
    value = value_of(bits)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def artifact_uri(experiment: int, run: str = "") -> str:
    """Where a client finds the files of an experiment, or of a run: behind the tracker itself."""
    return f"mlflow-artifacts:/{experiment}/{run}/artifacts" if run else f"mlflow-artifacts:/{experiment}"
