"""Due work as it is done: look, claim, run, record how it ended.

Each step's due work is done under a lease of its own, with a fencing number: any number of processes may look at once, and what one
claims no other does. What is due is worked out, claimed and recorded in one transaction. A process that dies leaves its occurrence
running in the record; whoever looks once its lease is over takes it up, and since what was finished stays finished, that only does the
rest. Things that are due at once are one run; a check of an older version (label delay) is a run of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from bedplate.catalog.due import Occurrence, Status
from bedplate.core.errors import Refused, UserError, WorldError
from bedplate.core.ids import new_id
from bedplate.core.records import Lease, Record, Step
from bedplate.core.units import seconds
from bedplate.pipeline.account import Summary
from bedplate.pipeline.heart import Heart
from bedplate.pipeline.request import Request
from bedplate.pipeline.starting import Said
from bedplate.pipeline.wiring.graph import Node
from bedplate.pipeline.workspace import Workspace

from .facts import Seen, lease_name, look, rulings
from .rules import TRIES, Ruling
from .tasks import Task, scope, tasks

_OVERTAKEN = "another process has taken over this due work"


class Claim(Record, frozen=True, kw_only=True):
    """An occurrence that this process does, under its lease."""

    occurrence: Occurrence
    lease: Lease
    task: Task
    pins: Ruling | None = None


class Turn(Record, frozen=True, kw_only=True):
    """One look: what was ruled, how each run that it led to ended, and how each occurrence did. `stopped`: it was asked to stop."""

    rulings: tuple[Ruling, ...] = ()
    summaries: tuple[Summary, ...] = ()
    ended: tuple[Occurrence, ...] = ()
    stopped: bool = False


class DueWork:
    """Due work of one project on one target. `finds_drift` looks for drift of a service before a watch of it runs."""

    def __init__(self, workspace: Workspace, finds_drift: Callable[[str], object] | None = None) -> None:
        self._workspace = workspace
        self._catalog = workspace.catalog
        self._finds_drift = finds_drift
        self._lease_s = seconds(workspace.config["lease"])
        self._holder = new_id("d", workspace.clock.now(), workspace.parts.random_bits)

    def plan(self) -> tuple[Ruling, ...]:
        """What is due now, what waits for when, and why; nothing is written."""
        seen = self._look()
        now = self._workspace.clock.now()
        return tuple(self._catalog.database.snapshot(lambda: rulings(self._catalog, seen, now, enrols=False)))

    def turn(self, emit: Callable[[Said], None] | None = None) -> Turn:
        """Look once and do what is due.

        Raises WorldError where the record cannot be reached, UserError on a target beside the project's own.
        """
        if self._workspace.config.aside:
            raise UserError(
                "due work is done on the project's own target",
                why=f"what runs on '{self._workspace.config.target}' makes side versions, and would be taken for done",
                next="bedplate run --due",
            )
        seen = self._look()
        ruled, claims = self._catalog.together(lambda: self._claim(seen))
        summaries: list[Summary] = []
        ended: list[Occurrence] = []
        stopped = False
        with self._kept(claims):
            for group in _groups(claims):
                if stopped:
                    break
                summary, occurrences = self._do(group, emit)
                ended += occurrences
                summaries += [summary] if summary is not None else []
                stopped = summary is not None and summary.run.status == "cancelled" and not summary.stopped
            if stopped:
                self._catalog.due.put_back([claim.occurrence for claim in claims])
        return Turn(rulings=tuple(ruled), summaries=tuple(summaries), ended=tuple(ended), stopped=stopped)

    def _look(self) -> dict[str, tuple[Task, Seen]]:
        return {task.step: (task, look(self._workspace, task)) for task in tasks(self._workspace.graph)}

    # Claiming; inside a transaction

    def _claim(self, seen: Mapping[str, tuple[Task, Seen]]) -> tuple[list[Ruling], list[Claim]]:
        claims = list(self._left_behind(seen))
        ruled = rulings(self._catalog, seen, self._workspace.clock.now(), enrols=True)
        for ruling in ruled:
            if ruling.action == "record":
                self._catalog.due.add(self._occurrence(ruling, 0))
            elif ruling.action == "run" and (lease := self._lease(ruling.step)) is not None:
                occurrence = self._occurrence(ruling, lease.fence)
                if self._catalog.due.add(occurrence):
                    pins = ruling if ruling.pins is not None else None
                    claims.append(Claim(occurrence=occurrence, lease=lease, task=seen[ruling.step][0], pins=pins))
        return ruled, claims

    def _left_behind(self, seen: Mapping[str, tuple[Task, Seen]]) -> Iterator[Claim]:
        """Occurrences whose process is gone, taken up by this one; given up after so many."""
        now = self._workspace.clock.now()
        for left in self._catalog.due.running():
            lease = self._lease(left.step)
            if lease is None or not self._catalog.due.take(left, lease.fence):
                continue
            mine = msgspec.structs.replace(left, fence=lease.fence, tries=left.tries + 1)
            if left.step not in seen:
                self._catalog.due.end(mine, "failed", f"{left.reason}; the project has no such work any more", now)
            elif mine.tries > TRIES:
                self._catalog.due.end(mine, "failed", f"{left.reason}; {TRIES} processes died over it", now)
            else:
                pins = self._pins(mine)
                yield Claim(occurrence=mine, lease=lease, task=seen[left.step][0], pins=pins)

    def _pins(self, left: Occurrence) -> Ruling | None:
        version = self._catalog.artifacts.find(left.mark) if left.kind == "labels" else None
        return Ruling(step=left.step, kind=left.kind, action="run", reason=left.reason, pins=version) if version is not None else None

    def _lease(self, step: str) -> Lease | None:
        return self._catalog.leases.acquire(lease_name(step), self._holder, self._workspace.clock.now(), self._lease_s)

    def _occurrence(self, ruling: Ruling, fence: int) -> Occurrence:
        now = self._workspace.clock.now()
        return Occurrence(
            step=ruling.step, kind=ruling.kind, mark=ruling.mark, due_at=ruling.due_at or now, status=ruling.status,
            reason=ruling.reason, fence=fence, decided_at=now, ended_at=now if ruling.action == "record" else None,
        )  # fmt: skip

    # Doing

    def _do(self, group: Sequence[Claim], emit: Callable[[Said], None] | None) -> tuple[Summary | None, list[Occurrence]]:
        """One run for what is due at once; what became of it, and of each occurrence."""
        self._look_for_drift(group)
        request = self._request(group)

        def hear(said: Said) -> None:
            if said.kind == "run.started":
                self._begun(group, said.data["run"])
            if emit is not None:
                emit(said)

        try:
            summary = self._workspace.start(request, hear)
        except (UserError, WorldError) as error:
            status: Status = "refused" if isinstance(error, Refused) else "failed"
            said = f"{error.line} ({error.why})" if error.why else error.line
            return None, self._ended(group, lambda claim: (status, f"{claim.occurrence.reason}; {said}"))
        if summary.run.status == "cancelled" and not summary.stopped:
            return summary, []  # who stopped it, or the next to look, takes it up where it was
        return summary, self._ended(group, lambda claim: self._outcome(claim, summary))

    def _request(self, group: Sequence[Claim]) -> Request:
        steps = list(dict.fromkeys(claim.task.step for claim in group))
        why = "; ".join(f"{claim.task.step}: {claim.occurrence.reason}" for claim in group)
        pinned = {claim.task.judges: claim.pins.pins for claim in group if claim.pins is not None}
        names = tuple(steps) if pinned else scope(self._workspace.graph, steps, self._made)
        anew = tuple(claim.task.step for claim in group if claim.task.closed and claim.task.schedule and not self._did(claim))
        return Request(names=names, only=True, due=tuple(steps), anew=anew, pinned=pinned, command=f"bedplate run --due ({why})")

    def _made(self, node: Node) -> bool:
        return all(self._catalog.artifacts.head(output.artifact) is not None for output in node.outputs)

    def _did(self, claim: Claim) -> bool:
        """Whether the run of a process that died over it had made the step itself, as it may turn out once what it left is recovered."""
        run = claim.occurrence.run
        if not run:
            return False
        self._workspace.recover()
        return any(step.name == claim.task.step and step.status in ("done", "skipped") for step in self._catalog.runs.steps(run))

    def _look_for_drift(self, group: Sequence[Claim]) -> None:
        """Before a watch, the report that finds drift: what it finds is due at the next look. Nothing to report on is no trouble."""
        for service in dict.fromkeys(service for claim in group for service in claim.task.watches):
            if self._finds_drift is not None:
                try:
                    self._finds_drift(service)
                except UserError:
                    continue

    @contextmanager
    def _kept(self, claims: Sequence[Claim]) -> Iterator[None]:
        """The leases stay ours while the work goes on; where another took one, the run is stopped."""
        leases = list({claim.lease.name: claim.lease for claim in claims}.values())
        if not leases:
            yield
            return

        def renew() -> None:
            held = self._catalog.leases.renew(leases, self._workspace.clock.now(), self._lease_s)
            if len(held) < len(leases):
                self._workspace.stop_once(_OVERTAKEN)

        try:
            with Heart("due", self._lease_s / 3, renew):
                yield
        finally:
            self._catalog.leases.release(leases)

    def _begun(self, group: Sequence[Claim], run: str) -> None:
        for claim in group:
            if not self._catalog.due.runs_as(claim.occurrence, run):
                self._workspace.stop_once(_OVERTAKEN)

    def _outcome(self, claim: Claim, summary: Summary) -> tuple[Status, str]:
        """How an occurrence ended: by what became of the steps that it is about."""
        why = claim.occurrence.reason
        if summary.stopped:
            return "stopped", f"{why}; {summary.stopped}"
        about = scope(self._workspace.graph, [claim.task.step], self._made)
        failed = [_failed(name, summary.failures[name]) for name in about if name in summary.failures]
        held = [f"{step.name}: {step.why}" for step in summary.steps if step.name == claim.task.step and step.status == "cancelled"]
        if failed or held:
            return "failed", f"{why}; {'; '.join(failed or held)}"
        before = [f"{step.name} (by a process that died)" for step in self._left_done(claim) if step.name in about]
        done = [*before, *(step.name for step in summary.steps if step.status == "done" and step.name in about)]
        return "done", f"{why}; made {', '.join(dict.fromkeys(done))}" if done else f"{why}; nothing had changed"

    def _left_done(self, claim: Claim) -> list[Step]:
        """What the run of a process that died over it had made, as it turned out."""
        run = claim.occurrence.run
        return [step for step in self._catalog.runs.steps(run) if step.status == "done"] if run else []

    def _ended(self, group: Sequence[Claim], outcome: Callable[[Claim], tuple[Status, str]]) -> list[Occurrence]:
        """Record how each occurrence ended, unless another has taken it over."""
        now = self._workspace.clock.now()
        ended = []
        for claim in group:
            status, reason = outcome(claim)
            if self._catalog.due.end(claim.occurrence, status, reason, now):
                ended.append(msgspec.structs.replace(claim.occurrence, status=status, reason=reason, ended_at=now))
        return ended


def _failed(step: str, message: str) -> str:
    """A failure on one line; the rest of it is what `bedplate logs` prints."""
    line = message.partition("\n")[0]
    return line if line.startswith(f"{step}: ") else f"{step}: {line}"


def _groups(claims: Sequence[Claim]) -> Iterator[list[Claim]]:
    """What is done in one run: everything, but a version other than the newest by itself."""
    together = [claim for claim in claims if claim.pins is None]
    if together:
        yield together
    yield from ([claim] for claim in claims if claim.pins is not None)
