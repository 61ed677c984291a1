"""The only file that picks concrete parts: `build(config)` makes a Workspace, `worker_handler` what a worker runs.

Parts are chosen by the URLs in the configuration and loaded by module name, so that nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import functools
import importlib
import os
import random
import sys
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from .catalog.catalog import Catalog
from .catalog.database import Database
from .catalog.places import database_at
from .compute import machine
from .compute.executor import Executor, Handle
from .core.clock import MACHINE, SystemClock, clock_of
from .core.config import Config, resolve
from .core.config import watts as read_watts
from .core.errors import CorruptError, UserError
from .core.extras import load
from .core.kinds import Kind
from .core.records import Outcome, Task
from .core.units import byte_count, dollars_per_hour, seconds
from .core.workload import Workload, machines
from .network.asking import Asking
from .pipeline.ask import known
from .pipeline.ask import tables as ask_tables
from .pipeline.code.behind import Behind
from .pipeline.code.load import Loaded, find_project, load_project
from .pipeline.code.origin import is_installed
from .pipeline.due.work import DueWork
from .pipeline.execute import Execution
from .pipeline.handlers import Handler
from .pipeline.opened import Opened
from .pipeline.outlets.telling import Telling
from .pipeline.owner import check_owner, without_project
from .pipeline.plan import Expect
from .pipeline.ranks.group import ranks_of
from .pipeline.served import served
from .pipeline.standing import Shown, shown
from .pipeline.wiring.graph import Graph
from .pipeline.wiring.graph import build as build_graph
from .pipeline.wiring.services import only_service
from .pipeline.working import Worker
from .pipeline.workspace import Parts, Workspace
from .planner.asking.questions import Question
from .planner.asking.sizing import Sizing
from .planner.facts.knowledge import Knowledge
from .planner.forecasts.expected import Expected
from .planner.money.mix import Solve
from .stages.ingest import Doors, Ingest
from .stages.monitor.handler import Watch
from .stages.monitor.shelf import ServiceShelf
from .stages.prepare import Prepare
from .stages.train.card import card
from .stages.train.facts import gather
from .stages.train.handler import Train
from .stages.validate.handler import Validate
from .storage.cache import FOLDER as CACHE
from .storage.cache import Cache
from .storage.local import local_store
from .storage.models import ModelShelf
from .storage.online import open_online
from .storage.places import bucket_at, copies_of, folder_at
from .storage.remote import remote_store
from .storage.shelf import Shelf
from .storage.store import Store
from .storage.systems import HOME, load_architectures, load_config, load_constants, load_systems

if TYPE_CHECKING:
    from .stages.monitor.bring import Brought
    from .stages.monitor.report import Report

_NOT_PRELOADED = ("bedplate", "builtins", "__main__")
_SHORT_S = 0.1
"""Inline, what took less than this is made again where the process died before it was committed."""
EXECUTORS = {"local": "bedplate.compute.local", "inline": "bedplate.compute.inline"}


class OpenProject(Workspace):
    """A Workspace, and what the stages have to say of it: a model's card, labels, a report on what was served."""

    def show(self, ref: str) -> Shown:
        """One version in detail (`late`, `late@7`, `late@production`), of a model with its card (`bedplate show`). Raises NotFound."""
        found = shown(self.catalog, self.graph, ref)
        if found.version.kind != "model":
            return found
        node = self.graph.nodes.get(self.graph.makers.get(found.version.artifact, ""))
        said = (node.declaration.function.__doc__ or "") if node else ""
        return msgspec.structs.replace(found, card=card(gather(self.catalog, found.version.ref, said)))

    def due(self) -> DueWork:
        """Due work: `.plan()` says what is due, what waits for when and why; `.turn()` does what is due (`bedplate run --due`)."""
        return DueWork(self, self.watch)

    def labels(self, file: str | Path, service: str = "") -> Brought:
        """Add the labels in a file (CSV, Parquet or JSON lines) to those of a service, by default the only one (`bedplate labels`).

        Returns what became of its rows. Raises UserError for a file that cannot be read, or brings no label.
        """
        name = only_service(self.graph, (service,) if service else ()).name
        brought: Brought = _monitor("bring").bring(self.store, name, Path(file), self.clock.now())
        return brought

    def watch(self, service: str = "", *, since: datetime | None = None, by: str = "at", html: str | Path | None = None) -> Report:
        """Report what a service (by default the only one) served: traffic, errors, latency, drift, quality (`bedplate watch`).

        Only what was served `since` then (UTC, where it has no zone) counts; `by` is the time column that slices quality; `html` is where
        to write the page. Drift is recorded as an event. The project's own watches are steps: `run("still_right", only=True)`. Raises
        UserError where nothing was served, or `by` is no time.
        """
        node = only_service(self.graph, (service,) if service else ())
        now = self.clock.now()
        if served(self.store, node.name, now) is None:
            raise UserError(f"{node.name} served nothing yet", why="a watch is about what was served", next=f"bedplate serve {node.name}")
        monitor = _monitor("watched")
        threshold, goal = float(self.config["drift_psi"]), node.declaration.p95_s
        since = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
        asked = monitor.Asked(service=node.name, since=since, by=by, threshold=threshold, goal_p95_s=goal, views=self.graph.views(node))
        report: Report = monitor.watched(self.store, self.catalog, asked)
        monitor.note_drift(self.catalog, report, now)
        if html is not None:
            monitor.write_page(Path(html), _monitor("html").page(report))
        return report


