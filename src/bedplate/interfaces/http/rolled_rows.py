"""Rolled rows: one request to a service while a version of one of its models is tried; each row has a version of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from bedplate.planner.rollout.verdict import Outcome
from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.recorder import Prediction
from bedplate.stages.deploy.trials import Candidate, Tried

from .asking import Failed
from .lanes import Lane
from .ledger import FeatureRows
from .replies import Headers
from .rolled import Trying, apart, counted, note_old, picks, timed

Made = tuple[Any, FeatureRows]
Asked = tuple[Any, str]
"""A row's request, and the id of its answer."""


class RolledRows:
    """The rows of one request; `by` is what answered each of them, once it did."""

    __slots__ = ("_active", "_picked", "_read", "_rows", "_tried", "_trying", "_usual", "by")

    def __init__(
        self, trying: Trying, tried: Tried, active: Active, read: Callable[[Any], Any], rows: Sequence[Asked], headers: Headers
    ) -> None:
        self._trying, self._tried, self._active, self._read, self._rows = trying, tried, active, read, rows
        self._picked = [picks(tried.canary, partial(_field, request), headers, name) for request, name in rows]
        self.by: list[Active] = []

    def lane(self, usual: Lane) -> Lane:
        """Where the rows are worked through: `usual`, unless one is a canary's."""
        self._usual = usual
        return self._trying.lane() if any(self._picked) else usual

    @property
    def label(self) -> str:
        """What answered, for people."""
        return ", ".join(dict.fromkeys(one.label for one in self.by))

    def run(self) -> list[Made]:
        """What was answered for each row. Raises Failed."""
        made: list[Made] = []
        for (request, _), picked in zip(self._rows, self._picked, strict=True):
            fields = msgspec.structs.asdict(request)
            answer = self._of_canary(fields) if picked else None
            if answer is None:
                try:
                    answer = ask(self._active, fields, self._read, partial(note_old, self._tried))
                except BaseException as error:  # as in any call of a service: user code may end in SystemExit
                    raise Failed(len(made)) from error
                self.by.append(self._active)
            made.append(answer)
        return made

    def then(self, made: Sequence[Made], record: Callable[[Prediction], None], request_id: str, at: datetime) -> None:
        """Ask the shadow what it would have answered; `record` hears it, under the id of the answer that was given."""
        for (request, name), (result, _) in zip(self._rows, made, strict=True):
            given = Prediction(name, request_id, at, 0.0, 200, "", "{}", request, None, result)
            shadow_of(self._trying, self._tried, self._read, given, record)

    def _of_canary(self, fields: Mapping[str, Any]) -> Made | None:
        """What the canary answers; None where that cannot be used."""
        canary = self._tried.canary
        if canary is None or canary.active is None:
            return None
        outcomes: list[Outcome] = []
        made: Made | None = None
        try:
            call = partial(ask, canary.active, fields, self._read, outcomes.append)
            made = self._trying.call(canary, self._usual, 1, call)
        except BaseException:  # whatever the new version raises, the one in production answers; the outcome counts against the new one
            made = None
        canary.seen.new.extend(outcomes)
        usable = made is not None and not outcomes[0].empty
        self._trying.count(counted(canary, "answered" if usable else "fell back"))
        if not usable:
            return None
        self.by.append(canary.active)
        return made


def ask(active: Active, fields: Mapping[str, Any], read: Callable[[Any], Any], note: Callable[[Outcome], None]) -> Made:
    """One row's answer; `note` hears of its outcome. Raises what the function raises."""
    looked: list[FeatureRows] = []

    def call() -> Any:
        result, features = active.call(fields)
        looked.append(features)
        return result

    return timed(note, call, read), looked[0]


def shadow_of(
    trying: Trying, tried: Tried, read: Callable[[Any], Any], given: Prediction, record: Callable[[Prediction], None]
) -> None:  # fmt: skip
    """Ask the shadow, where the request is one of its, what it would have answered; `record` hears it, under the id of what was given."""
    shadow = tried.shadow
    if shadow is None or shadow.active is None or not shadow.trial.rule.takes(shadow.trial.salt, given.prediction_id):
        return
    trying.shadows.ask(shadow, partial(_shadow, shadow, shadow.active, read, given, record))


def _shadow(
    candidate: Candidate, active: Active, read: Callable[[Any], Any], given: Prediction, record: Callable[[Prediction], None]
) -> None:
    """Ask a shadow, compare, and record what it said."""
    outcomes: list[Outcome] = []
    result, features, error = None, None, ""
    try:
        result, features = ask(active, msgspec.structs.asdict(given.request), read, outcomes.append)
    except BaseException as raised:  # it answers nobody
        error = f"{type(raised).__name__}: {raised}"[:500]
    (outcome,) = outcomes
    differs = not error and apart(given.result, result, candidate.trial.rule.within)
    candidate.seen.new.append(msgspec.structs.replace(outcome, apart=differs))
    told = {"latency_ms": outcome.seconds * 1e3, "status": 500 if error else 200, "error": error, "models": active.models_text}
    record(msgspec.structs.replace(given, features=features, result=result, **told))


def _field(request: Any, name: str) -> Any:
    return getattr(request, name, None)
