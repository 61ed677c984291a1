"""The run loop: decide what is ready, start it, commit what comes back, until every step has ended.

One controller per run; several may run at once on one catalog, kept apart by leases. The loop blocks in the executor's `wait` and
otherwise only moves records: what to do is decided by `decide`, `flow`, `retry` and `compute.slots`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Literal

import msgspec

from bedplate.compute.executor import Ended, Progress
from bedplate.compute.slots import pick
from bedplate.core.context import Noted
from bedplate.core.errors import BedplateError, BusyError
from bedplate.core.records import Attempt, Outcome, Record, Run, RunStatus, Step, StepStatus, Usage, Version
from bedplate.core.units import show_seconds

from .commit import Committer, Done, check_of
from .decide import Decider, Decision
from .flow import Flow
from .graph import Graph, Node
from .retry import Retry, decide
from .starting import Doing, Said, Site, Starter
from .why import sentence

_AHEAD = 64
"""How many waiting steps are looked at for one that fits now: a turn costs the same however many wait."""
_HELD_S = 0.25
_GRACE_S = 10.0


class Summary(Record, frozen=True, kw_only=True):
    """How a run ended: every step, the version each artifact has now, and the failures by step."""

    run: Run
    steps: tuple[Step, ...]
    versions: dict[str, Version]
    failures: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every step is done or skipped."""
        return not self.failures and self.run.status == "done"


