"""The search: ask for settings, run them, tell what they gave, until the trials, the time or the money are used up.

The record is the only memory: whoever goes on after a crash finds every trial, and runs again only what was asked and never told, with the
settings that it had. One search of a study goes on at a time, under a lease. The best version gets the alias `tuned`.
"""

from __future__ import annotations

import functools
import math
import os
import platform
import selectors
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from bedplate.core.errors import BusyError, NotFound, UserError
from bedplate.core.extras import load
from bedplate.core.records import Lease, Promotion, Record, Version
from bedplate.core.units import dollars_per_hour
from bedplate.pipeline.request import Request, chosen
from bedplate.pipeline.workspace import Workspace

from .children import OUTCOMES, REFUSED, Child
from .trials import ASKED, TOLD, Goal, Trial, best_of, event_of, ranges, study_of, trials_of, words

ALIAS: Final = "tuned"
_TURN_S: Final = 0.5
_GRACE_S: Final = 15.0
_LEASE_S: Final = 30.0
_HOPELESS: Final = 3
"""So many trials that fail before any got through end the search: it is the project's mistake."""
BUDGET_SPENT: Final = "the project's budget is spent"
"""Why a search ended that the project's `budget=` stopped."""


class Limits(Record, frozen=True, kw_only=True):
    """When a search is over: `trials` in all, counting earlier ones; seconds from now; US dollars in all. `parallel` run at once."""

    trials: int = 20
    seconds: float | None = None
    usd: float | None = None
    parallel: int = 1


class Found(Record, frozen=True, kw_only=True):
    """What a search found: every trial of the study, the best and its version, how much each setting mattered, and why it ended."""

    study: str
    goal: Goal
    trials: tuple[Trial, ...]
    best: Trial | None
    version: Version | None
    importance: dict[str, float]
    ended: str


class Proposer(Protocol):
    """What proposes settings (`pipeline.backends.optuna_search`)."""

    def ask(self, number: int, given: Mapping[str, Any] | None = None) -> dict[str, Any]: ...
    def worse(self, number: int, step: int, value: float) -> bool: ...
    def tell(self, trial: Trial) -> None: ...
    def importance(self) -> dict[str, float]: ...


