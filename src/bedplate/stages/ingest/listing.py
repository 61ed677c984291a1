"""What a source of local files holds now, with a stamp each that changes with its content.

`Files`: size and modification time (nanoseconds), so that listing never reads the data. `Package`: the distribution's version and
each file's size; installed packages do not change in place.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from bedplate.core.errors import UserError
from bedplate.core.sources import Entry, Files, Package


def list_files(source: Files, folder: Path) -> tuple[Entry, ...]:
    """The files of a glob, by name. Raises UserError where there are none."""
    pattern = Path(source.pattern).expanduser()
    if pattern.is_absolute():
        base, relative = Path(pattern.anchor), str(pattern.relative_to(pattern.anchor))
    else:
        base, relative = folder, str(pattern)
    found = sorted(path for path in base.glob(relative) if path.is_file())
    if not found:
        what = f"the folder {base / relative} is empty" if (base / relative).is_dir() else f"no file matches '{source.pattern}'"
        raise UserError(what, why=f"looked in {base}", next="put the files there, or change the pattern in Files(...)")
    return tuple(_entry(path, str(path.relative_to(base))) for path in found)


def _entry(path: Path, name: str) -> Entry:
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        why = "it is not UTF-8, and names are kept as text"
        raise UserError(f"the file name {str(path)!a} cannot be read as a source", why=why, next="rename the file")
    stat = path.stat()
    return Entry(name, str(path), stat.st_size, str(stat.st_mtime_ns))


def list_package(source: Package) -> tuple[Entry, ...]:
    """The files of an installed package, by name. Raises UserError where it is not installed or has none."""
    spec = importlib.util.find_spec(source.name)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"the package '{source.name}' is not installed", why="a Package source reads its files", next=f"pip install {source.name}"
        )
    base = Path(next(iter(spec.submodule_search_locations)))
    found = sorted(path for path in base.glob(source.pattern) if path.is_file() and "__pycache__" not in path.parts)
    if not found:
        raise UserError(f"the package '{source.name}' has no file '{source.pattern}'", why=f"looked in {base}")
    version = _version(source.name)
    return tuple(Entry(str(path.relative_to(base)), str(path), path.stat().st_size, version) for path in found)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