def open(path: str | Path = ".", target: str = "") -> OpenProject:
    """The project in a folder (or a project file) on a target, for a notebook or a program.

    Raises UserError where there is no project, ProjectError where it has mistakes.
    """
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    return build(configure(find_project(folder, None if given.is_dir() else str(given)), target))


def open_project(given: str | None, target: str = "", *, pickles: bool = True, makes: bool = True) -> OpenProject:
    """The project that a verb is about: the file or folder given, else the only project in this folder.

    A server passes `pickles=False`: it never loads one. Who only looks passes `makes=False`: no state is made where there is none.
    """
    return build(configure(find_project(Path.cwd(), given), target), pickles=pickles, makes=makes)


class Kept(NamedTuple):
    """What a project has on record, for verbs that need none of its code: it is not imported, so it may even be broken."""

    config: Config
    catalog: Catalog

    def sql(self, query: str) -> Any:
        """As of a workspace."""
        return ask(self.catalog, open_store(self.config, makes=False), query)


def open_record(given: str | None, target: str = "") -> Kept:
    """The record of the project that a verb is about, to look at. Raises UserError where there is no project file."""
    config = configure(find_project(Path.cwd(), given), target)
    return Kept(config, Catalog.open(open_database(config, makes=False), clock_of(config)))


def configure(project_file: Path, target: str = "", environ: Mapping[str, str] = os.environ) -> Config:
    """Settings of a project from the environment and `bedplate.toml` beside the project file."""
    path = project_file.parent / "bedplate.toml"
    try:
        file = tomllib.loads(path.read_text()) if path.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read", why=str(error), next="mend it: each line is a name, = and a value") from error
    return resolve(project_file.resolve(), file, environ, target)


def knowledge(folder: Path | None = None) -> Knowledge:
    """What the planner knows: the rows that ship with bedplate, those of `folder` over them, and the fitted constants."""
    names = sorted(path.stem for path in (HOME / "calibration").glob("*.json"))
    return Knowledge(
        systems=load_systems(folder), architectures=load_architectures(folder), constants={name: load_constants(name) for name in names}
    )


def size(question: Question, folder: str | Path | None = None) -> Sizing:
    """What a workload takes, in time, hardware, money and power: the best design, the runner-up, and why.

    `question` is one of Train, Finetune, Serve, Batch, Site and Cost (`bedplate.planner.asking.questions`); its model may be the path of a
    Hugging Face style config.json. `folder` holds rows of your own, in files named like those of `bedplate/systems`.
    Raises NotFound for a model or machine that is not known, UserError for what cannot be read or makes no sense.
    """
    known = knowledge(Path(folder) if folder else None)
    name = getattr(question, "model", "")
    if name.endswith(".json"):
        known = known.knows(name, load_config(Path(name)))
    solve = solver() if getattr(question, "load", ()) else None
    answered: Sizing = importlib.import_module("bedplate.planner.search").size(question, known, solve)
    return answered


def solver() -> Solve:
    """What solves a linear programme. Raises UserError where it is not installed."""
    solve: Solve = load("bedplate.planner.backends.highs", "a load curve", "solver").solve
    return solve