class Runner:
    """Runs the selected steps of one graph once."""

    def __init__(self, site: Site, graph: Graph, decider: Decider, committer: Committer, starter: Starter, run: Run) -> None:
        self._site = site
        self._graph = graph
        self._decider = decider
        self._committer = committer
        self._starter = starter
        self._run = run
        self._flow = Flow({})
        self._made: dict[str, Version] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        self._queue: OrderedDict[str, Decision] = OrderedDict()
        self._held: list[Decision] = []
        self._waited: set[str] = set()
        self._later: list[tuple[float, Decision]] = []
        self._doing: dict[str, Doing] = {}
        self._steps: dict[tuple[str, str], Step] = {}
        self._failures: dict[str, str] = {}
        self._stopping = False
        self._renewed = site.clock.monotonic()

    def stop(self) -> None:
        """Ask for a clean stop: running steps may checkpoint, nothing new starts. Safe in a signal handler."""
        self._stopping = True
        self._site.executor.wake()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping

    def run(self, names: Iterable[str]) -> Summary:
        """Run the named steps (already closed over what they need) in order."""
        chosen = set(names)
        self._flow = Flow({name: self._graph.parents[name] for name in self._graph.nodes if name in chosen})
        self._site.catalog.runs.begin(self._run)
        self._say("run.started", data={"run": self._run.id, "steps": len(chosen)})
        status: RunStatus = "failed"
        try:
            self._until_over()
            status = "cancelled" if self._stopping else ("failed" if self._failures else "done")
        finally:
            self._site.catalog.leases.release([lease for doing in self._doing.values() for lease in doing.leases])
            now = self._site.clock.now()
            self._site.catalog.runs.end(self._run.id, status, now)
            self._say("run.ended", text=status)
        ended = msgspec.structs.replace(self._run, status=status, ended_at=now)
        return Summary(run=ended, steps=tuple(self._steps.values()), versions=dict(self._made), failures=dict(self._failures))

    def _until_over(self) -> None:
        """Loop to the end; an interrupt where no signal handler stands (a notebook) is a wish to stop."""
        try:
            self._loop()
        except KeyboardInterrupt:
            self._stopping = True
            self._loop()

    def _loop(self) -> None:
        told = False
        while True:
            if self._stopping:
                self._queue, self._held, self._later = OrderedDict(), [], []
                if not told:
                    self._site.executor.stop(_GRACE_S)
                told = True
            else:
                self._decide()
                self._start()
            if not (self._doing or self._queue or self._held or self._later):
                return
            self._absorb(self._site.executor.wait(self._patience()))
            self._renew()

    # Deciding

    def _decide(self) -> None:
        self._release_due()
        while ready := self._flow.ready():
            self._skip([decision for name in ready for decision in self._expand(self._graph.nodes[name])])

    def _expand(self, node: Node) -> list[Decision]:
        """Decide a step that has become ready; returns what can be skipped."""
        try:
            parts = self._decider.parts(node, self._made)
        except BedplateError as error:
            self._fail(node, "", error.line)
            return []
        self._parts[node.name] = parts
        self._flow.expand(node.name, parts)
        if not parts:
            return self._sort([self._decider.combine(node, parts, self._made)])
        return self._sort(self._decider.decide(node, part, self._made) for part in parts)

    def _sort(self, decisions: Iterable[Decision]) -> list[Decision]:
        """Queue what has to run, fail what is blocked, return what can be skipped."""
        skipped = []
        for decision in decisions:
            if decision.action == "skip":
                skipped.append(decision)
            elif decision.action == "blocked":
                self._fail(self._graph.nodes[decision.name], decision.part, sentence(decision.reasons))
            else:
                self._queue[_unit(decision)] = decision
        return skipped

    def _skip(self, decisions: list[Decision]) -> None:
        if not decisions:
            return
        now = self._site.clock.now()
        steps = [self._step(d, "skipped", sentence(d.reasons), result=d.result, at=now) for d in decisions]
        self._site.catalog.skip(steps, moves_head=self._run.moves_heads)
        for decision in decisions:
            self._say("step.skipped", decision.name, decision.part, sentence(decision.reasons) + self._figures(decision))
            self._finish(self._graph.nodes[decision.name], decision, decision.versions)

    def _figures(self, decision: Decision) -> str:
        """A hit shows the metrics of the attempt that made it (models and checks, where they are what one looks for)."""
        if self._graph.nodes[decision.name].stage not in ("train", "validate"):
            return ""
        metrics = self._site.catalog.runs.metrics(decision.result)
        return "".join(f", {name} {value:.4g}" for name, value in list(metrics.items())[:4])

    def _release_due(self) -> None:
        """Look again at steps that another run was making, and at retries whose wait is over."""
        now = self._site.clock.monotonic()
        due = [decision for at, decision in self._later if at <= now]
        self._later = [entry for entry in self._later if entry[0] > now]
        held, self._held = self._held, []
        decide = self._decider.decide
        anew = [self._decider.again(d) if d.combine else decide(self._graph.nodes[d.name], d.part, self._made) for d in held]
        self._skip(self._sort([*due, *anew]))

    # Starting

    def _start(self) -> None:
        if not self._queue:
            return
        waiting = islice(self._queue.items(), _AHEAD)
        ready = [(unit, d.needs or self._graph.nodes[d.name].declaration.needs) for unit, d in waiting]
        starting = [self._queue.pop(unit) for unit in pick(ready, self._site.executor.free(), self._site.executor.total)]
        if not starting:
            return
        for decision, doing in zip(starting, self._site.catalog.together(lambda: self._begin(starting)), strict=True):
            if doing is None:
                self._hold(decision)
                continue
            self._doing[doing.attempt.id] = doing
            said = {"attempt": doing.attempt.number}
            self._say("step.started", decision.name, decision.part, sentence(decision.reasons), said)
            self._starter.launch(doing)

    def _hold(self, decision: Decision) -> None:
        if _unit(decision) not in self._waited:
            self._say("step.held", decision.name, decision.part, "another run is making it")
        self._waited.add(_unit(decision))
        self._held.append(decision)

    def _begin(self, starting: Sequence[Decision]) -> list[Doing | None]:
        """Record that attempts begin; None for what another run is making or has made. Inside a transaction."""
        begun = [self._claim(decision) for decision in starting]
        now = self._site.clock.now()
        doing = [one for one in begun if one is not None]
        steps = [self._step(one.decision, "running", sentence(one.decision.reasons), at=now) for one in doing]
        self._site.catalog.start(steps, [one.attempt for one in doing])
        return begun

    def _claim(self, decision: Decision) -> Doing | None:
        """An attempt under its leases; None where it will be looked at again, as what another run holds is."""
        doing = self._starter.prepare(decision)
        if doing is not None and self._decider.again(decision).action == "skip":
            # Between our decision and our lease another run has made it.
            self._site.catalog.leases.release(doing.leases)
            return None
        return doing

    # What comes back

    def _patience(self) -> float:
        """Seconds until a lease has to be renewed, a retry is due or a held step is looked at again."""
        now = self._site.clock.monotonic()
        waits = [self._site.lease_s / 3, *(max(0.0, at - now) for at, _ in self._later)]
        return min([*waits, _HELD_S] if self._held else waits)

    def _absorb(self, events: Iterable[Progress | Ended]) -> None:
        done: list[tuple[Doing, Done]] = []
        for event in events:
            if isinstance(event, Progress):
                self._report(event)
            elif (doing := self._doing.pop(event.id, None)) is not None:
                outcome = _outcome(event)
                if outcome.ok:
                    done.append((doing, self._done(doing, outcome, event.usage)))
                else:
                    self._ended_badly(doing, outcome, event.usage)
        if done:
            self._commit(done)

    def _done(self, doing: Doing, outcome: Outcome, usage: Usage) -> Done:
        attempt = self._end(doing, "done", outcome, usage)
        step = self._step(doing.decision, "done", sentence(doing.decision.reasons), result=attempt.id, at=self._site.clock.now())
        return Done(
            node=doing.node,
            attempt=attempt,
            step=step,
            outcome=outcome,
            leases=doing.leases,
            forecasts=doing.forecasts,
        )

    def _commit(self, done: list[tuple[Doing, Done]]) -> None:
        try:
            versions = self._committer.commit([one for _, one in done], self._run.moves_heads)
        except BusyError as error:
            if len(done) > 1:
                for pair in done:
                    self._commit([pair])
                return
            doing, one = done[0]
            self._ended_badly(doing, Outcome(attempt=one.attempt.id, cause="world", message=error.what), one.attempt.usage)
            return
        for (doing, one), made in zip(done, versions, strict=True):
            self._tell(one, doing.decision.part, made)
            self._finish(one.node, doing.decision, made)

    def _tell(self, done: Done, part: str, made: tuple[Version, ...]) -> None:
        usage = done.attempt.usage
        data = {"wall_s": usage.wall_s, "peak_bytes": usage.peak_bytes, "energy_joules": usage.energy_joules}
        told = [f"{v.ref} ({v.rows:,} rows)" if v.rows is not None else v.ref for v in made]
        same = " (equal to before)" if made and all(v.attempt != done.attempt.id for v in made) else ""
        self._say("step.done", done.node.name, part, ", ".join(told) + same, data)
        for path in done.outcome.opened:
            self._say("step.warned", done.node.name, part, f"opened {path}, which is not one of its inputs")
        for check in filter(None, map(check_of, made)):
            for finding in check.findings:
                self._say("check.said", done.node.name, part, str(finding))

    def _finish(self, node: Node, decision: Decision, versions: Iterable[Version]) -> None:
        """A step, a part of one, or the putting together of its parts is through."""
        self._made.update({version.artifact: version for version in versions})
        if node.each is None or decision.combine or not self._parts[node.name]:
            self._flow.through(node.name)
        elif self._flow.finish(node.name, decision.part):
            if self._decider.is_whole(node):
                self._skip(self._sort([self._decider.combine(node, self._parts[node.name], self._made)]))
            else:
                self._flow.through(node.name)

    def _ended_badly(self, doing: Doing, outcome: Outcome, usage: Usage) -> None:
        decision, attempt = doing.decision, doing.attempt
        self._site.store.unstage([attempt.id])
        again = decide(attempt.number, outcome.cause, doing.node.declaration.needs, usage.peak_bytes)
        status: Literal["failed", "cancelled"] = "cancelled" if outcome.cause == "cancelled" else "failed"
        step = self._step(decision, status, outcome.message, at=self._site.clock.now())
        self._site.catalog.fail(self._end(doing, status, outcome, usage), step, outcome.noted)
        self._site.catalog.leases.release(doing.leases)
        if isinstance(again, Retry) and not self._stopping:
            self._say("step.retried", decision.name, decision.part, f"{outcome.message}; again in {show_seconds(again.wait_s)}")
            self._later.append((self._site.clock.monotonic() + again.wait_s, msgspec.structs.replace(decision, needs=again.needs)))
            return
        if status == "cancelled":
            self._stopping = True  # who interrupts a step in this process means the run
            self._say("step.cancelled", decision.name, decision.part, outcome.message)
            return
        data = {"traceback": outcome.traceback, "cause": outcome.cause, "log": str(self._site.logs / attempt.log)}
        self._fail(doing.node, decision.part, outcome.message, data)

    def _fail(self, node: Node, part: str, message: str, data: dict[str, Any] | None = None) -> None:
        """The step did not get through; what needs it ends with it."""
        if node.name in self._failures:
            return
        self._failures[node.name] = message
        self._say("step.failed", node.name, part, message, data or {})
        self._queue = OrderedDict((unit, d) for unit, d in self._queue.items() if d.name != node.name)
        self._held = [d for d in self._held if d.name != node.name]
        self._later = [entry for entry in self._later if entry[1].name != node.name]
        never = [] if (node.name, part) in self._steps else [self._unstarted(node.name, part, "failed", message)]
        why = f"it needs {node.name}, which did not get through"
        held = [self._unstarted(name, "", "cancelled", why) for name in self._flow.fail(node.name)]
        self._site.catalog.runs.put_steps([*never, *held])
        self._steps.update({(step.name, step.part): step for step in (*never, *held)})
        for step in held:
            self._say("step.cancelled", step.name, text=step.why)

    def _unstarted(self, name: str, part: str, status: StepStatus, why: str) -> Step:
        stage = self._graph.nodes[name].stage
        return Step(run=self._run.id, name=name, part=part, stage=stage, status=status, ended_at=self._site.clock.now(), why=why)

    def _end(self, doing: Doing, status: Literal["done", "failed", "cancelled"], outcome: Outcome, usage: Usage) -> Attempt:
        cost = usage.wall_s / 3600 * self._site.price_per_hour
        return msgspec.structs.replace(
            doing.attempt,
            status=status,
            cause=outcome.cause,
            message=outcome.message,
            ended_at=self._site.clock.now(),
            usage=msgspec.structs.replace(usage, cost_usd=cost),
        )

    def _report(self, event: Progress) -> None:
        doing = self._doing.get(event.id)
        if doing is not None:
            noted = msgspec.json.decode(event.payload, type=Noted)
            data = {"value": float(noted.value) if noted.what == "metric" else noted.value, "at": noted.at_step}
            self._say(f"step.{noted.what}", doing.decision.name, doing.decision.part, noted.name, data)

    def _renew(self) -> None:
        now = self._site.clock.monotonic()
        if self._doing and now - self._renewed >= self._site.lease_s / 3:
            self._renewed = now
            leases = [lease for doing in self._doing.values() for lease in doing.leases]
            self._site.catalog.leases.renew(leases, self._site.clock.now(), self._site.lease_s)

    def _step(self, decision: Decision, status: StepStatus, why: str, *, at: datetime, result: str = "") -> Step:
        before = self._steps.get((decision.name, decision.part))
        step = Step(
            run=self._run.id,
            name=decision.name,
            part=decision.part,
            stage=self._graph.nodes[decision.name].stage,
            status=status,
            why=why,
            cache_key=decision.cache_key,
            key_parts=decision.key_parts,
            result=result,
            started_at=before.started_at if before else at,
            ended_at=None if status == "running" else at,
        )
        self._steps[decision.name, decision.part] = step
        return step

    def _say(self, kind: str, step: str = "", part: str = "", text: str = "", data: Mapping[str, Any] | None = None) -> None:
        self._site.emit(Said(kind=kind, step=step, part=part, text=text, data=dict(data or {})))


def _unit(decision: Decision) -> str:
    return f"{decision.name}[{decision.part}]"


def _outcome(ended: Ended) -> Outcome:
    """What the worker answered; where it could not, what the executor says became of it."""
    if ended.cause == "":
        return msgspec.json.decode(ended.payload, type=Outcome)
    return Outcome(attempt=ended.id, cause=ended.cause, message=ended.message)
