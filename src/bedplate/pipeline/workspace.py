"""Workspace: one project on one target, as a notebook or a verb uses it.

`bedplate.open(".")` gives one. It reads the record (`project["late"].load()`), plans and runs; it holds the parts that assembly picked and
makes an executor only when something has to run.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.compute.executor import Executor
from bedplate.core.clock import Clock
from bedplate.core.config import Config
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.core.ids import new_id
from bedplate.core.kinds import View
from bedplate.core.records import Record, Run, Step, Version
from bedplate.core.units import seconds
from bedplate.planner.budget import standing
from bedplate.planner.history import cost
from bedplate.storage.gc import GcReport
from bedplate.storage.store import Store

from .cache import Keyer
from .commit import Committer
from .compare import Difference, Made, Rerun, diff, notes, step_of
from .decide import Decider
from .graph import Graph, Node
from .handlers import Handler, ListSource
from .load import Loaded
from .plan import Planned, plan
from .recover import dead, recover
from .run import Runner, Summary
from .served import served
from .starting import Said, Site, Starter

RUNS = ("ingest", "prepare", "features", "train", "check", "step")
"""Decorators whose functions `run` makes; services are served, watches are watched."""


class Parts(Record, frozen=True, kw_only=True):
    """What assembly picked for a workspace."""

    config: Config
    loaded: Loaded
    graph: Graph
    catalog: Catalog
    store: Store
    clock: Clock
    random_bits: Callable[[int], int]
    handlers: Mapping[str, Handler]
    list_source: ListSource
    executor: Callable[[], Executor]
    """Makes the target's executor."""
    process_started: Callable[[int], float | None]
    """When a process of this machine started (seconds since the epoch); None where there is none."""
    warehouse: Callable[[str], Any]


class Request(Record, frozen=True, kw_only=True):
    """What to run: `names` (empty: everything), `settings` by step, `fresh` to ignore the cache, `only` to leave out what they need.

    `side`: heads do not move.
    """

    names: tuple[str, ...] = ()
    settings: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    fresh: bool = False
    only: bool = False
    side: bool = False
    command: str = ""


class Why(Record, frozen=True, kw_only=True):
    """How a step last ended and why (None: never), and what a run would do about it now."""

    name: str
    last: Step | None
    now: Planned


