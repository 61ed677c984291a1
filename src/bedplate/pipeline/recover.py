"""Recovery: what earlier controllers left running when they died.

For every attempt that the record still calls running and whose controller is gone: if its outcome is staged, it is committed as it
would have been (adopted); else a table commit that only the store knows of is undone, and the attempt is lost. Finished steps
stay finished; half-written bytes stay invisible (invariant 3).
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import Clock
from bedplate.core.errors import BusyError
from bedplate.core.records import Attempt, Lease, Run, Step, Usage
from bedplate.storage.store import Store

from .commit import Committer, Done, lease_names
from .graph import Graph

_SAME_START_S = 2.0


def recover(
    catalog: Catalog,
    store: Store,
    committer: Committer,
    graph: Graph,
    clock: Clock,
    process_started: Callable[[int], float | None],
    emit: Callable[[Any], None],
) -> list[str]:
    """Adopt or give up what dead controllers left; returns the attempts that were adopted."""
    adopted = []
    runs: dict[str, Run] = {}
    for attempt in catalog.runs.open_attempts():
        run = runs.get(attempt.run) or catalog.runs.get(attempt.run)
        runs[run.id] = run
        if _alive(run, attempt, catalog, clock, process_started):
            continue
        if _adopt(catalog, store, committer, graph, clock, run, attempt):
            adopted.append(attempt.id)
    for run in catalog.runs.running():
        if dead(run, process_started):
            catalog.runs.end(run.id, "failed", clock.now())
            catalog.leases.release(_held(catalog, run.id))
    return adopted


def dead(run: Run, process_started: Callable[[int], float | None]) -> bool:
    """Whether the run's process, on this machine, is gone."""
    if run.host != platform.node():
        return False
    started = process_started(run.pid)
    return started is None or abs(started - run.process_started) > _SAME_START_S


def _alive(run: Run, attempt: Attempt, catalog: Catalog, clock: Clock, process_started: Callable[[int], float | None]) -> bool:
    """A controller of this machine is alive while its process is; one elsewhere while its leases hold."""
    if run.host == platform.node():
        return not dead(run, process_started)
    return any(lease.expires_at > clock.now() for lease in _held(catalog, run.id))


def _adopt(catalog: Catalog, store: Store, committer: Committer, graph: Graph, clock: Clock, run: Run, attempt: Attempt) -> bool:
    node = graph.nodes.get(attempt.step)
    outcome = store.staged(attempt.id)
    step = next((s for s in catalog.runs.steps(attempt.run) if (s.name, s.part) == (attempt.step, attempt.part)), None)
    names = lease_names(node, attempt.part) if node is not None else []
    leases = tuple(lease for lease in _held(catalog, run.id) if lease.name in names and lease.fence == attempt.fence)
    now = clock.now()
    if outcome is not None and node is not None and step is not None and leases:
        usage = Usage(wall_s=outcome.wall_s, cpu_s=outcome.cpu_s)
        ended = msgspec.structs.replace(attempt, status="done", ended_at=now, usage=usage, message="adopted by a later run")
        done = msgspec.structs.replace(step, status="done", result=attempt.id, ended_at=now)
        try:
            committer.commit([Done(node=node, attempt=ended, step=done, outcome=outcome, leases=leases)], run.moves_heads)
            return True
        except BusyError:
            pass
    if node is not None:
        for out in node.outputs:
            if out.kind == "table":
                store.restore(out.artifact, catalog.artifacts.head(out.artifact), attempt.id)
    lost = msgspec.structs.replace(attempt, status="failed", cause="lost", message="its controller died", ended_at=now)
    failed = step or Step(run=attempt.run, name=attempt.step, part=attempt.part)
    catalog.fail(lost, msgspec.structs.replace(failed, status="failed", why="its controller died", ended_at=now))
    catalog.leases.release(leases)
    store.unstage([attempt.id])
    return False


def _held(catalog: Catalog, holder: str) -> list[Lease]:
    return [lease for lease in catalog.leases.held() if lease.holder == holder]
