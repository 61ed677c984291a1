"""What another tracker holds, as records, and the port by which it is read.

A source owes: everything that there is, deleted things too (marked); metrics with their whole history; nothing that it reads is run,
unpickled or followed out of its own folders. What it cannot read it says in `troubles`, and goes on.
Times are milliseconds since the epoch, as trackers keep them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from bedplate.core.records import Record

LOGGED_READY: Final = "LOGGED_MODEL_READY"


class Point(NamedTuple):
    """One value of a metric."""

    name: str
    value: float
    at_ms: int
    at_step: int


class TheirExperiment(Record, frozen=True, kw_only=True):
    """An experiment; `id` is theirs, `stage` 'active' or 'deleted'."""

    id: str
    name: str
    stage: str = "active"
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = msgspec.field(default_factory=dict)


class TheirDataset(Record, frozen=True, kw_only=True):
    """What a run was trained or tested on, and the tags of its use."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str = ""
    profile: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)


class TheirRun(Record, frozen=True, kw_only=True):
    """A run, without its points and files. `root` is where its files lie, in the source's own words."""

    id: str
    experiment: str
    name: str = ""
    user: str = ""
    status: str = "FINISHED"
    started_ms: int = 0
    ended_ms: int | None = None
    stage: str = "active"
    deleted_ms: int | None = None
    root: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    params: dict[str, str] = msgspec.field(default_factory=dict)
    datasets: tuple[TheirDataset, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[tuple[str, int], ...] = ()


class TheirMetric(Record, frozen=True, kw_only=True):
    """A metric of a logged model, in the run that measured it."""

    run: str
    name: str
    value: float
    at_step: int
    at_ms: int
    dataset: str = ""
    dataset_digest: str = ""


class TheirLogged(Record, frozen=True, kw_only=True):
    """A logged model (MLflow 3). `status` in the protocol's words, as LOGGED_MODEL_READY."""

    id: str
    experiment: str
    name: str = ""
    model_type: str = ""
    run: str = ""
    status: str = LOGGED_READY
    message: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    is_deleted: bool = False
    root: str = ""
    params: dict[str, str] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    metrics: tuple[TheirMetric, ...] = ()


class TheirVersion(Record, frozen=True, kw_only=True):
    """A version of a registered model; `source` is where its files lie, in the source's own words."""

    number: int
    run: str = ""
    logged_model: str = ""
    source: str = ""
    description: str = ""
    user: str = ""
    stage: str = "None"
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = msgspec.field(default_factory=dict)


class TheirModel(Record, frozen=True, kw_only=True):
    """A registered model with its versions and aliases."""

    name: str
    description: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    aliases: dict[str, int] = msgspec.field(default_factory=dict)
    versions: tuple[TheirVersion, ...] = ()


class TheirFile(Record, frozen=True, kw_only=True):
    """A file of a run, logged model or version: its path with `/` below their root, its size, and where the source finds it."""

    path: str
    size_bytes: int
    place: str


class Owner(Protocol):
    """What has files: a run or a logged model."""

    @property
    def id(self) -> str:
        """Theirs."""
        ...

    @property
    def root(self) -> str:
        """Where its files lie."""
        ...


class Source(Protocol):
    """A tracker to move in from; see the module for what it owes."""

    troubles: list[str]

    @property
    def place(self) -> str:
        """Where it is, without credentials: under this name it is remembered what was brought."""
        ...

    def experiments(self) -> list[TheirExperiment]:
        """Every experiment."""
        ...

    def runs(self, experiment: str) -> Iterator[TheirRun]:
        """The runs of an experiment."""
        ...

    def points(self, run: TheirRun) -> Iterable[Point]:
        """Every value of every metric of a run."""
        ...

    def logged(self, experiment: str) -> Iterator[TheirLogged]:
        """The logged models of an experiment."""
        ...

    def models(self) -> Iterator[TheirModel]:
        """The registered models."""
        ...

    def files(self, owner: Owner) -> Iterator[TheirFile]:
        """The files of a run or logged model."""
        ...

    def files_at(self, model: str, version: TheirVersion) -> Iterator[TheirFile]:
        """The files of a version that lie with no run or logged model."""
        ...

    def fetch(self, file: TheirFile, into: Path) -> Path:
        """A path at which the file's bytes lie: its own, or `into`. Raises WorldError, Refused."""
        ...
