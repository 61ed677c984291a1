"""A study in the record: what is searched, its trials as events, and where they stand. Pure.

A trial is two events about its study: `tune.asked` with its settings, before anything runs, and `tune.told` with how it ended. One that was
asked and never told is run again with the same settings, by whoever goes on: what it had made is a hit then, so nothing is done twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from bedplate.core import digests
from bedplate.core.errors import UserError
from bedplate.core.parameters import Tune
from bedplate.core.records import Event, Record
from bedplate.pipeline.wiring.graph import Graph

ASKED, TOLD = "tune.asked", "tune.told"
State = Literal["asked", "done", "failed", "pruned"]


class Range(Record, frozen=True, kw_only=True):
    """What one setting may be: from `low` to `high` (whole numbers where `whole`), or one of `choices`."""

    low: float | None = None
    high: float | None = None
    whole: bool = False
    log: bool = False
    choices: tuple[Any, ...] = ()


class Goal(Record, frozen=True, kw_only=True):
    """What is sought: settings by which `model` gets the best `metric`, which `step` says (the model's own, or a check)."""

    model: str
    step: str
    metric: str
    maximise: bool = True

    def better(self, first: float, second: float) -> bool:
        """Whether the first value beats the second."""
        return first > second if self.maximise else first < second

    def __str__(self) -> str:
        whose = "" if self.step == self.model else f"{self.step}."
        return f"{'highest' if self.maximise else 'lowest'} {whose}{self.metric}"


class Trial(Record, frozen=True, kw_only=True):
    """One point of the search: its settings by `step.setting`, and how it ended. `curve` are the values told on the way, by step."""

    number: int
    settings: dict[str, Any]
    state: State = "asked"
    value: float | None = None
    run: str = ""
    attempt: str = ""
    message: str = ""
    curve: dict[int, float] = msgspec.field(default_factory=dict)
    cost_usd: float = 0.0
    wall_s: float = 0.0


def ranges(graph: Graph, names: Sequence[str]) -> dict[str, Range]:
    """The settings of these steps that have a range, by `step.setting`. Raises UserError where none has."""
    found = {
        f"{name}.{wire.name}": _range(wire.tune) for name in names for wire in graph.nodes[name].by_role("setting") if wire.tune is not None
    }
    if not found:
        raise UserError(
            "there is nothing to search", why=f"no setting of {', '.join(names)} has a range",
            next="give one: def late(..., leaves: int = tune(15, 127, default=31))",
        )  # fmt: skip
    return found


def _range(tune: Tune) -> Range:
    numbers = [tune.low, tune.high, tune.default]
    whole = tune.low is not None and all(isinstance(one, int) for one in numbers)
    return Range(low=tune.low, high=tune.high, whole=whole, log=tune.log, choices=tune.choices)


def study_of(goal: Goal, searched: Mapping[str, Range], stamp: str) -> str:
    """The name of a study: another goal, range or project file is another study."""
    told = digests.short(digests.of_json([goal, dict(searched), stamp]))
    return f"{goal.model}:{told}"


def trials_of(asked: Sequence[Event], told: Sequence[Event]) -> list[Trial]:
    """The trials of a study, by number."""
    trials = {trial.number: trial for trial in (_trial(event) for event in asked)}
    trials.update({trial.number: trial for trial in (_trial(event) for event in told)})
    return [trials[number] for number in sorted(trials)]


def event_of(study: str, trial: Trial, at: datetime) -> Event:
    """The event that a trial is kept as."""
    return Event(kind=ASKED if trial.state == "asked" else TOLD, subject=study, at=at, data=msgspec.to_builtins(trial, str_keys=True))


def best_of(goal: Goal, trials: Sequence[Trial]) -> Trial | None:
    """The best of those that got to their end; of equals the first."""
    done = [(trial.value, trial) for trial in trials if trial.state == "done" and trial.value is not None]
    best: tuple[float, Trial] | None = None
    for value, trial in done:
        best = (value, trial) if best is None or goal.better(value, best[0]) else best
    return None if best is None else best[1]


def words(settings: Mapping[str, Any]) -> list[str]:
    """Settings as `--set` takes them."""
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in settings.items()]


def _trial(event: Event) -> Trial:
    return msgspec.convert(event.data, Trial, strict=False)
