"""The one loader of `bedplate/systems/`: rows of hardware, prices, grids, models and constants, validated as they are read.

Choices: CSV for what people compare in columns, JSON for what nests; a user's folder or file of the same shape overrides rows by name
and adds new ones. A broken row is refused with file, line and field. Read once a process and kept.
Limits: knows no meaning: what a row says is the planner's business.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.architecture import Architecture, Architectures
from bedplate.planner.calibration import Constants
from bedplate.planner.hf_config import from_config
from bedplate.planner.systems import Accelerator, Figure, Grid, Link, Node, Price, Row, StorageSystem, Switch, Systems

R = TypeVar("R", bound=Row)

HOME = Path(str(importlib.resources.files("bedplate"))) / "systems"


@functools.cache
def load_systems(folder: Path | None = None) -> Systems:
    """The catalogue that ships with bedplate; rows of the same files in `folder` go over it. Raises UserError with file, line and field."""

    def by_name(file: str, kind: type[R]) -> dict[str, R]:
        return {row.name: row for row in _rows(file, kind, folder)}

    return Systems(
        accelerators=by_name("accelerators.csv", Accelerator),
        nodes=by_name("nodes.csv", Node),
        links=by_name("links.csv", Link),
        switches=by_name("switches.csv", Switch),
        storage=by_name("storage.csv", StorageSystem),
        prices=tuple(_rows("prices.csv", Price, folder)),
        grids=tuple(_rows("grids.csv", Grid, folder)),
        figures=by_name("figures.csv", Figure),
    )


@functools.cache
def load_architectures(folder: Path | None = None) -> Architectures:
    """Every model of `systems/models/*.json`: {"rows": [...], "aliases": {...}}. Raises UserError with file and field."""
    rows: dict[str, Architecture] = {}
    aliases: dict[str, str] = {}
    for home in [HOME] + ([folder] if folder else []):
        for path in sorted((home / "models").glob("*.json")):
            page = _decode(path, _Models)
            rows.update({row.name: row for row in page.rows})
            aliases.update({name.lower(): to for name, to in page.aliases.items()})
    return Architectures(rows=rows, aliases=aliases)


@functools.cache
def load_constants(name: str) -> Constants:
    """The fitted constants of one model of the planner: `systems/calibration/NAME.json`."""
    return _decode(HOME / "calibration" / f"{name}.json", Constants)


def load_config(path: Path) -> Architecture:
    """The architecture of a Hugging Face style config.json on disk, under the path's name. Raises UserError where it is none."""
    return from_config(_decode(path, dict[str, Any]), name=str(path), source=path.name)


class _Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: list[Architecture]
    aliases: dict[str, str] = msgspec.field(default_factory=dict)


D = TypeVar("D")


def _decode(path: Path, kind: type[D]) -> D:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{path.name} cannot be read", why=str(error), next=f"mend {path}") from None


def _rows(file: str, kind: type[R], folder: Path | None) -> list[R]:
    rows = _table(HOME / file, kind)
    if folder and (folder / file).exists():
        own = _table(folder / file, kind)
        names = {row.name for row in own}
        rows = [row for row in rows if row.name not in names] + own
    return rows


def _table(path: Path, kind: type[R]) -> list[R]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        return [_row(path, reader.line_num, record, kind) for record in reader]


def _row(path: Path, line: int, record: dict[str, str], kind: type[R]) -> R:
    """A row: empty cells are absent, `tflops.bf16` is the key bf16 of the field tflops, texts become numbers where the field is one."""
    cells: dict[str, object] = {}
    for column, cell in record.items():
        if cell is None or cell == "" or column is None:
            continue
        field, _, key = column.partition(".")
        if key:
            nested = cells.setdefault(field, {})
            assert isinstance(nested, dict)
            nested[key] = cell
        else:
            cells[field] = cell.split(";") if field == "runs" else cell
    try:
        return msgspec.convert(cells, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UserError(f"{path.name}, line {line}: {error}", why=f"row '{record.get('name', '?')}'", next=f"mend {path}") from None
