"""Rolled model: one inference while another version of the model is tried. All rows of a request are answered by one version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np

from bedplate.core.errors import StepError
from bedplate.planner.rollout.verdict import Outcome
from bedplate.stages.deploy.deployment import LoadedModel
from bedplate.stages.deploy.recorder import Cells, Prediction
from bedplate.stages.deploy.service import plain
from bedplate.stages.deploy.trials import Candidate, Tried

from .lanes import Lane
from .replies import Headers
from .rolled import Trying, apart, counted, note_old, picks, timed

Predict = Callable[[LoadedModel], Any]
"""What a version predicts for the request's tensors, as an array."""


class RolledModel:
    """One inference: whose it is, and what becomes of it."""

    __slots__ = ("_loaded", "_predict", "_rows", "_tried", "_trying", "_usual", "picked")

    def __init__(self, trying: Trying, tried: Tried, loaded: LoadedModel, rows: int, predict: Predict) -> None:
        self._trying, self._tried, self._loaded, self._rows, self._predict = trying, tried, loaded, rows, predict
        self.picked = False

    def pick(self, parameters: Mapping[str, Any], first: Any, headers: Headers, name: str) -> None:
        """Decide whose the request is: its rule's key is a header, a parameter of the request, or a column of its first row."""

        def field(key: str) -> Any:
            return parameters[key] if key in parameters else _cell(first, key, self._loaded)

        self.picked = picks(self._tried.canary, field, headers, name)

    def lane(self, usual: Lane) -> Lane:
        """Where it is worked through."""
        self._usual = usual
        return self._trying.lane() if self.picked else usual

    def of_canary(self) -> tuple[LoadedModel, Any] | None:
        """The canary and what it predicts; None where that cannot be used, or the request is not its own."""
        canary = self._tried.canary
        if not self.picked or canary is None or canary.loaded is None:
            return None
        outcomes: list[Outcome] = []
        made = None
        try:
            call = partial(timed, outcomes.append, partial(self._predict, canary.loaded), self._shaped)
            made = self._trying.call(canary, self._usual, self._rows, call)
        except BaseException:  # whatever the new version raises, the one in production answers; the outcome counts against the new one
            made = None
        canary.seen.new.extend(outcomes[:1])
        usable = made is not None and not outcomes[0].empty
        self._trying.count(counted(canary, "answered" if usable else "fell back"))
        return (canary.loaded, made) if usable else None

    def note(self, seconds: float, made: Any) -> None:
        """What became of the version in production; `made` is None where it failed."""
        note_old(self._tried, Outcome(seconds, made is None, made is not None and not _is_finite(made)))

    def then(self, given: Sequence[Prediction], record: Callable[[list[Prediction]], None]) -> None:
        """Ask the shadow what it would have answered; `record` hears it, under the ids of the answers that were given."""
        shadow = self._tried.shadow
        if shadow is not None and shadow.loaded is not None and shadow.trial.rule.takes(shadow.trial.salt, given[0].prediction_id):
            self._trying.shadows.ask(shadow, partial(self._shadow, shadow, shadow.loaded, given, record))

    def _shadow(
        self, shadow: Candidate, loaded: LoadedModel, given: Sequence[Prediction], record: Callable[[list[Prediction]], None]
    ) -> None:
        outcomes: list[Outcome] = []
        results, error = [None] * len(given), ""
        try:
            results = plain(timed(outcomes.append, partial(self._predict, loaded), self._shaped))
        except BaseException as raised:  # it answers nobody
            error = f"{type(raised).__name__}: {raised}"[:500]
        (outcome,) = outcomes
        differs = not error and apart([one.result for one in given], results, shadow.trial.rule.within)
        shadow.seen.new.append(msgspec.structs.replace(outcome, apart=differs))
        told = {"latency_ms": outcome.seconds * 1e3, "status": 500 if error else 200, "error": error, "models": loaded.models_text}
        record([msgspec.structs.replace(one, result=result, **told) for one, result in zip(given, results, strict=True)])

    def _shaped(self, made: Any) -> Any:
        """The prediction, where it has the rows that were asked for and the width of production's. Raises StepError."""
        wide = self._loaded.wide
        if len(np.shape(made)) != 1 + wide or len(made) != self._rows:
            raise StepError(f"it predicted shape {list(np.shape(made))} for {self._rows} rows{' of several values' if wide else ''}")
        return made


def _is_finite(made: Any) -> bool:
    return made.dtype.kind != "f" or bool(np.isfinite(made).all())


def _cell(row: Any, name: str, loaded: LoadedModel) -> Any:
    """One value of a row, as it is recorded; None where it has none of that name."""
    if not isinstance(row, Cells):
        return row.get(name)
    names = [one.name for one in loaded.model.signature.inputs]
    return row.rows[row.at][names.index(name)].item() if name in names else None
