"""Workspace: one project on one target, as a notebook or a verb uses it.

`bedplate.open(".")` gives one. It reads the record (`project["late"].load()`), plans and runs; it holds the parts that assembly picked and
makes an executor only when something has to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.compute.executor import Executor
from bedplate.core.clock import Clock
from bedplate.core.config import Config
from bedplate.core.errors import NotFound, ProjectError, UserError
from bedplate.core.ids import new_id
from bedplate.core.records import Promotion, Record, Run, Step
from bedplate.core.units import dollars_per_hour, seconds
from bedplate.planner.rollout.rule import Rule, Way
from bedplate.storage.gc import GcReport
from bedplate.storage.online import OnlineStore
from bedplate.storage.store import Store

from . import owner, standing
from .account import Summary
from .cache import Keyer
from .code.load import Loaded
from .commit import Committer
from .compare import Difference, Rerun, diff, step_of
from .decide import Decider
from .handlers import Handler, ListSource
from .held import Held
from .plan import Expect, Planned, plan, services
from .provenance import begun
from .recover import Recovery, dead
from .request import RUNS, Request, chosen, complete, forced, part_of, parted, read_settings
from .rerun import attempt_of, compared, request_of
from .run import Runner
from .spending import Purse, paying, within_budget
from .standing import Status
from .starting import Said, Site, Starter
from .warm import Warm
from .why import AGAIN, DUE, FORCED
from .wiring.graph import Graph, Node


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
    executor: Callable[[Callable[[], bool]], Executor]
    """Makes the target's executor, given what says whether the run was asked to stop."""
    process_started: Callable[[int], float | None]
    """When a process of this machine started (seconds since the epoch); None where there is none."""
    warehouse: Callable[[str], Any]
    online: Callable[[], OnlineStore]
    """Opens where a server reads features as of now."""
    expect: Expect | None = None
    """What the planner says of a declared workload; None where the target declares no machines."""
    tell: Callable[[str], None] = lambda _run: None
    """Tells other tools of a run that has ended, by its id."""


