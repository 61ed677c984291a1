"""What a step does beside its inputs, noticed by an audit hook: files that it opens are warned about (invariant 2), and another folder
or environment is put back.

Covered: `open` and everything built on it, in the worker's own process. Not covered: native libraries that open files themselves
(Polars scanning a path) and child processes.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from .code.origin import is_installed

_OWN = Path(__file__).resolve().parent.parent
_QUIET = tuple(
    f"{folder}{os.sep}" for folder in (_OWN, sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/run")
)
_LIBRARY = sysconfig.get_path("stdlib")
_SHOWS = ("/linecache.py", "/inspect.py")
"""Who reads code to show it, in a traceback or a warning."""
_LIMIT = 20
_MOVES = frozenset({"os.chdir", "os.putenv", "os.unsetenv"})


class Opened:
    """One audit hook for the life of the process (they cannot be removed), listening only inside `watching`."""

    def __init__(self) -> None:
        self._watching = False
        self._folders: tuple[str, ...] = ()
        self._inputs: frozenset[str] = frozenset()
        self._found: dict[str, None] = {}
        self._imported: dict[str, None] = {}
        self.moved = False
        """Whether the folder or the environment of the process was changed since `watching` began."""
        sys.addaudithook(self._hook)

    @contextmanager
    def watching(self, own: Iterable[Path], inputs: Iterable[str]) -> Iterator[None]:
        """Collect files that are read outside bedplate's `own` folders, the installation and the given inputs."""
        self._found, self._imported, self.moved = {}, {}, False
        self._folders = (*_QUIET, *(f"{folder}{os.sep}" for folder in own))
        self._inputs = frozenset(inputs)
        self._watching = True
        try:
            yield
        finally:
            self._watching = False

    def found(self) -> tuple[str, ...]:
        """The files seen, at most 20."""
        return tuple(self._found)

    def imported(self) -> tuple[str, ...]:
        """The files of project code that were imported meanwhile."""
        return tuple(self._imported)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event in _MOVES:
            self.moved = True
        if event != "open" or len(self._found) >= _LIMIT:
            return
        path, _, flags = arguments
        if not isinstance(path, str) or flags & (os.O_WRONLY | os.O_RDWR):
            return
        full = os.path.abspath(path)  # noqa: PTH100  a Path would raise inside the hook for odd names
        if full in self._inputs or full.startswith(self._folders) or full.endswith(".so"):
            return
        if full.endswith((".py", ".pyc")):
            self._code(full)
        else:
            self._found[full] = None

    def _code(self, full: str) -> None:
        """A file of code: imported, or opened by code of the project as if it were data (`exec(open("x.py").read())`, `runpy`)."""
        if full.endswith(".pyc"):
            try:
                full = importlib.util.source_from_cache(full)
            except ValueError:
                return
        if is_installed(Path(full)):
            return
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith("<frozen importlib"):
                self._imported[full] = None
                return
            if name.endswith(_SHOWS):
                return
            if not name.startswith(("<frozen", _LIBRARY)):
                if not is_installed(Path(name)):
                    self._found[full] = None
                return
            frame = frame.f_back
