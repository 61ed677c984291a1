"""What pages ask of a prediction log, and what they are told, as records of bounded size. `looking.py` reads the log for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from bedplate.core.records import Record


class Stretch(Record, frozen=True, kw_only=True):
    """One stretch of time: predictions asked for, refused (4xx) and failed, by which versions; latency in ms of answered ones.

    `versions` maps `late@7` to how many it took part in; empty where nothing was asked.
    """

    at: datetime
    predictions: int = 0
    refused: int = 0
    failed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    versions: dict[str, int] = msgspec.field(default_factory=dict)


class OfVersion(Record, frozen=True, kw_only=True):
    """What one set of model versions answered: `versions` are `late@7`, none where a request was refused before a model was asked."""

    versions: tuple[str, ...]
    predictions: int
    refused: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    first: datetime
    last: datetime


class Lately(Record, frozen=True, kw_only=True):
    """What a service was asked from `start` to `end`, in stretches of `width_s` seconds without a gap.

    `messages` are the errors that came most often, those alike but for numbers counted as one. Of the `newest` few predictions
    `newest_failed` failed: how it stands now. Where there is more than one look can hold, `start` is later than asked: `cut` says so.
    """

    service: str
    start: datetime
    end: datetime
    width_s: int = 1
    stretches: tuple[Stretch, ...] = ()
    by_version: tuple[OfVersion, ...] = ()
    messages: dict[str, int] = msgspec.field(default_factory=dict)
    predictions: int = 0
    refused: int = 0
    failed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    newest: int = 0
    newest_failed: int = 0
    cut: bool = False


class Place(Record, frozen=True, kw_only=False):
    """Where a page of predictions ends: the moment and the id of its last one."""

    at: datetime
    id: str


class Sought(Record, frozen=True, kw_only=True):
    """Which predictions are looked for, the newest first: of a time, by a version (`late@7`), only what went wrong, below a place."""

    since: datetime | None = None
    until: datetime | None = None
    version: str = ""
    wrong: bool = False
    below: Place | None = None
    limit: int = 50


class Answer(Record, frozen=True, kw_only=True):
    """One prediction: what was asked, by parameter the rows looked up (`looked`: of which version, for what), and what came of it.

    `label` is what really happened, where that is known (`labelled`). `answer_of` is the prediction whose answer was given again, `trace`
    where the time went, in milliseconds by part, with what traced it (`why`, `trace`, `span`, `parent`): of those that were traced.
    """

    id: str
    request_id: str
    at: datetime
    status: int
    error: str
    latency_ms: float
    versions: tuple[str, ...]
    request: dict[str, Any] = msgspec.field(default_factory=dict)
    features: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    looked: dict[str, Any] = msgspec.field(default_factory=dict)
    result: Any = None
    label: Any = None
    labelled: bool = False
    answer_of: str = ""
    trace: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def went_wrong(self) -> bool:
        """Whether it was refused or failed."""
        return self.status >= 400 or bool(self.error)
