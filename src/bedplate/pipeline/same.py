"""Whether what ran is what was keyed: the project's code before a step is called, what it imported and read meanwhile after it.

Code that is in memory stays as it was loaded, however its file is edited. What a step imports only when it is called comes from the
file as it is then, and so do the rows of a source: both are compared with what the key was made of, and a result that differs is not
recorded (invariant 2). Edits that leave the digest of the code alone (comments, other functions) are no difference.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bedplate.core.errors import UserError
from bedplate.core.records import Task
from bedplate.core.sources import Entry, continues

from .cache import code_digest
from .code.closure import anew, reader_of, step_code
from .code.load import Loaded, stat_of
from .handlers import ListSource
from .opened import Opened
from .wiring.graph import Graph


class Same:
    """Compares for the steps of one loaded project."""

    def __init__(self, loaded: Loaded, graph: Graph, list_source: ListSource | None) -> None:
        self._loaded = loaded
        self._graph = graph
        self._list_source = list_source

    def before(self, task: Task) -> None:
        """Raises UserError where the project was edited before this worker loaded it, so that this is not the code that was keyed."""
        if task.stamp not in ("", self._loaded.stamp) and not task.combine and self._code(task) != task.code:
            raise _edited(task)
        node = self._graph.nodes.get(task.step)
        if node is not None and node.declaration.decorator == "train":
            self._code(task)  # read now, while it is what runs: the code behind a model is kept with it

    def after(self, task: Task) -> None:
        """Raises UserError where a file that the step imported or read is not the one that was keyed."""
        edited = [name for name, stat in task.files.items() if stat_of(name) != tuple(stat)]
        if edited:
            with anew():
                now = self._code(task)
            if now != task.code:
                raise _edited(task, ", ".join(os.path.relpath(name, self._loaded.file.parent) for name in edited))
        self._sources(task)

    def beside(self, task: Task, opened: Opened) -> tuple[str, ...]:
        """The files that the step opened outside its inputs, and modules of the project that it imported by a way nobody could follow."""
        found = opened.imported()
        if found:
            reader = reader_of((self._loaded.file.parent,))
            main = reader.shelf.at(self._loaded.file, self._loaded.file.stem)
            known = {str(module.path) for module in reader.reached(main)} | set(self._loaded.read) | task.files.keys()
            found = tuple(name for name in found if name not in known and str(Path(name).resolve()) not in known)
        return (*opened.found(), *found)

    def _code(self, task: Task) -> str:
        node = self._graph.nodes.get(task.step)
        return code_digest(step_code(node, [self._loaded.file.parent], self._loaded.file)) if node is not None else ""

    def _sources(self, task: Task) -> None:
        node = self._graph.nodes.get(task.step)
        if self._list_source is None or node is None or node.declaration.every is not None:
            return
        for wire in node.by_role("source"):
            now: dict[str, Entry] = {}
            read = task.sources.get(wire.name, ())
            if wire.source is not None:
                with suppress(UserError):  # all of it is gone, after it was read
                    now = {entry.name: entry for entry in self._list_source(wire.source, self._loaded.file.parent, read)}
            for entry in read:
                if not continues((entry,), (now.get(entry.name, entry),)):
                    raise UserError(
                        f"{Path(entry.path).name} changed while {task.step} was reading it",
                        why="its result would be recorded as that of the file before",
                        next="bedplate run",
                    )


def _edited(task: Task, files: str = "") -> UserError:
    return UserError(
        f"{task.step} was edited while the run was going on{f' ({files})' if files else ''}",
        why="its result would be recorded as that of the code before",
        next="bedplate run",
    )
