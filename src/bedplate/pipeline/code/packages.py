"""Versions of the installed packages that a step's code imports: part of its cache key.

Python's library and bedplate itself are left out (the key carries the Python version and the kinds' schema). Looking through
all installed packages takes tens of milliseconds, so a package named like its module is looked up directly, and only other
names (`sklearn`) search the lists of files.
"""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bedplate.core.records import Part

from .closure import reader_of
from .reach import absolute

UNVERSIONED = "unversioned"
"""The version of a module that no installed package claims."""


def packages(parts: Iterable[Part], roots: Sequence[Path]) -> dict[str, str]:
    """Distribution -> version, for every installed package that the parts of a closure import."""
    modules = {module for part in parts if (module := imported(part, roots))}
    versions: dict[str, str] = {}
    for module in sorted(modules):
        versions.update(versions_of(module))
    return versions


def imported(part: Part, roots: Sequence[Path]) -> str:
    """The top-level installed module that a part stands for; empty for project code, Python's library and bedplate."""
    _, _, name = part.name.partition(":")
    if name.startswith("import "):
        dotted = name.removeprefix("import ")
    else:
        owner = reader_of(tuple(roots)).at_label(part.file)
        found = owner.imports.get(name) if owner else None
        dotted = absolute(owner, found) if owner and found else ""
    top = dotted.partition(".")[0]
    return "" if top in sys.stdlib_module_names or top == "bedplate" else top


@functools.cache
def versions_of(module: str) -> dict[str, str]:
    """The distributions that provide a top-level module, with their versions."""
    direct = _direct(module)
    found = {direct.metadata["Name"]: direct.version} if direct else _searched(module)
    return found or {module: UNVERSIONED}


def _direct(module: str) -> importlib.metadata.Distribution | None:
    try:
        found = importlib.metadata.distribution(module)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    return found if module in _top_level(found) else None


def _searched(module: str) -> dict[str, str]:
    return {found.metadata["Name"]: found.version for found in importlib.metadata.distributions() if module in _top_level(found)}


def _top_level(distribution: importlib.metadata.Distribution) -> frozenset[str]:
    """The top-level modules that a distribution installs, from its list of files read as text."""
    listed = distribution.read_text("RECORD") or distribution.read_text("SOURCES.txt") or ""
    tops = (line.partition(",")[0].partition("/")[0] for line in listed.splitlines())
    names = {top.partition(".")[0] if top.endswith((".py", ".so", ".pyd")) else top for top in tops if top and not top.endswith("-info")}
    return frozenset(names | set((distribution.read_text("top_level.txt") or "").split()))
