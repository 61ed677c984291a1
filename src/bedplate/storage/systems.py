"""The one loader of `bedplate/systems/`: rows of hardware, prices, grids, models and constants, validated as they are read.

Choices: CSV for what people compare in columns, JSON for what nests; a user's folder or file of the same shape overrides rows by name
and adds new ones. A broken row is refused with file, line and field, and so is one that cannot be true (`planner.facts`). What was
read is kept until a file of the folder says something else. Limits: knows no meaning: what a row says is the planner's business.
"""

from __future__ import annotations

import csv
import difflib
import functools
import hashlib
import importlib.resources
import io
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.facts.architecture import Architecture, Architectures
from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.hf_config import from_config
from bedplate.planner.facts.plausible import dangling, fault, loose_end, model_fault
from bedplate.planner.facts.systems import Accelerator, DayShape, Figure, Grid, Link, Node, Price, Row, StorageSystem, Switch, Systems

R = TypeVar("R", bound=Row)

HOME = Path(str(importlib.resources.files("bedplate"))) / "systems"


def load_systems(folder: Path | None = None) -> Systems:
    """The catalogue that ships with bedplate; rows of the same files in `folder` go over it. Raises UserError with file, line and field."""
    if folder is not None:
        _looked_at(folder)
    return _systems(folder, _stamp(folder, "*.csv"))


def _stamp(folder: Path | None, files: str) -> str:
    """What the files of a folder hold, in short: the same words as before are not read again."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob(files)) if folder is not None else ():
        if path.is_file():
            digest.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest.hexdigest()


@functools.lru_cache(maxsize=8)
def _systems(folder: Path | None, stamp: str) -> Systems:
    """The catalogue under a folder that holds what `stamp` says."""

    def by_name(file: str, kind: type[R]) -> dict[str, R]:
        return {row.name: row for row in _rows(file, kind, folder)}

    systems = Systems(
        accelerators=by_name("accelerators.csv", Accelerator),
        nodes=by_name("nodes.csv", Node),
        links=by_name("links.csv", Link),
        switches=by_name("switches.csv", Switch),
        storage=by_name("storage.csv", StorageSystem),
        prices=tuple(_rows("prices.csv", Price, folder)),
        grids=tuple(_rows("grids.csv", Grid, folder)),
        days=by_name("days.csv", DayShape),
        figures=by_name("figures.csv", Figure),
    )
    if loose := loose_end(systems):
        file, wrong = loose
        raise UserError(f"{file}: {wrong}", next=f"mend {folder / file if folder and (folder / file).exists() else HOME / file}")
    return systems


def _looked_at(folder: Path) -> None:
    """Refuses a folder that is not there, and a file in it that nobody would read: a misspelt name must not pass unseen."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder", next="name the folder that holds your rows: --systems FOLDER")
    known = [path.name for path in HOME.glob("*.csv")]
    for path in sorted(folder.glob("*.csv")):
        if path.name not in known:
            near = difflib.get_close_matches(path.name, known, n=1)
            told = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
            raise UserError(f"{path} is read by nobody", why=told, next=f"rename or remove {path}")


def load_architectures(folder: Path | None = None) -> Architectures:
    """Every model of `systems/models/*.json`: {"rows": [...], "aliases": {...}}. Raises UserError with file and field."""
    return _architectures(folder, _stamp(folder, "models/*.json"))


@functools.lru_cache(maxsize=8)
def _architectures(folder: Path | None, stamp: str) -> Architectures:
    """The models under a folder that holds what `stamp` says."""
    rows: dict[str, Architecture] = {}
    aliases: dict[str, str] = {}
    for home in [HOME] + ([folder] if folder else []):
        for path in sorted((home / "models").glob("*.json")):
            page = _decode(path, _Models)
            if wrong := next((f"row '{row.name}', {told}" for row in page.rows if (told := model_fault(row))), ""):
                raise UserError(f"{path.name}: {wrong}", next=f"mend {path}")
            rows.update({row.name: row for row in page.rows})
            aliases.update({name.lower(): to for name, to in page.aliases.items()})
    models = Architectures(rows=rows, aliases=aliases)
    if loose := dangling(models):
        raise UserError(loose, next=f"mend {folder / 'models' if folder else HOME / 'models'}")
    return models


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
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"{path.name} cannot be read", why=str(error), next=f"mend {path}") from None


