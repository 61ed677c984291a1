"""A folder of files that is there whole or not at all."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from bedplate.core.errors import UserError
from bedplate.storage import disk

SUMS: Final = "SHA256SUMS"


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A new folder that becomes `target` when the block ends without an error. Raises UserError where something is there."""
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise UserError(f"{target} is there already", why="an export is a new folder", next=f"name another: --to {target.name}-2")
    disk.make_folder(target.parent)
    with disk.guard("write", target), tempfile.TemporaryDirectory(prefix=disk.TEMPORARY, dir=target.parent) as made:
        inside = Path(made) / target.name
        inside.mkdir()
        yield inside
        if target.exists():
            target.rmdir()
        inside.rename(target)


def files(folder: Path) -> list[str]:
    """The names of all files of a folder, in order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def summed(folder: Path) -> None:
    """Write SHA256SUMS over all files of a folder, as `sha256sum --check` reads it."""
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in files(folder)]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def manifest(path: Path, *objects: dict[str, Any]) -> None:
    """Write objects as YAML documents; every text is quoted where YAML would read something else."""
    path.write_text(yaml.safe_dump_all(objects, sort_keys=False, width=120, explicit_start=True), encoding="utf-8")