class Search:
    """One search of a study. `say` hears each trial as it begins and ends."""

    def __init__(self, workspace: Workspace, goal: Goal, limits: Limits, say: Callable[[Trial], None]) -> None:
        self._workspace = workspace
        self._goal = goal
        self._limits = limits
        self._say = say
        graph = workspace.graph
        names = chosen(graph, Request(names=(goal.model, goal.step)))
        self._ranges = ranges(graph, names)
        self._price = dollars_per_hour(workspace.config["price"])
        if limits.usd is not None and not self._price:
            raise UserError("a budget of money needs a price", why=f"time on target {workspace.config.target} costs nothing", next=_PRICE)
        self.study = study_of(goal, self._ranges, workspace.parts.loaded.stamp)
        backend = load("bedplate.pipeline.backends.optuna_search", "bedplate tune", "tune")
        self._propose: Callable[[Sequence[Trial]], Proposer] = lambda known: backend.OptunaSearch(
            self.study, goal, self._ranges, self._defaults(), known
        )
        self._proposer = self._propose(())
        self._trials: dict[int, Trial] = {}
        self._running: dict[int, Child] = {}
        self._begun: dict[int, float] = {}
        self._selector = selectors.DefaultSelector()
        self._stopped = ""

    def stop(self) -> None:
        """End the search: what runs is asked to stop, and goes on when the search does. Safe in a signal handler."""
        self._stopped = self._stopped or "stopped"

    def run(self) -> Found:
        """Search to the end of a limit. Raises BusyError where another process searches the same, UserError where no trial gets through."""
        lease = self._lease()
        try:
            self._recall()
            ended = self._loop(lease)
        finally:
            self._end_all()
            self._workspace.catalog.leases.release([lease])
        trials = tuple(self._trials[number] for number in sorted(self._trials))
        best = best_of(self._goal, trials)
        version = self._crown(best) if best else None
        importance = self._proposer.importance()
        return Found(study=self.study, goal=self._goal, trials=trials, best=best, version=version, importance=importance, ended=ended)

    def _lease(self) -> Lease:
        """The right to go on with the study, taken from a process of this machine that is gone. Raises BusyError."""
        now, leases = self._workspace.clock.now(), self._workspace.catalog.leases
        started, name = self._workspace.parts.process_started, f"tune/{self.study}"
        holder = f"{platform.node()}:{os.getpid()}:{started(os.getpid())}"
        lease = leases.acquire(name, holder, now, _LEASE_S)
        if lease is None and (held := leases.holder(name)) is not None:
            host, pid, began = held.holder.rsplit(":", 2)
            if host == platform.node() and str(started(int(pid))) != began:
                lease = leases.steal(held, holder, now, _LEASE_S)
        if lease is None:
            raise BusyError("this search is going on already", why=f"another process holds {self.study}", next="wait for it, or stop it")
        return lease

    def _recall(self) -> None:
        events = self._workspace.catalog.events
        before = trials_of(events.about(ASKED, self.study), events.about(TOLD, self.study))
        self._trials = {trial.number: trial for trial in before}
        self._proposer = self._propose(before)
        self._left = [trial for trial in before if trial.state == "asked"]

    def _loop(self, lease: Lease) -> str:
        clock = self._workspace.clock
        until = None if self._limits.seconds is None else clock.monotonic() + self._limits.seconds
        renewed = clock.monotonic()
        while True:
            if until is not None and clock.monotonic() >= until:
                self._stopped = self._stopped or "the time is over"
            if self._overspent():
                self._stopped = self._stopped or "the money is spent"
            if self._stopped:
                return self._stopped
            why = self._start()
            if not self._running:
                return why
            self._hear()
            if clock.monotonic() - renewed > _LEASE_S / 3:
                renewed = clock.monotonic()
                self._workspace.catalog.leases.renew([lease], clock.now(), _LEASE_S)

    def _start(self) -> str:
        """Begin what there is room for; why nothing more begins."""
        while len(self._running) < self._limits.parallel:
            if self._left:
                trial = self._left.pop(0)
                self._proposer.ask(trial.number, trial.settings)
            elif len(self._trials) >= self._limits.trials:
                return f"{len(self._trials)} trials"
            elif not self._affords():
                return "the money is spent"
            else:
                number = len(self._trials)
                trial = Trial(number=number, settings=self._proposer.ask(number))
                self._keep(trial)
            self._begin(trial)
        return ""

    def _begin(self, trial: Trial) -> None:
        config = self._workspace.config
        sets = [word for pair in words(trial.settings) for word in ("--set", pair)]
        names = dict.fromkeys((self._goal.model, self._goal.step))
        child = Child([*names, *sets, "--project", str(config.project_file), "--target", config.target])
        self._running[trial.number], self._begun[trial.number] = child, self._workspace.clock.monotonic()
        self._trials[trial.number] = trial
        self._selector.register(child.fd, selectors.EVENT_READ, trial.number)
        self._say(trial)

    def _hear(self) -> None:
        for key, _ in self._selector.select(_TURN_S):
            number = key.data
            child = self._running[number]
            if child.read(functools.partial(self._said, number)):
                self._selector.unregister(child.fd)
                del self._running[number]
                self._ended(number, child)

    def _said(self, number: int, said: dict[str, Any]) -> None:
        if said.get("kind") != "step.metric" or (said.get("step"), said.get("text")) != (self._goal.step, self._goal.metric):
            return
        at, value = said["data"].get("at"), said["data"].get("value")
        if at is None or not isinstance(value, int | float):
            return
        trial = self._trials[number]
        self._trials[number] = msgspec.structs.replace(trial, curve={**trial.curve, int(at): float(value)})
        if self._proposer.worse(number, int(at), float(value)):
            self._running[number].stop()

    def _ended(self, number: int, child: Child) -> None:
        code = child.end(_GRACE_S)
        if code == REFUSED:  # the trial stays asked: whoever goes on, once there is money, runs it
            self._stopped = self._stopped or BUDGET_SPENT
            self._begun.pop(number)
            return
        trial = msgspec.structs.replace(
            self._trials[number],
            run=child.run,
            wall_s=self._workspace.clock.monotonic() - self._begun.pop(number),
            cost_usd=self._cost(child.run),
        )
        if code in OUTCOMES:
            trial = self._valued(trial)
        elif child.killed:
            trial = msgspec.structs.replace(trial, state="pruned", message="worse than the median at this step")
        else:
            trial = msgspec.structs.replace(trial, state="failed", message=child.problem or f"ended with {code}")
        self._keep(trial)
        self._proposer.tell(trial)
        self._say(trial)
        self._give_up_where_hopeless()

    def _valued(self, trial: Trial) -> Trial:
        """What a trial that got to its end gave. Raises UserError where its step says no such metric."""
        runs = self._workspace.catalog.runs
        results = {step.name: step.result for step in runs.steps(trial.run)}
        metrics = runs.metrics(results[self._goal.step])
        value = metrics.get(self._goal.metric)
        if value is None:
            why = f"{self._goal.step} says {', '.join(sorted(metrics)) or 'none'}"
            raise UserError(
                f"{self._goal.step} says no metric '{self._goal.metric}'", why=why, next="--maximise STEP.METRIC, of the model or a check"
            )
        if isinstance(value, str) or not math.isfinite(value):
            return msgspec.structs.replace(trial, state="failed", message=f"{self._goal.metric} is {value}")
        return msgspec.structs.replace(
            trial, state="done", value=float(value), attempt=results[self._workspace.graph.node(self._goal.model).name]
        )

    def _give_up_where_hopeless(self) -> None:
        failed = [trial for trial in self._trials.values() if trial.state == "failed"]
        if len(failed) >= _HOPELESS and len(failed) == sum(1 for trial in self._trials.values() if trial.state != "asked"):
            raise UserError(f"the first {len(failed)} trials all failed", why=failed[-1].message, next=f"bedplate run {self._goal.model}")

    def _keep(self, trial: Trial) -> None:
        self._trials[trial.number] = trial
        self._workspace.catalog.events.add(event_of(self.study, trial, self._workspace.clock.now()))

    def _end_all(self) -> None:
        """What still runs is stopped and stays asked: whoever goes on runs it again."""
        for child in self._running.values():
            child.stop()
        for child in self._running.values():
            child.end(_GRACE_S)
        self._running.clear()
        self._selector.close()

    # Money

    def _cost(self, run: str) -> float:
        return sum(attempt.usage.cost_usd for attempt in self._workspace.catalog.runs.attempts(run)) if run else 0.0

    def _going(self) -> float:
        """What the trials that run have cost until now, in US dollars."""
        now, runs = self._workspace.clock.now(), self._workspace.catalog.runs
        attempts = [attempt for child in self._running.values() if child.run for attempt in runs.attempts(child.run)]
        seconds = sum((now - one.started_at).total_seconds() for one in attempts if one.status == "running")
        return seconds / 3600 * self._price + sum(one.usage.cost_usd for one in attempts)

    def _overspent(self) -> bool:
        return self._limits.usd is not None and sum(trial.cost_usd for trial in self._trials.values()) + self._going() > self._limits.usd

    def _affords(self) -> bool:
        """Whether one more trial, at what they cost on average, stays within the money."""
        if self._limits.usd is None:
            return True
        spent = [trial.cost_usd for trial in self._trials.values() if trial.state != "asked"]
        each = sum(spent) / len(spent) if spent else 0.0
        return sum(spent) + each * (len(self._running) + 1) <= self._limits.usd

    # The best

    def _crown(self, best: Trial) -> Version | None:
        """The version that the best trial made, with the alias `tuned`."""
        catalog = self._workspace.catalog
        made = {version.artifact: version for version in catalog.artifacts.by_attempt(best.attempt)}
        version = made.get(self._goal.model)
        if version is not None and catalog.models.alias(version.artifact, ALIAS) != version.number:
            done = sum(1 for trial in self._trials.values() if trial.state == "done")
            reason = f"the {self._goal} of {done} trials: {best.value:.6g}"
            now = self._workspace.clock.now()
            catalog.models.promote(
                Promotion(model=version.artifact, alias=ALIAS, version=version.number, by="person", reason=reason, at=now)
            )
        return version

    def _defaults(self) -> dict[str, Any]:
        graph = self._workspace.graph
        wires = {f"{name}.{wire.name}": wire for name, node in graph.nodes.items() for wire in node.by_role("setting")}
        return {name: wires[name].default for name in self._ranges}


def goal_of(workspace: Workspace, model: str, metric: str, *, maximise: bool) -> Goal:
    """The goal that is asked for: `auc` is the model's own metric, `good.auc` that of the check (or step) `good`.

    Raises UserError for what is no model, or a step that is not about it.
    """
    graph = workspace.graph
    output = graph.output(model)
    if output.kind != "model":
        raise UserError(f"{model} is a {output.kind}, not a model", next="bedplate tune MODEL --maximise METRIC")
    maker = graph.node(model).name
    step, dot, name = metric.rpartition(".")
    if not dot:
        return Goal(model=output.artifact, step=maker, metric=metric, maximise=maximise)
    if graph.node(step).name != maker and maker not in graph.upstream(step):
        raise NotFound(f"{step} does not see {model}", why="it has to receive what is tuned", next=f"bedplate lineage {model}")
    return Goal(model=output.artifact, step=graph.node(step).name, metric=name, maximise=maximise)


_PRICE: Final = "set price = '0.40 USD/hour' in bedplate.toml"
