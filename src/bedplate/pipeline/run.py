"""The run loop: decide what is ready, start it, commit what comes back, until every step has ended.

One controller per run; several may run at once on one catalog, kept apart by leases. The loop blocks in the executor's `wait` and
otherwise only moves records: what to do is decided by `decide`, `flow`, `retry` and `compute.slots`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from bedplate.compute.executor import Ended, Progress
from bedplate.compute.slots import Slots, check_fits, pick
from bedplate.core.errors import BedplateError, BusyError, WorldError
from bedplate.core.records import Outcome, Run, RunStatus, Usage, Version
from bedplate.core.units import show_seconds

from .account import Account, Summary
from .commit import Committer, Done
from .decide import Decider, Decision
from .flow import Flow
from .retry import Retry, decide
from .starting import Doing, Site, Starter
from .why import sentence
from .wiring.graph import Graph, Node

_AHEAD = 64
"""How many waiting steps are looked at for one that fits now: a turn costs the same however many wait."""
_HELD_S = 0.25
_GRACE_S = 10.0


class Runner:
    """Runs the selected steps of one graph once."""

    def __init__(self, site: Site, graph: Graph, decider: Decider, committer: Committer, starter: Starter, run: Run) -> None:
        self._site = site
        self._graph = graph
        self._decider = decider
        self._committer = committer
        self._starter = starter
        self._run = run
        self._account = Account(site, graph, run)
        self._flow = Flow({})
        self._made: dict[str, Version] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        self._queue: OrderedDict[str, Decision] = OrderedDict()
        self._held: list[Decision] = []
        self._later: list[tuple[float, Decision]] = []
        self._doing: dict[str, Doing] = {}
        self._stopping = False
        self._now = False
        self._why = ""
        self._told_to_stop: set[float] = set()
        self._renewed = site.clock.monotonic()

    def stop(self, why: str = "") -> None:
        """Ask for a clean stop: running steps may checkpoint, nothing new starts; a second time ends them. Safe in a signal handler.

        `why` says what stopped it, where that was no person.
        """
        self._now = self._stopping
        self._stopping = True
        self._why = why or self._why
        self._site.executor.wake()

    def stop_once(self, why: str) -> None:
        """Ask for a clean stop, unless that was done; from any thread."""
        if not self._stopping:
            self.stop(why)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping

    def run(self, names: Iterable[str]) -> Summary:
        """Run the named steps (already closed over what they need) in order."""
        chosen = set(names)
        self._flow = Flow({name: self._graph.parents[name] for name in self._graph.nodes if name in chosen})
        self._site.catalog.runs.begin(self._run)
        self._account.say("run.started", data={"run": self._run.id, "steps": len(chosen)})
        status: RunStatus = "failed"
        try:
            self._until_over()
            status = "cancelled" if self._stopping else ("failed" if self._account.failures else "done")
        finally:
            self._site.catalog.leases.release([lease for doing in self._doing.values() for lease in doing.leases])
            self._site.catalog.runs.end(self._run.id, status, self._site.clock.now())
            self._account.say("run.ended", text=f"{status}: {self._why}" if self._why and status == "cancelled" else status)
        return self._account.summary(status, self._made, self._why if status == "cancelled" else "")

    def _until_over(self) -> None:
        """Loop to the end; an interrupt where no signal handler stands (a notebook) is a wish to stop."""
        try:
            self._loop()
        except KeyboardInterrupt:
            self._stopping = True
            self._loop()

    def _loop(self) -> None:
        while True:
            if self._stopping:
                self._queue, self._held, self._later = OrderedDict(), [], []
                self._stop_steps(0.0 if self._now else _GRACE_S)
            else:
                self._decide()
                self._start()
            if not (self._doing or self._queue or self._held or self._later):
                return
            self._absorb(self._site.executor.wait(self._patience()))
            self._renew()

    def _stop_steps(self, grace_s: float) -> None:
        """Have what runs end within the grace, and say so; once for each grace."""
        if grace_s in self._told_to_stop:
            return
        self._told_to_stop.add(grace_s)
        self._site.executor.stop(grace_s)
        if self._doing:
            names = ", ".join(dict.fromkeys(doing.attempt.step for doing in self._doing.values()))
            patience = f"{names} has {grace_s:.0f} s to checkpoint; Ctrl-C again ends it now" if grace_s else f"{names} is ended now"
            self._account.say("run.stopping", text=f"stopping{f', for {self._why}' if self._why else ''}: {patience}")

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
            node = self._graph.nodes[decision.name]
            if decision.action == "skip":
                skipped.append(decision)
            elif decision.action == "blocked":
                self._fail(node, decision.part, sentence(decision.reasons))
            elif lacking := _lacking(node, self._site.executor.total):
                self._fail(node, decision.part, lacking)
            else:
                self._queue[_unit(decision)] = decision
        return skipped

    def _skip(self, decisions: list[Decision]) -> None:
        if not decisions:
            return
        steps = [self._account.step(d, "skipped", result=d.result) for d in decisions]
        self._site.catalog.skip(steps, moves_head=self._run.moves_heads)
        for decision in decisions:
            self._account.skipped(decision)
            self._finish(self._graph.nodes[decision.name], decision, decision.versions)

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
                self._account.waits(decision)
                self._held.append(decision)
                continue
            self._doing[doing.attempt.id] = doing
            self._account.started(doing)
            self._starter.launch(doing)

    def _begin(self, starting: Sequence[Decision]) -> list[Doing | None]:
        """Record that attempts begin; None for what another run is making or has made. Inside a transaction."""
        begun = [self._claim(decision) for decision in starting]
        doing = [one for one in begun if one is not None]
        steps = [self._account.step(one.decision, "running") for one in doing]
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
                if event.id in self._doing:
                    self._account.progress(self._doing[event.id], event)
            elif (doing := self._doing.pop(event.id, None)) is not None:
                outcome = _outcome(event, doing.node)
                if outcome.ok:
                    done.append((doing, self._done(doing, outcome, event.usage)))
                else:
                    self._ended_badly(doing, outcome, event.usage)
        if done:
            self._commit(done)

    def _done(self, doing: Doing, outcome: Outcome, usage: Usage) -> Done:
        attempt = self._account.attempt(doing, "done", outcome, usage)
        step = self._account.step(doing.decision, "done", result=attempt.id)
        return Done(node=doing.node, attempt=attempt, step=step, outcome=outcome, leases=doing.leases, forecasts=doing.forecasts)

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
            self._account.made(one, made)
            self._finish(one.node, doing.decision, made)

    def _finish(self, node: Node, decision: Decision, versions: Iterable[Version]) -> None:
        """A step, a part of one, or the putting together of its parts is through."""
        self._made.update({version.artifact: version for version in versions})
        if node.each is None or decision.combine or not self._parts[node.name]:
            self._flow.through(node.name)
        elif self._flow.finish(node.name, decision.part) and node.name not in self._account.failures:
            if self._decider.is_whole(node):
                self._skip(self._sort([self._decider.combine(node, self._parts[node.name], self._made)]))
            else:
                self._flow.through(node.name)

    def _ended_badly(self, doing: Doing, outcome: Outcome, usage: Usage) -> None:
        decision, attempt = doing.decision, doing.attempt
        self._site.store.unstage([attempt.id])
        if outcome.traceback:
            _append(self._site.logs / attempt.log, outcome.traceback)
        again = decide(attempt.number, outcome.cause, doing.node.declaration.needs, usage.peak_bytes)
        status: Literal["failed", "cancelled"] = "cancelled" if outcome.cause == "cancelled" else "failed"
        step = self._account.step(decision, status, why=outcome.message)
        self._site.catalog.fail(self._account.attempt(doing, status, outcome, usage), step, outcome.noted)
        self._site.catalog.leases.release(doing.leases)
        if isinstance(again, Retry) and not self._stopping:
            self._account.say("step.retried", decision.name, decision.part, f"{outcome.message}; again in {show_seconds(again.wait_s)}")
            self._later.append((self._site.clock.monotonic() + again.wait_s, msgspec.structs.replace(decision, needs=again.needs)))
            return
        if status == "cancelled":
            self._stopping = True  # who interrupts a step in this process means the run
            self._account.say("step.cancelled", decision.name, decision.part, outcome.message)
            return
        data = {"traceback": outcome.traceback, "cause": outcome.cause, "log": str(self._site.logs / attempt.log)}
        self._fail(doing.node, decision.part, outcome.message, data)

    def _fail(self, node: Node, part: str, message: str, data: dict[str, Any] | None = None) -> None:
        """The step, or a part of it, did not get through; what needs it ends with it, and its other parts go on."""
        self._account.failures.setdefault(node.name, message)
        self._account.say("step.failed", node.name, part, message, data or {})
        never = [] if self._account.knows(node.name, part) else [self._account.unstarted(node.name, part, "failed", message)]
        why = f"it needs {node.name}, which did not get through"
        held = [self._account.unstarted(name, "", "cancelled", why) for name in self._flow.fail(node.name)]
        self._site.catalog.runs.put_steps([*never, *held])
        for step in held:
            self._account.say("step.cancelled", step.name, text=step.why)

    def _renew(self) -> None:
        now = self._site.clock.monotonic()
        if self._doing and now - self._renewed >= self._site.lease_s / 3:
            self._renewed = now
            leases = [lease for doing in self._doing.values() for lease in doing.leases]
            self._site.catalog.leases.renew(leases, self._site.clock.now(), self._site.lease_s)


def _unit(decision: Decision) -> str:
    return f"{decision.name}[{decision.part}]"


def _append(log: Path, traceback: str) -> None:
    """The user's frames behind what the step printed; a disk that takes no more of it fails nothing else."""
    with suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"-- where it failed:\n{traceback.rstrip()}\n")


def _lacking(node: Node, total: Slots) -> str:
    """What the target can never give the step; empty where it can."""
    try:
        check_fits(node.name, node.declaration.needs, total)
    except WorldError as error:
        return error.line
    return ""


def _outcome(ended: Ended, node: Node) -> Outcome:
    """What the worker answered; where it could not, what the executor says became of it, and where a limit that it hit stands."""
    if ended.cause == "":
        return msgspec.json.decode(ended.payload, type=Outcome)
    declared = node.declaration
    limit = {"time": declared.needs.time_s and "time=", "memory": declared.needs.memory_bytes and "memory="}.get(ended.cause)
    where = f": raise {limit} at {declared.file}:{declared.line}" if limit else ""
    return Outcome(attempt=ended.id, cause=ended.cause, message=ended.message + where)