def _rows(file: str, kind: type[R], folder: Path | None) -> list[R]:
    rows = _table(HOME / file, kind)
    if folder and (folder / file).exists():
        own = [_quotation(row) for row in _table(folder / file, kind)]
        names = {row.name for row in own}
        rows = [row for row in rows if row.name not in names] + own
    return rows


def _quotation(row: R) -> R:
    """A price of one's own states every term there is: none is worked out beside it."""
    return msgspec.structs.replace(row, quoted=True) if isinstance(row, Price) else row


def _table(path: Path, kind: type[R]) -> list[R]:
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        names, lines = reader.fieldnames or (), [(reader.line_num, record) for record in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path.name} is no table of text", why=str(error), next=f"save {path} as CSV in UTF-8") from None
    known = {field.name for field in msgspec.structs.fields(kind)}
    for column in names:
        if column.partition(".")[0] not in known:
            raise UserError(f"{path.name}, line 1: there is no field '{column}'", why=_near(column, known), next=f"mend {path}")
    return [_row(path, line, record, kind) for line, record in lines]


def _row(path: Path, line: int, record: dict[str, str], kind: type[R]) -> R:
    """A row: empty cells are absent, `tflops.bf16` is the key bf16 of the field tflops, texts become numbers where the field is one."""
    cells: dict[str, object] = {}
    for column, cell in record.items():
        if cell is None or cell == "" or column is None:
            continue
        if not (cell if column not in ("notes", "source") else cell.replace("\n", "")).isprintable():
            raise UserError(f"{path.name}, line {line}: {column}: {cell!r} holds signs that cannot be printed", next=f"mend {path}")
        field, _, key = column.partition(".")
        if key:
            nested = cells.setdefault(field, {})
            if not isinstance(nested, dict):
                raise UserError(f"{path.name}, line {line}: {field}: '{nested}' stands beside {column}", next=f"mend {path}")
            nested[key] = cell
        else:
            cells[field] = cell.split(";") if field in _LISTS else cell
    try:
        row = msgspec.convert(cells if path.parent == HOME else {"source": OWN} | cells, kind, strict=False)
        wrong = fault(row)
    except msgspec.ValidationError as error:
        wrong = _said(str(error), cells)
    if wrong:
        raise UserError(f"{path.name}, line {line}: {wrong}", why=f"row '{record.get('name', '?')}'", next=f"mend {path}")
    return row


def _said(wrong: str, cells: dict[str, object]) -> str:
    """msgspec's words with the cell's own: `mem_gb: 'lots' is not a number`."""
    what, _, where = wrong.partition(" - at `$")
    field = where.strip("`.[]").partition("[")[0]
    value = cells.get(field)
    if not field or value is None:
        return wrong.replace("Object missing required field", "the row needs").replace("`", "'")
    if isinstance(value, dict):
        return f"{field}: one of {', '.join(f'{name} = {cell}' for name, cell in value.items())} is no number"
    kinds = {"float": "a number", "int": "a whole number", "bool": "true or false"}
    expected = next((told for name, told in kinds.items() if f"`{name}" in what), "")
    return f"{field}: '{value}' is not {expected}" if expected else f"{field}: '{value}', {what}"


OWN = "a row of your own"
"""Where a figure is from that comes without its source."""


def _near(column: str, known: set[str]) -> str:
    """The fields that a column may have meant."""
    return "fields: " + ", ".join(difflib.get_close_matches(column, known, n=3, cutoff=0.3) or sorted(known))


_LISTS = ("aliases", "runs", "regions")
"""Columns whose cells hold several texts with semicolons between."""
