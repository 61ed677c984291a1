"""Committing outcomes: everything that follows from a step's result, in one catalog transaction.

Used by the run loop for what comes back and by recovery for what was found; both take the same path, from the Outcome that the
worker staged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.commit import Commit
from bedplate.core.check import Check
from bedplate.core.clock import Clock
from bedplate.core.errors import InternalError
from bedplate.core.records import Attempt, Event, Forecast, Lease, Outcome, Record, Step, Version
from bedplate.storage.store import Store

from .handlers import Handler
from .wiring.graph import Node


class Done(Record, frozen=True, kw_only=True):
    """An attempt that made something, ready to be committed. `attempt` has ended and carries its usage."""

    node: Node
    attempt: Attempt
    step: Step
    outcome: Outcome
    leases: tuple[Lease, ...] = ()
    forecasts: tuple[Forecast, ...] = ()


class Committer:
    """Turns outcomes into versions."""

    def __init__(self, catalog: Catalog, store: Store, handlers: Mapping[str, Handler], clock: Clock) -> None:
        self._catalog = catalog
        self._store = store
        self._handlers = handlers
        self._clock = clock

    def commit(self, done: Sequence[Done], moves_head: bool) -> list[tuple[Version, ...]]:
        """Commit all of them and give back their leases in one transaction, then forget what was staged.

        Raises BusyError where a lease was lost meanwhile (then nothing is committed).
        """
        commits = [self._commit(one, moves_head) for one in done]
        leases = [lease for one in done for lease in one.leases]

        def work() -> list[tuple[Version, ...]]:
            versions = self._catalog.commit(commits)
            self._catalog.leases.release(leases)
            return versions

        versions = self._catalog.together(work)
        self._store.unstage([one.attempt.id for one in done])
        return versions

    def _commit(self, done: Done, moves_head: bool) -> Commit:
        task = done.outcome.task
        if task is None:
            raise InternalError(f"the outcome of {done.attempt.id} does not carry its task")
        handler = self._handlers[done.node.declaration.decorator]
        now = self._clock.now()
        concluded = handler.conclude(done.node, done.outcome.drafts, task.inputs, done.attempt.id, now)
        events = (Event(kind="check.failed", subject=done.node.name, at=now),) if _failed(done.outcome) else ()
        return Commit(
            step=done.step,
            attempt=done.attempt,
            drafts=done.outcome.drafts,
            noted=done.outcome.noted,
            lease=done.leases[0] if done.leases else None,
            moves_head=moves_head,
            inputs=task.inputs,
            source_entries=task.sources,
            verdict=concluded.verdict,
            forecasts=done.forecasts,
            events=events,
        )


def lease_names(node: Node, part: str) -> list[str]:
    """The leases that a step (or one part of it) writes under: one per artifact."""
    return [f"{out.artifact}[{part}]" if part else out.artifact for out in node.outputs]


def check_of(version: Version) -> Check | None:
    """The Check that a version holds; None for another kind."""
    return msgspec.json.decode(version.value, type=Check) if version.kind == "check" and version.value else None


def _failed(outcome: Outcome) -> bool:
    checks = [msgspec.json.decode(d.value, type=Check) for d in outcome.drafts if d.kind == "check" and d.value]
    return any(not check.passed for check in checks)
