"""Recovery: what earlier controllers left running when they died.

For every attempt that the record still calls running and whose controller is gone: if its outcome is staged, it is committed as it
would have been (adopted); else a table commit that only the store knows of is undone, and the attempt is lost. Finished steps
stay finished; half-written bytes stay invisible (invariant 3).

Limits: whether a controller of another machine lives is only known by its leases, so its run is never called ended from here.
"""

from __future__ import annotations

import platform
from collections.abc import Callable

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import Clock
from bedplate.core.errors import BusyError, CorruptError
from bedplate.core.records import Attempt, Lease, Outcome, Run, Step, Usage
from bedplate.storage.store import Store

from .commit import Committer, Done, lease_names
from .wiring.graph import Graph, Node

ProcessStarted = Callable[[int], float | None]
"""When a process of this machine started; None where there is none."""

_SAME_START_S = 2.0


def dead(run: Run, process_started: ProcessStarted) -> bool:
    """Whether the run's process, on this machine, is gone."""
    if run.host != platform.node():
        return False
    started = process_started(run.pid)
    return started is None or abs(started - run.process_started) > _SAME_START_S


class Recovery:
    """Brings the record up to date with what died."""

    def __init__(
        self, catalog: Catalog, store: Store, committer: Committer, graph: Graph, clock: Clock, process_started: ProcessStarted
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._committer = committer
        self._graph = graph
        self._clock = clock
        self._process_started = process_started

    def recover(self) -> list[str]:
        """Adopt or give up what dead controllers left; returns the attempts that were adopted."""
        runs: dict[str, Run] = {}
        adopted = []
        for attempt in self._catalog.runs.open_attempts():
            run = runs.setdefault(attempt.run, runs.get(attempt.run) or self._catalog.runs.get(attempt.run))
            if self._is_alive(run):
                continue
            if self._adopt(run, attempt):
                adopted.append(attempt.id)
            else:
                self._give_up(run, attempt)
        for run in self._catalog.runs.running():
            if dead(run, self._process_started):
                self._catalog.runs.end(run.id, "failed", self._clock.now())
                self._catalog.leases.release(self._held(run))
        return adopted

    def _is_alive(self, run: Run) -> bool:
        """A controller of this machine is alive while its process is; one elsewhere while its leases hold. None outlives its run."""
        if run.status != "running":
            return False
        if run.host == platform.node():
            return not dead(run, self._process_started)
        return any(lease.expires_at > self._clock.now() for lease in self._held(run))

    def _adopt(self, run: Run, attempt: Attempt) -> bool:
        """Commit what the attempt staged; False where there is nothing whole, or where another has its lease by now."""
        node, outcome, step = self._graph.nodes.get(attempt.step), self._staged(attempt), self._step(attempt)
        leases = self._leases(run, attempt, node)
        if node is None or outcome is None or step is None or not leases:
            return False
        now = self._clock.now()
        usage = Usage(wall_s=outcome.wall_s, cpu_s=outcome.cpu_s)
        ended = msgspec.structs.replace(attempt, status="done", ended_at=now, usage=usage, message="adopted by a later run")
        done = msgspec.structs.replace(step, status="done", result=attempt.id, ended_at=now)
        try:
            self._committer.commit([Done(node=node, attempt=ended, step=done, outcome=outcome, leases=leases)], run.moves_heads)
        except BusyError:
            return False
        return True

    def _give_up(self, run: Run, attempt: Attempt) -> None:
        """Undo what only the store knows of, and record that the attempt is lost."""
        node, now = self._graph.nodes.get(attempt.step), self._clock.now()
        for out in node.outputs if node is not None else ():
            if out.kind == "table":
                self._store.restore(out.artifact, self._catalog.artifacts.head(out.artifact), attempt.id)
        lost = msgspec.structs.replace(attempt, status="failed", cause="lost", message="its controller died", ended_at=now)
        step = self._step(attempt) or Step(run=attempt.run, name=attempt.step, part=attempt.part)
        self._catalog.fail(lost, msgspec.structs.replace(step, status="failed", why="its controller died", ended_at=now))
        self._catalog.leases.release(self._leases(run, attempt, node))
        self._store.unstage([attempt.id])

    def _staged(self, attempt: Attempt) -> Outcome | None:
        try:
            return self._store.staged(attempt.id)
        except CorruptError:
            return None

    def _step(self, attempt: Attempt) -> Step | None:
        return next((s for s in self._catalog.runs.steps(attempt.run) if (s.name, s.part) == (attempt.step, attempt.part)), None)

    def _leases(self, run: Run, attempt: Attempt, node: Node | None) -> tuple[Lease, ...]:
        """The leases of this attempt that its run still holds."""
        names = lease_names(node, attempt.part) if node is not None else []
        return tuple(lease for lease in self._held(run) if lease.name in names and lease.fence == attempt.fence)

    def _held(self, run: Run) -> list[Lease]:
        return [lease for lease in self._catalog.leases.held() if lease.holder == run.id]
