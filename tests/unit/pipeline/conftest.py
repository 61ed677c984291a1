"""Projects written as text, loaded as a user's file is; what loading changes of this process is put back.

A `house` runs them: SQLite and the local store in a folder of its own, steps in this process, a clock that moves when told.
"""

from __future__ import annotations

import os
import platform
import random
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedplate.assembly import assemble, handlers, open_doors, open_store
from bedplate.compute.executor import Ended, Executor, Job, Progress
from bedplate.compute.inline import InlineExecutor
from bedplate.compute.slots import Slots
from bedplate.core.config import resolve
from bedplate.core.records import Lease, Outcome, Run, Task
from bedplate.pipeline.account import Summary
from bedplate.pipeline.code.load import Loaded, load_project
from bedplate.pipeline.execute import Execution
from bedplate.pipeline.opened import Opened
from bedplate.pipeline.starting import Said
from bedplate.pipeline.wiring.graph import build as build_graph
from bedplate.pipeline.workspace import Workspace
from bedplate.testing.clock import ManualClock

Write = Callable[..., Loaded]
HEAD = """\
from typing import Any, Literal, NamedTuple
from pathlib import Path
import polars as pl
from bedplate import Check, Context, Features, Files, Model, Package, Pickle, Project, Secret, daily, tune, use

p = Project("p")
"""


@pytest.fixture(autouse=True)
def _imports(tmp_path: Path) -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Write:
    """`project(text, helpers=text, **{"lib/deep": text})` writes `flow.py` (with the usual imports) and other files, and loads it."""
    edits = 0

    def write(text: str, *, head: str = HEAD, **others: str) -> Loaded:
        nonlocal edits
        edits += 1
        for name, content in {"flow": head + textwrap.dedent(text), **others}.items():
            file = tmp_path / f"{name}.py"
            file.parent.mkdir(exist_ok=True)
            # A comment of another length every time, so that no stale byte code is taken for a helper.
            file.write_text(textwrap.dedent(content) + f"\n#{'.' * edits}\n")
        return load_project(tmp_path / "flow.py")

    return write


SCALARS = """\
import os
from bedplate import Check, Context, Files, Model, Project, Secret, daily, tune, use

p = Project("p")
"""
OPENED = Opened()
"""An audit hook cannot be removed: one for all tests."""
Before = Callable[[Task], Outcome | None]


class Together(InlineExecutor):
    """Has room for any number of jobs; one `wait` runs all that were started, so that they come back together, or else only one."""

    jobs: list[Job]
    together: bool

    def free(self) -> Slots:
        return self.total

    def start(self, job: Job) -> None:
        self.jobs.append(job)
        super().start(job)

    def wait(self, timeout_s: float) -> list[Progress | Ended]:
        events = super().wait(timeout_s)
        while self.together and any(isinstance(event, Ended) for event in events) and self._queue:
            events += super().wait(0.0)
        return events


