"""Starting attempts: take the leases, make the attempt and the task, hand the job to the executor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.compute.executor import Executor, Job
from bedplate.core.clock import Clock
from bedplate.core.digests import of_json
from bedplate.core.ids import new_id
from bedplate.core.records import Attempt, Forecast, Lease, Record, Run, Task
from bedplate.storage.store import Store

from .cache import code_digest
from .code.closure import files_of, seed
from .code.load import Loaded
from .commit import lease_names
from .decide import Decision
from .execute import deadline, known_secrets
from .plan import Expect, expected_of, forecasts
from .wiring.graph import Graph, Node


class Said(Record, frozen=True, kw_only=True):
    """Something that a run says as it goes, for whoever shows it: `kind` as `step.started`."""

    kind: str
    step: str = ""
    part: str = ""
    text: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class Site(Record, frozen=True, kw_only=True):
    """Where a run happens: the parts that assembly picked. `logs` is a folder; `lease_s` seconds."""

    catalog: Catalog
    store: Store
    executor: Executor
    clock: Clock
    random_bits: Callable[[int], int]
    emit: Callable[[Said], None]
    logs: Path
    lease_s: float
    price_per_hour: float = 0.0
    expect: Expect | None = None


class Doing(Record, frozen=True, kw_only=True):
    """An attempt that is under way, with what was predicted of it; `warning` where its workload does not fit the target's machines."""

    decision: Decision
    attempt: Attempt
    node: Node
    leases: tuple[Lease, ...]
    forecasts: tuple[Forecast, ...] = ()
    warning: str = ""


class Starter:
    """Starts attempts of one run."""

    def __init__(self, site: Site, graph: Graph, run: Run, loaded: Loaded, holder_is_dead: Callable[[str], bool]) -> None:
        self._site = site
        self._graph = graph
        self._run = run
        self._loaded = loaded
        self._stamp = loaded.stamp
        self._holder_is_dead = holder_is_dead
        self._numbers: dict[tuple[str, str], int] = {}
        self._forecasts: dict[str, tuple[Forecast, ...]] = {}
        self._warnings: dict[str, str] = {}
        self._files: dict[str, dict[str, tuple[int, int]]] = {}

    def prepare(self, decision: Decision) -> Doing | None:
        """An attempt with its leases; None where another run is making the same. Changes nothing but the catalog."""
        node = self._graph.nodes[decision.name]
        leases = self._lease(lease_names(node, decision.part))
        if leases is None:
            return None
        number = self._numbers.get((decision.name, decision.part), 0) + 1
        if decision.name not in self._forecasts:
            expected = expected_of(node, self._site.expect)
            self._forecasts[decision.name] = forecasts(self._site.catalog, decision.name, expected)
            self._warnings[decision.name] = expected.warning if expected else ""
        now = self._site.clock.now()
        label = f"{decision.name}.{decision.part}" if decision.part else decision.name
        attempt = Attempt(
            id=new_id("a", now, self._site.random_bits),
            run=self._run.id,
            step=decision.name,
            part=decision.part,
            number=number,
            fence=leases[0].fence if leases else 0,
            started_at=now,
            log=f"{self._run.id}/{label.replace('/', '_')}.{number}.log",
        )
        return Doing(
            decision=decision, attempt=attempt, node=node, leases=tuple(leases), forecasts=self._forecasts[decision.name],
            warning=self._warnings[decision.name],
        )  # fmt: skip

    def launch(self, doing: Doing) -> None:
        """Hand the attempt to the executor."""
        decision, attempt, needs = doing.decision, doing.attempt, doing.decision.needs or doing.node.declaration.needs
        self._numbers[decision.name, decision.part] = attempt.number
        names = lease_names(doing.node, decision.part)
        for version in decision.spoilt:
            self._site.store.shed(version)
        heads = {name: head for name in names if (head := self._site.catalog.artifacts.head(name)) is not None}
        task = Task(
            attempt=attempt.id,
            run=self._run.id,
            step=decision.name,
            part=decision.part,
            project_file=str(self._loaded.file),
            target=self._run.target,
            code=code_digest(decision.key_parts.code) if decision.key_parts else "",
            stamp=self._stamp,
            files=self._late(decision),
            inputs=decision.inputs,
            settings=decision.key_parts.settings if decision.key_parts else {},
            sources=decision.sources,
            prior=heads,
            seen=decision.seen,
            cache_key=decision.cache_key,
            seed=seed(decision.cache_key),
            combine=decision.combine,
            deadline=deadline(attempt.started_at, needs.time_s),
            world=doing.node.declaration.workers,
        )
        job = Job(
            id=attempt.id, payload=msgspec.json.encode(task), needs=needs, log=self._site.logs / attempt.log, name=decision.name,
            secrets=known_secrets(doing.node), fingerprint=of_json([self._stamp, sorted(task.files.items())]),
        )  # fmt: skip
        self._site.executor.start(job)

    def _late(self, decision: Decision) -> dict[str, tuple[int, int]]:
        """The files of a step's code that nobody has imported when the project is loaded."""
        if decision.name not in self._files:
            parts = decision.key_parts.code if decision.key_parts else ()
            files = files_of(parts, [self._loaded.file.parent])
            self._files[decision.name] = {name: stat for name, stat in files.items() if name not in self._loaded.read}
        return self._files[decision.name]

    def _lease(self, names: list[str]) -> list[Lease] | None:
        """The leases on all names, taking them from runs that are known to be dead; None while another holds one."""
        catalog, now, ttl = self._site.catalog, self._site.clock.now(), self._site.lease_s
        if (got := catalog.leases.acquire_many(names, self._run.id, now, ttl)) is not None:
            return got
        for name in names:
            held = catalog.leases.holder(name)
            if held is not None and held.holder != self._run.id and self._holder_is_dead(held.holder):
                catalog.leases.steal(held, self._run.id, now, ttl)
        return catalog.leases.acquire_many(names, self._run.id, now, ttl)
