"""A run's files: a folder at a time, with sizes and digests; one of them previewed."""

from __future__ import annotations

import posixpath
from typing import Final
from urllib.parse import urlencode

from bedplate.catalog.tracking.files import ClientFile, Listed
from bedplate.core import client_paths
from bedplate.core.digests import PREFIX
from bedplate.core.digests import short as short_digest
from bedplate.core.errors import GoneError
from bedplate.core.records import Record
from bedplate.interfaces.http.console.frame import path_of
from bedplate.interfaces.http.console.previews import Shown, shown
from bedplate.interfaces.http.console.tables import Column, Link, Table, Value
from bedplate.interfaces.http.door.endpoint import Desk, missing

from .subject import Subject

_PAGE: Final = 200
_COLUMNS: Final = (
    Column("file", "File"), Column("size", "Size", "bytes"), Column("sha256", "SHA-256", "code"), Column("changed", "Came (UTC)", "time"),
)  # fmt: skip


class FilesView(Record, frozen=True, kw_only=True):
    """A folder with the way to it, or a file of it. `owners` are others whose files belong to the run: models that it logged."""

    table: Table | None = None
    trail: tuple[tuple[str, str], ...] = ()
    file: Shown | None = None
    sha256: str = ""
    owners: tuple[tuple[str, str], ...] = ()


def files_view(desk: Desk, found: Subject, *, model: str = "", folder: str = "", file: str = "", first: int = 0) -> FilesView:
    """What is asked for. Raises Fault for what is not there."""
    owner = owner_of(desk, found, model)
    if file:
        one = file_of(desk, owner, file)
        trail = _trail(model, posixpath.dirname(file))
        return FilesView(file=_shown(desk, found, model, one), trail=trail, sha256=one.sha256)
    folder = client_paths.folder_path(folder)
    listed = desk.catalog.tracking.files.listed(owner, folder)
    first = max(first, 0)
    rows = [_row(desk, owner, model, one) for one in listed[first : first + _PAGE]]
    more = _address(model=model, folder=folder, first=first + _PAGE) if first + _PAGE < len(listed) else ""
    table = Table(
        name="files", columns=_COLUMNS, rows=rows, more=more, empty="No files here.",
        command='context.artifact("plot.png")' if found.kind == "attempt" else 'mlflow.log_artifact("plot.png")',
    )  # fmt: skip
    owners = tuple((one, _address(model=one)) for one in _models(found)) if not model and not folder else ()
    return FilesView(table=table, trail=_trail(model, folder), owners=owners)


def owner_of(desk: Desk, found: Subject, model: str) -> str:
    """Whose files: the run's, or those of a model that it logged. Raises Fault for another model."""
    if model and (model not in _models(found) or desk.catalog.tracking.logged.experiment(model) != found.tracked.experiment):
        raise missing("that run logged no such model")
    return model or found.id


def file_of(desk: Desk, owner: str, path: str) -> ClientFile:
    """One file. Raises Fault where there is none, or its bytes are gone."""
    found = desk.catalog.tracking.files.get(owner, client_paths.file_path(path))
    if found is None:
        raise missing("there is no such file")
    try:
        desk.store.blob(PREFIX + found.sha256.removeprefix(PREFIX))
    except GoneError:
        raise missing("the bytes of this file are collected or gone; its name, size and digest stay on record") from None
    return found


def _models(found: Subject) -> list[str]:
    return [one.model_id for one in found.detail.models_out]


def _shown(desk: Desk, found: Subject, model: str, one: ClientFile) -> Shown:
    asked = urlencode({"path": one.path, **({"model": model} if model else {})})
    base = path_of("runs", found.id)
    return shown(desk, one.sha256, posixpath.basename(one.path), media=f"{base}/media?{asked}", download=f"{base}/file?{asked}")


def _row(desk: Desk, owner: str, model: str, one: Listed) -> tuple[Value, ...]:
    name = posixpath.basename(one.path)
    if one.is_dir:
        return Link(f"{name}/", _address(model=model, folder=one.path)), None, None, None
    kept = desk.catalog.tracking.files.get(owner, one.path)
    digest = short_digest(kept.sha256) if kept is not None else ""
    link = Link(name, _address(model=model, file=one.path))
    return link, one.size if one.size >= 0 else None, digest, kept.changed_ms if kept is not None and kept.changed_ms else None


def _trail(model: str, folder: str) -> tuple[tuple[str, str], ...]:
    """The folders above, each with its address."""
    steps = [("files", _address())]
    if model:
        steps.append((model, _address(model=model)))
    parts = folder.split("/") if folder else []
    steps += [(name, _address(model=model, folder="/".join(parts[: at + 1]))) for at, name in enumerate(parts)]
    return tuple(steps)


def _address(**asked: str | int) -> str:
    return "?" + urlencode({"tab": "files", **{key: value for key, value in asked.items() if value}})