def build(config: Config, *, pickles: bool = True, makes: bool = True) -> OpenProject:
    """The workspace of a configured project."""
    return assemble(config, load_project(config.project_file), pickles=pickles, makes=makes)


def assemble(config: Config, project: Loaded | None, *, pickles: bool = True, makes: bool = True) -> OpenProject:
    """The workspace of a project that is loaded already, or of a state alone. Raises Refused where the state is another project's."""
    graph = build_graph(project.project) if project is not None else None  # its mistakes are told before a record is made
    database = open_database(config, makes=makes)
    clock = database.clock if config["clock"] == MACHINE else clock_of(config)
    rng = random.SystemRandom()
    catalog = Catalog.open(database, clock)
    loaded = project or without_project(catalog, config.project_file)
    graph = graph or build_graph(loaded.project)
    check_owner(catalog, graph.project_name, config.project_file)
    store = open_store(config, pickles=pickles, makes=makes, loaded=loaded)
    doors = open_doors(config)
    return OpenProject(
        Parts(
            config=config, loaded=loaded, graph=graph, catalog=catalog, store=store, clock=clock,
            random_bits=rng.getrandbits, handlers=handlers(doors), list_source=doors.listed,
            executor=lambda stopping: make_executor(config, loaded, graph, stopping), process_started=machine.started,
            online=lambda: open_online(config["online"], config.state, graph.project_name),
            warehouse=lambda query: ask(catalog, store, query), expect=expecting(config), tell=Telling(config, catalog, clock).run,
        )
    )  # fmt: skip


def knowing(model: str, folder: Path) -> Knowledge:
    """What the planner knows, with the model of a config.json in `folder` where that is what is named. Raises UserError."""
    known = knowledge()
    return known.knows(model, load_config(folder / model)) if model.endswith(".json") else known


def unknown_model(model: str, folder: Path) -> UserError | None:
    """What is wrong with the model of a declared workload; None where it is known."""
    try:
        knowing(model, folder).architecture(model)
    except UserError as error:
        return error
    return None


def expecting(config: Config) -> Expect | None:
    """What the planner says of a declared workload on the target's machines, asked once for each; None where it declares none."""
    held = machines(config["machines"])
    if not held.count:
        return None

    @functools.cache
    def expect(workload: Workload) -> Expected:
        try:
            known = knowing(workload.model, config.folder)
        except UserError as error:
            return Expected(machines=str(held), problem=error.line)
        planner = importlib.import_module("bedplate.planner.search.workload")
        found: Expected = planner.expected(workload, held, known, dollars_per_hour(config["price"]))
        return found

    return expect


def open_doors(config: Config) -> Doors:
    """What lists and reads the sources of a target."""
    return Doors(config.folder, config.state / "downloads", SystemClock(), config["allow_networks"])


def handlers(doors: Doors) -> dict[str, Handler]:
    """Decorator -> the stage that runs it."""
    prepare = Prepare()
    return {
        "ingest": Ingest(doors), "prepare": prepare, "features": prepare, "step": prepare,
        "train": Train(), "check": Validate(), "watch": Watch(),
    }  # fmt: skip


def open_database(config: Config, *, makes: bool = True) -> Database:
    """The catalog's database by URL; where there is none yet it is made, or an empty one is shown."""
    return database_at(config["catalog"], makes=makes)


def open_store(config: Config, *, pickles: bool = True, makes: bool = True, loaded: Loaded | None = None) -> Store:
    """The store by URL, with a shelf for each kind; a server has none for pickles. `loaded` is whose code is behind its models."""
    bucket = bucket_at(config["store"], proves=makes)
    root = copies_of(bucket, config.state) if bucket else folder_at(config["store"])
    asking = Asking(SystemClock(), config["allow_networks"])
    models = ModelShelf(root, Behind(loaded) if loaded else None, asking)
    shelves: dict[Kind, Shelf] = {"model": models, "service": ServiceShelf(root, bucket)}
    if bucket is None:
        return local_store(root, shelves, pickles=pickles, makes=makes, cache=open_cache(config))
    return remote_store(root, bucket, shelves, pickles=pickles, makes=makes, cache=open_cache(config))


def open_cache(config: Config) -> Cache | None:
    """The cache tier of a target; None where the setting says that there is none."""
    most = byte_count(config["cache"])
    return Cache(config.state / CACHE, most) if most else None


