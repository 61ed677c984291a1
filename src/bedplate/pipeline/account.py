"""The account that a run gives of itself: its steps as they stand, what it says as it goes, and the Summary at its end.

Makes records and emits `Said`s; the run loop writes them to the catalog, in the transactions that they belong to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from bedplate.compute.executor import Progress
from bedplate.core.context import Noted
from bedplate.core.records import Attempt, Outcome, Record, Run, RunStatus, Step, StepStatus, Usage, Version
from bedplate.core.units import show_number

from .code.dynamic import UNFOLLOWED
from .commit import Done, check_of
from .decide import Decision
from .starting import Doing, Said, Site
from .why import sentence
from .wiring.graph import Graph, Node

_LONG = 50
"""Characters after which the line of a hit takes no further metric."""


class Summary(Record, frozen=True, kw_only=True):
    """How a run ended: every step, the version each artifact has now, the failures by step, and what stopped it, if not a person."""

    run: Run
    steps: tuple[Step, ...]
    versions: dict[str, Version]
    failures: dict[str, str]
    stopped: str = ""

    def __repr__(self) -> str:
        counts = Counter(step.status for step in self.steps)
        return f"<run {self.run.id}: {', '.join([self.run.status, *(f'{count} {status}' for status, count in counts.items())])}>"

    @property
    def ok(self) -> bool:
        """Whether every step is done or skipped."""
        return not self.failures and self.run.status == "done"


class Account:
    """One run's steps and failures so far."""

    def __init__(self, site: Site, graph: Graph, run: Run) -> None:
        self._site = site
        self._graph = graph
        self._run = run
        self._steps: dict[tuple[str, str], Step] = {}
        self._waited: set[tuple[str, str]] = set()
        self.failures: dict[str, str] = {}

    def summary(self, status: RunStatus, versions: Mapping[str, Version], stopped: str = "") -> Summary:
        """How the run ended."""
        ended = msgspec.structs.replace(self._run, status=status, ended_at=self._site.clock.now())
        return Summary(run=ended, steps=tuple(self._steps.values()), versions=dict(versions), failures=dict(self.failures), stopped=stopped)

    # Records

    def step(self, decision: Decision, status: StepStatus, *, why: str = "", result: str = "") -> Step:
        """A decided step (or part) as it stands now; `why` is why it was decided so, where nothing else is said."""
        at, before = self._site.clock.now(), self._steps.get((decision.name, decision.part))
        step = Step(
            run=self._run.id,
            name=decision.name,
            part=decision.part,
            stage=self._graph.nodes[decision.name].stage,
            status=status,
            why=why or sentence(decision.reasons),
            cache_key=decision.cache_key,
            key_parts=decision.key_parts,
            result=result,
            started_at=before.started_at if before else at,
            ended_at=None if status == "running" else at,
        )
        self._steps[step.name, step.part] = step
        return step

    def unstarted(self, name: str, part: str, status: StepStatus, why: str) -> Step:
        """A step that ended before it was begun."""
        stage = self._graph.nodes[name].stage
        step = Step(run=self._run.id, name=name, part=part, stage=stage, status=status, ended_at=self._site.clock.now(), why=why)
        self._steps[name, part] = step
        return step

    def knows(self, name: str, part: str) -> bool:
        """Whether the step (or part) has a record."""
        return (name, part) in self._steps

    def attempt(self, doing: Doing, status: Literal["done", "failed", "cancelled"], outcome: Outcome, usage: Usage) -> Attempt:
        """An attempt as it ended, with what its time cost on this target."""
        cost = usage.wall_s / 3600 * self._site.price_per_hour
        return msgspec.structs.replace(
            doing.attempt,
            status=status,
            cause=outcome.cause,
            message=outcome.message,
            ended_at=self._site.clock.now(),
            usage=msgspec.structs.replace(usage, cost_usd=cost),
        )

    # Said

    def say(self, kind: str, step: str = "", part: str = "", text: str = "", data: Mapping[str, Any] | None = None) -> None:
        """Say something to whoever shows the run."""
        self._site.emit(Said(kind=kind, step=step, part=part, text=text, data=dict(data or {})))

    def skipped(self, decision: Decision) -> None:
        """A hit, with the metrics of the attempt that made it (of models and checks, where they are what one looks for)."""
        metrics: dict[str, float] = {}
        if self._graph.nodes[decision.name].stage in ("train", "validate"):
            metrics = self._site.catalog.runs.metrics(decision.result)
        text = sentence(decision.reasons)
        for name, value in metrics.items():
            if len(text) < _LONG:
                text += f", {name} {show_number(value)}"
        self.say("step.skipped", decision.name, decision.part, text)
        for version in decision.versions:  # a check that only side runs had passed promotes when it becomes the project's own
            if version.kind == "check":
                self._promoted(self._graph.nodes[decision.name], version, self._run.started_at)

    def started(self, doing: Doing) -> None:
        """An attempt began; `expect_s` is what it should take by its own history."""
        decision = doing.decision
        expected = [one.middle for one in doing.forecasts if one.quantity == "wall_s" and one.basis != "unknown"]
        data = {"attempt": doing.attempt.number, **({"expect_s": expected[0]} if expected else {})}
        self.say("step.started", decision.name, decision.part, sentence(decision.reasons), data)
        if doing.warning:
            self.say("step.warned", decision.name, decision.part, doing.warning)

    def waits(self, decision: Decision) -> None:
        """Another run is making it; said once, however often it is looked at."""
        if (decision.name, decision.part) not in self._waited:
            self.say("step.held", decision.name, decision.part, "another run is making it")
        self._waited.add((decision.name, decision.part))

    def progress(self, doing: Doing, event: Progress) -> None:
        """What a running step reported."""
        noted = msgspec.json.decode(event.payload, type=Noted)
        data = {"value": float(noted.value) if noted.what == "metric" else noted.value, "at": noted.at_step}
        self.say(f"step.{noted.what}", doing.decision.name, doing.decision.part, noted.name, data)

    def made(self, done: Done, made: tuple[Version, ...]) -> None:
        """What a step made, the files that it opened beside its inputs, and what a check found."""
        name, part, usage = done.node.name, done.attempt.part, done.attempt.usage
        data = {"wall_s": usage.wall_s, "peak_bytes": usage.peak_bytes, "energy_joules": usage.energy_joules}
        told = [f"{v.ref} ({v.rows:,} rows)" if v.rows is not None else v.ref for v in made]
        known = ", equal to before" if self._run.moves_heads else ", which was there already"
        same = known if made and all(v.attempt != done.attempt.id for v in made) else ""
        self.say("step.done", name, part, ", ".join(told) + same, {**data, "made": told})
        for path in done.outcome.opened:
            self.say("step.warned", name, part, f"opened {path}, which is not one of its inputs")
        for lost in (part for part in done.step.key_parts.code if part.name.endswith(UNFOLLOWED)) if done.step.key_parts else ():
            text = f"{lost.file}:{lost.line} imports a module by a name that is only known when it runs"
            self.say("step.warned", name, part, f"{text}: an edit of that module is not noticed")
        for version in made:
            if (check := check_of(version)) is not None:
                for finding in check.findings:
                    self.say("check.said", name, part, str(finding))
                self._promoted(done.node, version, done.attempt.started_at)

    def _promoted(self, node: Node, check: Version, since: datetime) -> None:
        """Where the check moved an alias since then, say so."""
        alias = node.declaration.promotes
        models = [wire.artifact for wire in node.wires if wire.kind == "model" and not wire.is_use]
        moves = self._site.catalog.models.history(models[0], alias) if alias and models else []
        last = moves[-1] if moves else None
        if last and (last.check, last.check_version) == (check.artifact, check.number) and last.at >= since:
            self.say("check.promoted", node.name, text=f"{last.model}@{last.version} is now {last.alias}")