class Why(Record, frozen=True, kw_only=True):
    """How a step (or one part of it) last got through and why (None: never), and what a run would do about it now.

    Where it was skipped, `made` is the step that made what there is; where it failed since, `failed` is that.
    """

    name: str
    last: Step | None
    now: Planned
    made: Step | None = None
    failed: Step | None = None

    def __repr__(self) -> str:
        return f"<why {self.name}: {self.now.action}, {self.now.why}>"


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
        self.warm = Warm(lambda: self.parts.executor(lambda: self._runner is not None and self._runner.stopping))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.graph.project_name!r}, target={self.config.target!r})"

    def __getitem__(self, name: str) -> Held:
        """What is kept under the name of an artifact: of the project, or of a model that a client registered."""
        standing.known(self.catalog, self.graph, name)
        return Held(name, graph=self.graph, catalog=self.catalog, store=self.store, clock=self.clock)

    def run(
        self,
        *names: str,
        settings: Mapping[str, Any] | None = None,
        fresh: bool = False,
        only: bool = False,
        emit: Callable[[Said], None] | None = None,
    ) -> Summary:
        """Make what is out of date, or only `names` and what they need (`only`: without what they need; `fresh`: changed or not).

        `settings` maps `step.setting` to a value (then the versions are side versions: heads do not move); `emit` hears what happens as it
        does. Failures of steps are in the Summary. Raises UserError for unknown names or settings.
        """
        read = read_settings(self.graph, settings or {})
        return self.start(Request(names=names, settings=read, fresh=fresh, only=only, command="bedplate.open().run()"), emit)

    def plan(self, *names: str, settings: Mapping[str, Any] | None = None, fresh: bool = False, only: bool = False) -> tuple[Planned, ...]:
        """What `run` would do and why, with what it should take; nothing is run. Without names, services with a workload come last."""
        settings = read_settings(self.graph, settings or {})
        request = parted(self.graph, Request(names=names, settings=settings, fresh=fresh, only=only))
        steps = chosen(self.graph, request)
        expect = self.parts.expect
        planned = plan(self.catalog, self.graph, self._decider(request, steps), steps, expect)
        return planned if names else planned + services(self.graph, expect)

    def why(self, name: str) -> Why:
        """Why a step, or a part of it (`orders[2025-01-31]`), ran or was skipped last, and what a run would do now. Raises NotFound."""
        node, part = part_of(self.graph, name)
        planned = self.plan(node.name) if node.declaration.decorator in RUNS else self.plan(node.name, only=True)
        now = next((one for one in planned if one.name == node.name and part in ("", one.part)), None)
        if now is None:
            raise NotFound(f"{node.name} has no part '{part}'", next=f"bedplate plan {node.name}")
        runs = self.catalog.runs
        last, failed = runs.last_step(node.name, part), runs.failed_step(node.name, part)
        made = step_of(self.catalog, last.result) if last is not None and last.status == "skipped" and last.result else None
        since = failed if failed is not None and failed.ended_at and (last is None or _ended(failed) > _ended(last)) else None
        return Why(name=name if part else node.name, last=last, now=now, made=made, failed=since)

    def status(self, runs: int = 10) -> Status:
        """What exists, what is promoted, the last `runs` runs, what is served and which steps failed (`bedplate status`)."""
        return standing.status(self.catalog, runs)

    def promote(self, ref: str, alias: str = "production", reason: str = "") -> Promotion:
        """Give a model version (`late@7`) an alias, whatever its checks said; it frees a version that was rolled back from.

        Returns the move, with the version `before`. Raises NotFound, and UserError for what is no model or names no version.
        """
        return standing.promote(self.catalog, ref, alias, reason, self.clock.now())

    def roll_out(self, ref: str, way: Way, rule: Rule, reason: str = "") -> Promotion:
        """Try a model version (`late@7`) beside the one in production, as canary or shadow, by a rule (`planner.rollout.rule.asked`).

        Servers judge it, and promote it or roll it back. Raises as `promote`, and Refused without another version in production.
        """
        return standing.roll_out(self.catalog, ref, way, rule, reason, self.clock.now())

    def rollback(self, model: str, alias: str = "production", reason: str = "") -> Promotion:
        """Take a model's alias back to the version before, and bar the one left from promotion by a check.

        Raises NotFound without that alias, Refused where there is nothing to go back to.
        """
        return standing.rollback(self.catalog, self.graph, model, alias, reason, self.clock.now())

    def sql(self, query: str) -> Any:
        """A Polars frame of what the warehouse answers (`bedplate sql`)."""
        return self.parts.warehouse(query)

    def diff(self, before: str, after: str) -> tuple[Difference, ...]:
        """What differs between two versions of an artifact, or two runs."""
        return diff(self.catalog, before, after)

    def rerun(self, ref: str, emit: Callable[[Said], None] | None = None) -> Rerun:
        """Run an attempt (or what made a version) again on the inputs it had; heads do not move. Raises NotFound, UserError."""
        attempt = attempt_of(self.catalog, ref)
        return compared(self.catalog, attempt, self.start(request_of(self.catalog, self.graph, attempt), emit))

    def gc(self, older: timedelta, *, dry_run: bool = False) -> GcReport:
        """Collect bytes that nothing refers to and that are older than `older` and than every attempt that may still commit them.

        What clients deleted before that leaves the record and gives its files back; what they brought back since is whole.
        """
        lease = timedelta(seconds=seconds(self.config["lease"]))
        begun = [attempt.started_at for attempt in self.catalog.runs.open_attempts()]
        older_than = min([self.clock.now() - max(older, 2 * lease), *begun])
        before_ms = int(older_than.timestamp() * 1000)
        gone = self.catalog.tracking.gone
        forgotten = gone.counted(before_ms) if dry_run else gone.forget(before_ms)
        report = self.store.gc(self.catalog.artifacts.referenced(), older_than, dry_run, self.catalog.kept_files(before_ms))
        return msgspec.structs.replace(report, forgotten=msgspec.structs.asdict(forgotten))

    def is_running(self, run: Run) -> bool:
        """Whether the controller of a run of this machine is alive."""
        return not dead(run, self.parts.process_started)

    def start(self, request: Request, emit: Callable[[Said], None] | None) -> Summary:
        """Run a request; what it says goes to `emit`. Raises UserError, and Refused where the budget does not allow it."""
        request = parted(self.graph, request)
        names = chosen(self.graph, request)
        price = dollars_per_hour(self.config["price"])
        decider = self._decider(request, names)
        planned = plan(self.catalog, self.graph, decider, names, self.parts.expect) if price > 0 else ()
        low = within_budget(self.parts.loaded.project, planned, price, self.catalog, self.clock.now())
        committer = self.recover()
        now = self.clock.now()
        owner.take(self.catalog, self.graph.project_name, self.config.project_file, now)
        run_id = new_id("r", now, self.parts.random_bits)
        run = begun(run_id, request, self.graph.project_name, self.config, now, self.parts.process_started)
        purse = self._purse(run_id) if any(one.action in ("run", "maybe") for one in planned) else None
        with self.warm.executor() as executor:
            site = self._site(executor, emit or _unheard, price)
            starter = Starter(site, self.graph, run, self.parts.loaded, self._is_dead)
            runner = Runner(site, self.graph, decider, committer, starter, run)
            try:
                with paying(purse, low, runner.stop_once):
                    self._runner = runner
                    summary = runner.run(names)
                self.parts.tell(run_id)
                return summary
            finally:
                self._runner = None

    def recover(self) -> Committer:
        """Adopt or give up what processes that died have left; gives what commits from here on."""
        committer = Committer(self.catalog, self.store, self.parts.handlers, self.clock)
        Recovery(self.catalog, self.store, committer, self.graph, self.clock, self.parts.process_started).recover()
        return committer

    def _site(self, executor: Executor, emit: Callable[[Said], None], price: float) -> Site:
        return Site(
            catalog=self.catalog,
            store=self.store,
            executor=executor,
            clock=self.clock,
            random_bits=self.parts.random_bits,
            emit=emit,
            logs=self.config.state / "logs",
            lease_s=seconds(self.config["lease"]),
            price_per_hour=price,
            expect=self.parts.expect,
        )

    def _purse(self, spender: str) -> Purse | None:
        """What a spender may spend of the project's budget; None where there is none, or time on this target costs nothing."""
        price, project = dollars_per_hour(self.config["price"]), self.parts.loaded.project
        if not price or project.budget is None:
            return None
        beat_s = seconds(self.config["lease"]) / 3
        return Purse(self.catalog, project, price=price, clock=self.clock, spender=spender, interval_s=beat_s)

    def stop(self, why: str = "") -> None:
        """Ask the run that is going on in this process to stop cleanly; `why` goes on record. Safe in a signal handler."""
        if self._runner is not None:
            self._runner.stop(why)

    def stop_once(self, why: str) -> None:
        """Ask the run of this process to stop cleanly, unless it was; from any thread."""
        if self._runner is not None:
            self._runner.stop_once(why)

    def _decider(self, request: Request, names: tuple[str, ...]) -> Decider:
        """What decides run or skip for a request about these steps. Raises UserError where the project was edited since it was loaded."""
        _refuse(self.parts.loaded.changed())
        complete(self.graph, request, names)
        keyer = Keyer(self.parts.loaded, self.graph, request.settings)
        for name in names:
            _follow(keyer, self.graph.nodes[name])  # all of it now: the files may be edited while the run goes on
        _refuse(keyer.edited())
        return Decider(
            catalog=self.catalog,
            store=self.store,
            graph=self.graph,
            keyer=keyer,
            list_source=self.parts.list_source,
            folder=self.config.folder,
            clock=self.clock,
            forced=forced(self.graph, request, names),
            forced_as=AGAIN if request.again else DUE if request.anew else FORCED,
            pinned=request.pinned,
            parts=request.parts,
            due=frozenset(request.due),
        )

    def _is_dead(self, run_id: str) -> bool:
        """Whether the controller of a run is known to be gone."""
        return not self.is_running(self.catalog.runs.get(run_id))


def _refuse(changed: list[str]) -> None:
    if changed:
        raise UserError(
            f"{', '.join(changed)} changed since the project was opened",
            why="what is in memory is the code of before",
            next="open it again: bedplate.open(...)",
        )


def _follow(keyer: Keyer, node: Node) -> None:
    try:
        keyer.code(node)
    except RecursionError as error:
        declared = node.declaration
        raise ProjectError(
            f"{declared.file}:{declared.line}: the code of {node.name} is nested too deep to follow",
            why="an expression in it, or in what it reaches, has hundreds of parts",
            next="write it as data, or split it",
        ) from error


def _ended(step: Step) -> datetime:
    return step.ended_at or step.started_at or datetime.min.replace(tzinfo=UTC)


def _unheard(_said: Said) -> None:
    """Nobody listens."""