def make_executor(config: Config, loaded: Loaded, graph: Graph, stopping: Callable[[], bool]) -> Executor:
    """The executor of a target; `stopping` says whether the run was asked to stop, for steps that run in this process."""
    kind = config["compute"]
    if kind not in EXECUTORS:
        raise UserError(f"compute '{kind}' is not known", why=f"known: {', '.join(EXECUTORS)}", next="see docs/reference/settings.md")
    module = importlib.import_module(EXECUTORS[kind])
    watts = read_watts(config["watts"])
    if kind == "inline":
        own = execution(config, loaded, graph, stopping, stages_from_s=_SHORT_S)
        handle = Worker(stopping, lambda _task: own, run_group, own)
        inline: Executor = module.InlineExecutor(handle, watts_per_cpu=watts / machine.cpu_count())
        return inline
    local: Executor = module.LocalExecutor(
        [sys.executable, "-m", "bedplate.interfaces.worker"], cpu=float(config["cpu"]), memory_bytes=byte_count(config["memory"]),
        log_limit_bytes=byte_count(config["log_limit"]), watts=watts, preload=preload(loaded),
        gpu=int(config["gpus"]),
    )  # fmt: skip
    return local


def preload(loaded: Loaded) -> list[str]:
    """Modules that the fork server imports before it forks: what the project's file has imported, whole or in part.

    Importing them is then no part of any step's time. Code of the project, wherever it lies, is left to the workers.
    """
    values = vars(loaded.module).values()
    named = {value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) for value in values}
    found = {name: sys.modules.get(name) for name in named if isinstance(name, str) and name.partition(".")[0] not in _NOT_PRELOADED}
    files = ((name, getattr(module, "__file__", None)) for name, module in found.items())
    return sorted(name for name, file in files if file and is_installed(Path(file)))


def worker_handler(stopping: Callable[[], bool]) -> Handle:
    """What a worker does with a task: load the project once, run the step (or see to its ranks), answer with its outcome."""

    def load(task: Task) -> Execution:
        config = configure(Path(task.project_file), task.target)
        loaded = load_project(config.project_file)
        return execution(config, loaded, build_graph(loaded.project), stopping)

    return Worker(stopping, load, run_group)


def run_group(task: Task, stopping: Callable[[], bool], report: Callable[[bytes], None]) -> Outcome:
    """Run a step with `workers=` on its ranks, each a worker of an executor that this process supervises."""
    config = configure(Path(task.project_file), task.target)
    kept = open_store(config).checkpoints(task.cache_key, int(config["checkpoints"]))
    return ranks_of(
        task, stopping, report, command=[sys.executable, "-m", "bedplate.interfaces.worker"], clock=clock_of(config),
        patience_s=seconds(config["rank_timeout"]), newest=kept.newest,
    )  # fmt: skip


def execution(config: Config, loaded: Loaded, graph: Graph, stopping: Callable[[], bool], *, stages_from_s: float = 0.0) -> Execution:
    """What runs the steps of a loaded project in this process."""
    doors = open_doors(config)
    return Execution(
        loaded, graph, open_store(config, loaded=loaded), handlers(doors), clock=clock_of(config), stopping=stopping,
        keep_checkpoints=int(config["checkpoints"]), opened=_opened(), state=config.state, stages_from_s=stages_from_s,
        list_source=doors.listed,
    )  # fmt: skip


def _monitor(module: str) -> Any:
    """A module of the monitor stage, which needs Polars: only whoever watches imports it."""
    return importlib.import_module(f"bedplate.stages.monitor.{module}")


@functools.cache
def _opened() -> Opened:
    """One for the life of the process: an audit hook cannot be removed."""
    return Opened()


def ask(catalog: Catalog, store: Store, query: str) -> Any:
    """The warehouse's answer to a query, as a Polars frame; an empty query lists what can be asked.

    Where bytes cannot be read it is tried once more, with copies of a bucket's objects fetched again.
    """
    module = importlib.import_module("bedplate.storage.backends.warehouse")
    if not query:
        return module.answer("SELECT * FROM known", {"known": known(catalog, store)})
    names = module.asked(query)
    try:
        return module.answer(query, ask_tables(names, catalog, store))
    except CorruptError:
        return module.answer(query, ask_tables(names, catalog, store, anew=True))
