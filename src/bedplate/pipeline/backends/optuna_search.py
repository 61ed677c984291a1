"""Optuna as what proposes settings: a study in memory, filled from the record's trials each time, so that the record alone is the truth.

Choices: TPE with a seed from the study's name and how far it is, so that who goes on proposes nothing twice; the first trial is the
defaults, which any search has to beat; a trial is pruned where it is worse than the median of those before it at the same step (from
the fifth on).
Importance is PED-ANOVA's, which needs no other package.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from bedplate.pipeline.tuning.trials import Goal, Range, Trial

_STARTUP = 5
_STATES = {"done": TrialState.COMPLETE, "failed": TrialState.FAIL, "pruned": TrialState.PRUNED}


class OptunaSearch:
    """Proposes settings, and says which trials are not worth going on with."""

    def __init__(self, study: str, goal: Goal, searched: Mapping[str, Range], defaults: Mapping[str, Any], known: Sequence[Trial]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        seed = int(hashlib.sha256(f"{study}:{len(known)}".encode()).hexdigest()[:8], 16)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=_STARTUP)
        self._goal = goal
        self._study = optuna.create_study(
            direction="maximize" if goal.maximise else "minimize", sampler=sampler, pruner=optuna.pruners.MedianPruner(_STARTUP, 1)
        )
        self._ranges = {name: _distribution(one) for name, one in searched.items()}
        self._defaults = dict(defaults)
        self._open: dict[int, optuna.trial.Trial] = {}
        for trial in known:
            if trial.state != "asked":
                self._study.add_trial(self._frozen(trial))

    def ask(self, number: int, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The settings of a new trial: those `given`, the defaults for the first, else what Optuna proposes."""
        if given or number == 0:
            self._study.enqueue_trial(dict(given or self._defaults))
        trial = self._study.ask(self._ranges)
        self._open[number] = trial
        return dict(trial.params)

    def worse(self, number: int, step: int, value: float) -> bool:
        """Note a value on the way; whether the trial is not worth going on with."""
        trial = self._open[number]
        trial.report(value, step)
        return trial.should_prune()

    def tell(self, trial: Trial) -> None:
        """How a trial ended."""
        opened = self._open.pop(trial.number)
        value = trial.value if trial.state == "done" else None
        self._study.tell(opened, value, state=_STATES[trial.state], skip_if_finished=True)

    def importance(self) -> dict[str, float]:
        """How much each setting mattered, most first; empty where too few trials ended, or none differed."""
        done = [trial for trial in self._study.trials if trial.state == TrialState.COMPLETE]
        if len(done) < _STARTUP or len({trial.value for trial in done}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return dict(optuna.importance.get_param_importances(self._study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()))
            except (ValueError, RuntimeError):  # too alike to tell apart
                return {}

    def _frozen(self, trial: Trial) -> optuna.trial.FrozenTrial:
        value = trial.value if trial.state == "done" else None
        return optuna.trial.create_trial(
            state=_STATES[trial.state], value=value, params=trial.settings, distributions=self._ranges, intermediate_values=trial.curve
        )


def _distribution(one: Range) -> BaseDistribution:
    if one.low is None or one.high is None:
        return CategoricalDistribution(one.choices)
    if one.whole:
        return IntDistribution(int(one.low), int(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)
