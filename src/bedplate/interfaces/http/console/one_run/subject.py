"""Whom the page is about: a client's run, a run of the project, or an attempt at one of its steps."""

from __future__ import annotations

from typing import Final, Literal

from bedplate.catalog.tracking.tracked import RunDetail, TrackedRun
from bedplate.core.errors import NotFound
from bedplate.core.records import Attempt, Record, Run
from bedplate.interfaces.http.console.tables import State, Tone
from bedplate.interfaces.http.door.endpoint import Desk, Resource

Kind = Literal["client", "run", "attempt"]
_TONES: Final[dict[str, Tone]] = {
    "RUNNING": "now", "SCHEDULED": "off", "FINISHED": "good", "FAILED": "bad", "KILLED": "warn",
    "running": "now", "waiting": "off", "done": "good", "skipped": "off", "failed": "bad", "cancelled": "warn",
}  # fmt: skip
_WORDS: Final = {"RUNNING": "running", "SCHEDULED": "scheduled", "FINISHED": "done", "FAILED": "failed", "KILLED": "cancelled"}
NOTE: Final = "mlflow.note.content"


class Subject(Record, frozen=True, kw_only=True):
    """A run with all that it said; `run` is its row in the record, `attempt` that of a client's run and of an attempt."""

    kind: Kind
    detail: RunDetail
    run: Run
    attempt: Attempt | None = None

    @property
    def tracked(self) -> TrackedRun:
        """The run without what it said."""
        return self.detail.run

    @property
    def id(self) -> str:
        """Its id."""
        return self.detail.run.id

    @property
    def name(self) -> str:
        """What people call it."""
        return self.detail.run.name or self.id

    @property
    def is_live(self) -> bool:
        """Whether more may come."""
        return self.detail.run.status in ("RUNNING", "SCHEDULED")

    def tag(self, key: str) -> str:
        """A tag's value, empty without it."""
        return next((one.value for one in self.detail.tags if one.key == key), "")

    def lasted_s(self, now_ms: int) -> float:
        """How long it took, or takes by now."""
        ended = self.tracked.ended_ms
        return max((now_ms if ended is None else ended) - self.tracked.started_ms, 0) / 1000


def subject(desk: Desk, run: str) -> Subject:
    """The subject of an id. Raises NotFound."""
    found = desk.catalog.tracking.details.of([run])
    if not found:
        raise NotFound(f"Run with id={run[:100]} not found")
    detail = found[0]
    runs = desk.catalog.runs
    if detail.run.origin == "client":
        return Subject(kind="client", detail=detail, run=runs.get(run), attempt=runs.attempt(run))
    if detail.run.id.startswith("a-"):
        attempt = runs.attempt(run)
        return Subject(kind="attempt", detail=detail, run=runs.get(attempt.run), attempt=attempt)
    return Subject(kind="run", detail=detail, run=runs.get(run))


def resource_of(found: Subject) -> Resource:
    """What rights are asked about."""
    return Resource("experiment", str(found.tracked.experiment))


def state_of(status: str) -> State:
    """A status, of trackers' words or ours, as it is drawn."""
    return State(_WORDS.get(status, status), _TONES.get(status, "off"))