class House:
    """Somebody's project, its record and its bytes; `open(text)` is what an edit and a new command do."""

    def __init__(self, write: Write, folder: Path) -> None:
        self.clock = ManualClock()
        self.folder = folder
        self.settings: dict[str, str] = {}
        self.said: list[Said] = []
        self.tasks: list[Task] = []
        self.processes: dict[int, float] = {os.getpid(): 1.0}
        self.before: Before = lambda _task: None
        """Called with each task before it is run; an Outcome is the answer instead."""
        self.after: Callable[[Task], None] = lambda _task: None
        """Called when a step is done and its outcome staged, before the run loop hears of it."""
        self.worker_loads: Callable[[], Loaded] | None = None
        """What a worker finds when it loads the project; None: what the run loaded."""
        self.asleep: Callable[[], None] = lambda: None
        """Called when the run loop waits for something else than a step."""
        self.together = True
        self.jobs: list[Job] = []
        self._write = write
        self._random = random.Random(7)
        self.loaded: Loaded | None = None

    def open(self, text: str = "", **files: str) -> Workspace:
        """The workspace of the project, with its file written anew where `text` is given."""
        if text:
            self.loaded = self._write(text, head=SCALARS, **files)
        assert self.loaded is not None
        loaded = self.loaded
        config = resolve(loaded.file, {}, {f"BEDPLATE_{name.upper()}": value for name, value in self.settings.items()})
        made = assemble(config, loaded)
        parts = msgspec.structs.replace(
            made.parts, clock=self.clock, random_bits=self._random.getrandbits, executor=lambda stopping: self.executor(made, stopping),
            process_started=self.processes.get,
        )  # fmt: skip
        return Workspace(parts)

    def executor(self, workspace: Workspace, stopping: Callable[[], bool]) -> Executor:
        """Runs steps in this process, after `before` had its say."""
        loaded = self.worker_loads() if self.worker_loads else workspace.parts.loaded
        graph = build_graph(loaded.project)
        doors = open_doors(workspace.config)
        execution = Execution(
            loaded, graph, open_store(workspace.config, loaded=loaded), handlers(doors), clock=self.clock,
            stopping=stopping, keep_checkpoints=3, opened=OPENED, state=workspace.config.state, list_source=doors.listed,
        )  # fmt: skip

        def handle(payload: bytes, report: Callable[[bytes], None]) -> bytes:
            task = msgspec.json.decode(payload, type=Task)
            self.tasks.append(task)
            answer = self.before(task)
            if answer is not None:
                return msgspec.json.encode(answer)
            encoded = msgspec.json.encode(execution.run(task, report), enc_hook=str)
            self.after(task)
            return encoded

        def sleep(seconds: float) -> None:
            self.clock.sleep(seconds)
            self.asleep()

        made = Together(handle, sleep=sleep, turn_s=0.0)
        made.jobs, made.together = self.jobs, self.together
        return made

    def run(self, text: str = "", *names: str, settings: Mapping[str, Any] | None = None, **options: Any) -> Summary:
        """`bedplate run`; what it said is in `said`."""
        self.said.clear()
        self.tasks.clear()
        self.jobs.clear()
        self.clock.forward(1.0)
        return self.open(text).run(*names, settings=settings, emit=self.said.append, **options)

    def steps(self, summary: Summary) -> dict[str, str]:
        """Step (or part of one) -> how it ended."""
        return {f"{s.name}[{s.part}]" if s.part else s.name: s.status for s in summary.steps}

    def told(self, kind: str) -> list[str]:
        """The texts of one kind of what the last run said."""
        return [said.text for said in self.said if said.kind == kind]

    def another(self, run: str, *names: str, host: str = "") -> list[Lease]:
        """Another run that is alive and holds the leases on `names`."""
        catalog, now = self.open().catalog, self.clock.now()
        begun = Run(
            id=run, project="p", target="local", command="", started_at=now, host=host or platform.node(), pid=99, process_started=1.0
        )
        catalog.runs.begin(begun)
        self.processes[99] = 1.0
        leases = catalog.leases.acquire_many(names, run, now, 15.0)
        assert leases is not None
        return leases

    def keep(self) -> None:
        """Remember the state folder as it is at this moment."""
        shutil.copytree(self.folder / ".bedplate", self.folder / "kept")

    def killed(self) -> None:
        """As if the power had failed at the moment of `keep`: that state, and the process that made it is gone."""
        shutil.rmtree(self.folder / ".bedplate")
        (self.folder / "kept").rename(self.folder / ".bedplate")
        self.dies()

    def dies(self) -> None:
        """The process that ran last is gone, and this one is another."""
        self.processes[os.getpid()] = self.processes[os.getpid()] + 100.0


@pytest.fixture
def house(project: Write, tmp_path: Path) -> House:
    """A house in a folder of its own."""
    return House(project, tmp_path)


@pytest.fixture
def opened() -> Opened:
    """The audit hook of all tests."""
    return OPENED


PARTS = """
@p.ingest
def days() -> list[str]:
    return ["mon", "tue"]

@p.prepare(each="days")
def raw(days: str) -> str:
    return days.upper()

@p.prepare(each="days")
def clean(raw: str, days: str) -> str:
    return raw + "!"
"""


@pytest.fixture
def parts() -> str:
    """The text of a project with two days and two steps for each."""
    return PARTS
