"""Projects written as text, loaded as a user's file is; what loading changes of this process is put back.

A `house` runs them: SQLite and the local store in a folder of its own, steps in this process, a clock that moves when told.
"""

from __future__ import annotations

import os
import random
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedplate.assembly import assemble, handlers, open_store
from bedplate.compute.executor import Executor
from bedplate.compute.inline import InlineExecutor
from bedplate.core.config import resolve
from bedplate.core.records import Outcome, Task
from bedplate.pipeline.execute import Execution
from bedplate.pipeline.load import Loaded, load_project
from bedplate.pipeline.opened import Opened
from bedplate.pipeline.run import Summary
from bedplate.pipeline.starting import Said
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
            made.parts, clock=self.clock, random_bits=self._random.getrandbits, executor=lambda: self.executor(made),
            process_started=self.processes.get,
        )  # fmt: skip
        return Workspace(parts)

    def executor(self, workspace: Workspace) -> Executor:
        """Runs steps in this process, after `before` had its say."""
        execution = Execution(
            workspace.parts.loaded, workspace.graph, open_store(workspace.config), handlers(), clock=self.clock,
            stopping=lambda: False, keep_checkpoints=3, opened=OPENED,
        )  # fmt: skip

        def handle(payload: bytes, report: Callable[[bytes], None]) -> bytes:
            task = msgspec.json.decode(payload, type=Task)
            self.tasks.append(task)
            answer = self.before(task)
            return execution(payload, report) if answer is None else msgspec.json.encode(answer)

        return InlineExecutor(handle, sleep=self.clock.sleep)

    def run(self, text: str = "", *names: str, settings: Mapping[str, Any] | None = None, **options: Any) -> Summary:
        """`bedplate run`; what it said is in `said`."""
        self.said.clear()
        self.tasks.clear()
        self.clock.forward(1.0)
        return self.open(text).run(*names, settings=settings, emit=self.said.append, **options)

    def steps(self, summary: Summary) -> dict[str, str]:
        """Step (or part of one) -> how it ended."""
        return {f"{s.name}[{s.part}]" if s.part else s.name: s.status for s in summary.steps}

    def told(self, kind: str) -> list[str]:
        """The texts of one kind of what the last run said."""
        return [said.text for said in self.said if said.kind == kind]

    def dies(self) -> None:
        """The process that ran last is gone, and this one is another."""
        self.processes[os.getpid()] = self.processes[os.getpid()] + 100.0


@pytest.fixture
def house(project: Write, tmp_path: Path) -> House:
    """A house in a folder of its own."""
    return House(project, tmp_path)
