"""What a module of the project reads while it is imported: files and environment variables, each with the line that read it.

`LIMITS = json.load(open("limits.json"))` makes the file a part of what every step of that module depends on, so both are in the key
by their content. Noticed are `open` and what is built on it, and `os.environ`, between `watching` and its end; whatever an installed
package reads while it is imported itself is its own affair. Not noticed: native libraries that open files themselves (Polars).

Limit: one project is loaded at a time in a process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from bedplate.core.digests import of_bytes, of_file, of_json
from bedplate.core.records import Record

from .origin import is_installed

_LIBRARIES: Final = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/run")
_SYSTEM: Final = tuple(f"{folder}{os.sep}" for folder in (sys.prefix, sys.base_prefix, *_LIBRARIES))
_READERS: Final = ("bedplate/pipeline/wiring/syntax.py", "/linecache.py", "/tokenize.py")
"""Who reads source files to show or to parse them."""


class Read(Record, frozen=True, kw_only=True):
    """One thing that was read: by the module in `file`, at `line`; `path` is set for a file."""

    file: str
    line: int
    name: str
    digest: str
    path: str = ""


class _Watch:
    """What this process notices: `now` is None while nobody looks."""

    def __init__(self) -> None:
        self.now: dict[tuple[str, str], Read] | None = None
        self.is_hooked = False

    def hooked(self) -> None:
        """An audit hook cannot be removed: one for the life of the process."""
        if not self.is_hooked:
            self.is_hooked = True
            sys.addaudithook(_hook)


_watch = _Watch()
_kept: dict[str, tuple[Read, ...]] = {}


def of_module(file: str) -> tuple[Read, ...]:
    """What the module in a file read when it was imported last."""
    return _kept.get(file, ())


def keep(files: Iterable[str], found: Iterable[Read]) -> None:
    """What the modules in these files, which were imported just now, have read."""
    for file in files:
        _kept.pop(file, None)
    for read in found:
        _kept[read.file] = (*_kept.get(read.file, ()), read)


@contextmanager
def watching() -> Iterator[list[Read]]:
    """Notice what is read; the list is filled at the end."""
    found: list[Read] = []
    _watch.hooked()
    kind, _watch.now = type(os.environ), {}
    os.environ.__class__ = _Environ
    try:
        yield found
    finally:
        os.environ.__class__ = kind
        seen, _watch.now = _watch.now, None
        found.extend(_digested(read) for read in (seen or {}).values())


class _Environ(type(os.environ)):  # type: ignore[misc]  # its class has no public name
    """The environment, while somebody looks who reads it."""

    def __getitem__(self, key: str) -> str:
        _note_variable(key, os.environb.get(os.fsencode(key)) if isinstance(key, str) else None)
        value: str = super().__getitem__(key)
        return value


def _note_variable(key: Any, value: bytes | None) -> None:
    if _watch.now is None or not isinstance(key, str) or (at := _reader(sys._getframe(2))) is None:
        return
    name = f"${key}"
    digest = of_json(None) if value is None else of_bytes(value)
    _watch.now.setdefault((at[0], name), Read(file=at[0], line=at[1], name=name, digest=digest))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch.now is None or event != "open":
        return
    path, _, flags = arguments
    if not isinstance(path, str) or not isinstance(flags, int) or flags & (os.O_WRONLY | os.O_RDWR):
        return
    frame = sys._getframe(1)
    if frame.f_code.co_filename.startswith("<frozen importlib") or frame.f_code.co_filename.endswith(_READERS):
        return
    full = os.path.abspath(path)  # noqa: PTH100  a Path would raise inside the hook for odd names
    if not full.startswith(_SYSTEM) and (at := _reader(frame)) is not None:
        _watch.now.setdefault((at[0], full), Read(file=at[0], line=at[1], name=path, digest="", path=full))


def _reader(frame: FrameType | None) -> tuple[str, int] | None:
    """The project's module that is being imported, and where it is; None where a package imports itself."""
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            file = frame.f_code.co_filename
            return None if file.startswith("<") or is_installed(Path(file)) else (file, frame.f_lineno)
        frame = frame.f_back
    return None


def _digested(read: Read) -> Read:
    if not read.path:
        return read
    try:
        digest = of_file(Path(read.path))
    except OSError:
        digest = of_json(None)
    return Read(file=read.file, line=read.line, name=read.name, digest=digest, path=read.path)