class Workspace:
    """A project, its record and its bytes."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.config = parts.config
        self.graph = parts.graph
        self.catalog = parts.catalog
        self.store = parts.store
        self.clock = parts.clock
        self._runner: Runner | None = None

    def __repr__(self) -> str:
        return f"Workspace({self.graph.project_name!r}, target={self.config.target!r})"

    def __getitem__(self, name: str) -> Held:
        """What is kept under an artifact's name."""
        self.graph.node(name)
        return Held(self, name)

    def run(
        self,
        *names: str,
        settings: Mapping[str, Any] | None = None,
        fresh: bool = False,
        only: bool = False,
        command: str = "bedplate.open().run()",
        emit: Callable[[Said], None] = lambda _: None,
    ) -> Summary:
        """Make what is out of date, or only `names` and what they need.

        `settings` maps `step.setting` to a value (then the versions are side versions: heads do not move). Failures of steps are in the
        Summary. Raises UserError for unknown names or settings.
        """
        request = Request(names=names, settings=self.read_settings(settings or {}), fresh=fresh, only=only, command=command)
        return self.start(request, emit)

    def plan(self, *names: str, settings: Mapping[str, Any] | None = None, fresh: bool = False, only: bool = False) -> tuple[Planned, ...]:
        """What `run` would do and why, with what it should take; nothing is run."""
        request = Request(names=names, settings=self.read_settings(settings or {}), fresh=fresh, only=only)
        chosen = self.chosen(request)
        return plan(self.catalog, self.graph, self.decider(request, chosen), chosen)

    def why(self, name: str) -> Why:
        """Why a step ran or was skipped last, and what would become of it now. Raises NotFound."""
        node = self.graph.node(name)
        chosen = tuple(n for n in self.graph.nodes if n in {node.name, *self.graph.upstream(node.name)})
        planned = plan(self.catalog, self.graph, self.decider(Request(), chosen), chosen)
        now = next(one for one in planned if one.name == node.name)
        return Why(name=node.name, last=self.catalog.runs.last_step(node.name), now=now)

    def sql(self, query: str) -> Any:
        """A Polars frame of what the warehouse answers (`bedplate sql`)."""
        return self.parts.warehouse(query)

    def diff(self, before: str, after: str) -> tuple[Difference, ...]:
        """What differs between two versions of an artifact, or two runs."""
        return diff(self.catalog, before, after)

    def rerun(self, ref: str, emit: Callable[[Said], None] = lambda _: None) -> Rerun:
        """Run an attempt (or what made a version) again on the inputs it had; heads do not move. Raises NotFound."""
        attempt = self.catalog.runs.attempt(ref if ref.startswith("a-") else self.catalog.artifacts.get(ref).attempt)
        before = step_of(self.catalog, attempt.id)
        given = before.key_parts if before is not None else None
        node = self.graph.node(attempt.step)
        pinned = {node_input: v for node_input, v in (given.versions if given else {}).items() if v}
        kept = [wire for wire in node.by_role("artifact") if wire.name in pinned and wire.kind != "service"]
        made = {wire.artifact: self.catalog.artifacts.get(pinned[wire.name]) for wire in kept}
        request = Request(
            names=(node.name,),
            settings={node.name: given.settings if given else {}},
            fresh=True,
            only=True,
            side=True,
            command=f"bedplate rerun {ref}",
        )
        summary = self.start(request, emit, made)
        outputs = tuple(
            Made(artifact=v.artifact, before=v.digest, after=summary.versions[v.artifact].digest)
            for v in self.catalog.artifacts.by_attempt(attempt.id)
            if v.artifact in summary.versions
        )
        now = next((step for step in summary.steps if step.name == node.name), None)
        return Rerun(attempt=attempt.id, outputs=outputs, notes=(*notes(now, before), *summary.failures.values()))

    def gc(self, older: timedelta, *, dry_run: bool = False) -> GcReport:
        """Collect bytes that nothing refers to and that are older than `older` and than every attempt that may still commit them."""
        lease = timedelta(seconds=seconds(self.config["lease"]))
        begun = [attempt.started_at for attempt in self.catalog.runs.open_attempts()]
        older_than = min([self.clock.now() - max(older, 2 * lease), *begun])
        return self.store.gc(self.catalog.artifacts.referenced(), older_than, dry_run, self.catalog.runs.kept_files())

    def is_running(self, run: Run) -> bool:
        """Whether the controller of a run of this machine is alive."""
        return not dead(run, self.parts.process_started)

    def start(self, request: Request, emit: Callable[[Said], None], given: Mapping[str, Version] | None = None) -> Summary:
        """Run a request; what it says goes to `emit`. `given` are versions to use instead of the heads."""
        chosen = self.chosen(request)
        self._within_budget(request, chosen)
        committer = Committer(self.catalog, self.store, self.parts.handlers, self.clock)
        recover(self.catalog, self.store, committer, self.graph, self.clock, self.parts.process_started, emit)
        executor = self.parts.executor()
        site = Site(
            catalog=self.catalog,
            store=self.store,
            executor=executor,
            clock=self.clock,
            random_bits=self.parts.random_bits,
            emit=emit,
            logs=self.config.state / "logs",
            lease_s=seconds(self.config["lease"]),
            price_per_hour=_price(self.config["price"]),
        )
        run = self._new_run(request)
        starter = Starter(site, self.graph, run, self.config.project_file, self._is_dead)
        runner = Runner(site, self.graph, self.decider(request, chosen), committer, starter, run)
        self._runner = runner
        try:
            return runner.run(chosen, given or {})
        finally:
            self._runner = None
            executor.close()

    def stop(self) -> None:
        """Ask the run that is going on in this process to stop cleanly. Safe in a signal handler."""
        if self._runner is not None:
            self._runner.stop()

    def chosen(self, request: Request) -> tuple[str, ...]:
        """The steps that a request is about, in order. Raises NotFound, or UserError for a service."""
        if not request.names:
            return tuple(name for name, node in self.graph.nodes.items() if node.declaration.decorator in RUNS)
        wanted: set[str] = set()
        for name in request.names:
            node = self.graph.node(name)
            if node.declaration.decorator == "service":
                raise UserError(f"{node.name} is a service", why="a service is served, not run", next=f"bedplate serve {node.name}")
            wanted.add(node.name)
            if not request.only:
                wanted.update(self.graph.upstream(node.name))
        return tuple(name for name in self.graph.nodes if name in wanted)

    def decider(self, request: Request, chosen: Iterable[str]) -> Decider:
        """What decides run or skip for a request; `fresh` forces the steps named, or all."""
        forced = frozenset(self.graph.node(name).name for name in request.names or chosen) if request.fresh else frozenset[str]()
        keyer = Keyer(self.parts.loaded, self.graph, request.settings)
        return Decider(
            catalog=self.catalog,
            store=self.store,
            graph=self.graph,
            keyer=keyer,
            list_source=self.parts.list_source,
            folder=self.config.folder,
            clock=self.clock,
            forced=forced,
        )

    def read_settings(self, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """`{"late.num_leaves": 63}` by step, each value converted to the setting's type. Raises UserError."""
        found: dict[str, dict[str, Any]] = {}
        for name, value in given.items():
            step, _, setting = name.partition(".")
            node = self.graph.node(step)
            wire = node.wire(setting)
            if wire is None or wire.role != "setting":
                known = ", ".join(f"{node.name}.{w.name}" for w in node.by_role("setting")) or "it has none"
                raise UserError(f"{node.name} has no setting '{setting}'", why=f"its settings: {known}", next="bedplate lint")
            found.setdefault(node.name, {})[setting] = _convert(name, value, wire.hint)
        return found

    def _within_budget(self, request: Request, chosen: Iterable[str]) -> None:
        """Raises Refused where the project's budget does not allow the plan; a target without a price costs nothing."""
        budget, price = self.parts.loaded.project.budget, _price(self.config["price"])
        if budget is None or price <= 0:
            return
        planned = plan(self.catalog, self.graph, self.decider(request, chosen), chosen)
        costs = [cost(one.forecasts[0], price) for one in planned if one.action == "run" and one.forecasts]
        since = self.clock.now() - timedelta(seconds=budget.period_s)
        stands = standing(budget, self.catalog.runs.cost_since(since), costs)
        if costs and stands.refusal:
            raise Refused(
                f"the budget of {self.graph.project_name} does not allow this",
                why=stands.refusal,
                next="raise budget= in Project(...), or wait: bedplate sql 'select * from costs'",
            )

    def _is_dead(self, run_id: str) -> bool:
        """Whether the controller of a run is known to be gone."""
        return not self.is_running(self.catalog.runs.get(run_id))

    def _new_run(self, request: Request) -> Run:
        now = self.clock.now()
        commit, dirty = git_state(self.config.folder)
        pid = os.getpid()
        return Run(
            id=new_id("r", now, self.parts.random_bits),
            project=self.graph.project_name,
            target=self.config.target,
            command=request.command,
            started_at=now,
            settings={f"{s}.{k}": v for s, values in request.settings.items() for k, v in values.items()},
            moves_heads=not request.settings and not request.side,
            git_commit=commit,
            git_dirty=dirty,
            host=platform.node(),
            pid=pid,
            process_started=self.parts.process_started(pid) or 0.0,
        )


class Held:
    """What is kept under one artifact's name."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self.name = name

    @property
    def versions(self) -> list[Version]:
        """Its versions, newest first."""
        return self._workspace.catalog.artifacts.versions(self.name)

    def load(self, version: int | str | None = None, view: View | None = None) -> Any:
        """A version (the head without one; a number, alias or digest) as `view`, by default the kind's own.

        Of a service: everything that it has predicted, with the labels that are known. Raises NotFound.
        """
        ref = self.name if version is None else f"{self.name}@{version}"
        found = self._predictions() or self._workspace.catalog.artifacts.get(ref)
        return self._workspace.store.load(found, view or default_view(found), feature_spec(self._workspace.graph, self.name))

    def _predictions(self) -> Version | None:
        """The logs of a service; None for what is none. Raises NotFound where it has predicted nothing."""
        workspace = self._workspace
        if workspace.graph.node(self.name).declaration.decorator != "service":
            return None
        found = served(workspace.store, self.name, workspace.clock.now())
        if found is None:
            raise NotFound(f"'{self.name}' has predicted nothing yet", next=f"bedplate serve {self.name}")
        return found


def default_view(version: Version) -> View:
    """How a kind is handed over where nothing else is asked for."""
    views: dict[str, View] = {
        "table": "polars",
        "files": "files",
        "model": "model",
        "check": "check",
        "scalar": "scalar",
        "pickle": "pickle",
        "service": "polars",
    }
    return views[version.kind]


def feature_spec(graph: Graph, artifact: str) -> dict[str, Any]:
    """How a features artifact is keyed, as the store wants it; empty for any other."""
    node: Node | None = graph.nodes.get(graph.makers.get(artifact, ""))
    return msgspec.to_builtins(node.declaration.features) if node is not None and node.declaration.features else {}


def git_state(folder: Path) -> tuple[str, bool]:
    """The commit that a folder is at, and whether its files differ from it; empty outside a repository."""
    try:
        done = subprocess.run(
            ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "", False
    lines = done.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), "")
    return ("" if commit == "(initial)" else commit), any(not line.startswith("#") for line in lines)


def _convert(name: str, value: Any, hint: Any) -> Any:
    """The value as the setting's type; text from the command line may be its JSON (`{"a": 1}`, `[1, 2]`)."""
    try:
        return msgspec.convert(value, hint, strict=False) if hint is not None else value
    except msgspec.ValidationError as error:
        with suppress(msgspec.DecodeError):
            if isinstance(value, str):
                return msgspec.json.decode(value, type=hint)
        raise UserError(f"{name}={value!r} is not right", why=str(error), next="bedplate lint shows each setting and its type") from error


def _price(text: str) -> float:
    """Dollars an hour from `3.2 USD/hour`."""
    amount = text.partition("/")[0].split()
    try:
        return float(amount[0])
    except (IndexError, ValueError) as error:
        raise UserError(f"price = '{text}' is not a price", next="write '3.2 USD/hour'") from error
