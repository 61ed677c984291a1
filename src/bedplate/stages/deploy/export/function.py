"""A service's own function, as a bundle carries it: its code, what it is called with, and what has to be sent because it is not there.

What stays: a function that takes a table, files, a Context or two versions of one model, one that is asynchronous, and one whose code
cannot be followed or calls bedplate. Features stay too: they are looked up where the record is, so that their values come with the request.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import polars as pl

from bedplate.core import calling
from bedplate.core.errors import UserError
from bedplate.pipeline.code.behind import Behind
from bedplate.pipeline.code.lift import lift
from bedplate.pipeline.workspace import Workspace
from bedplate.stages.deploy.choose import choose
from bedplate.stages.deploy.declared import services
from bedplate.stages.deploy.deployment import Waiting
from bedplate.stages.deploy.service import Service, Wanted
from bedplate.stages.deploy.site import CatalogRecord

from .caller import FEATURES


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into a bundle: files by name, what the caller there has to know, the packages that the code imports, and a note."""

    about: dict[str, Any]
    files: dict[str, str]
    imports: tuple[str, ...]
    note: str


def carried(workspace: Workspace, name: str) -> Carried:
    """The function of the service `name`. Raises UserError, whose `what` and `why` say why it stays."""
    service = next(one for one in services(workspace.graph) if one.name == name)
    _check(service)
    loaded = workspace.parts.loaded
    Behind(loaded)(service.source)
    lifted = lift(service.source, service.parameters, [loaded.file.parent])
    record = CatalogRecord(workspace.catalog)
    views: dict[str, Any] = {}
    values: dict[str, Any] = {}
    models: dict[str, str | None] = {}
    for wanted in service.wanted:
        version = choose(wanted, record)
        if isinstance(version, Waiting):
            if not wanted.optional:
                raise _stays(name, version.reason)
            values[wanted.parameter] = None
        elif wanted.view == "model":
            models[wanted.parameter] = wanted.artifact
        elif wanted.view == "features":
            views[wanted.parameter] = _view(workspace.store.load(version, "features", wanted.spec))
        elif wanted.view == "scalar":
            values[wanted.parameter] = msgspec.to_builtins(calling.plain(workspace.store.load(version, "scalar", None)))
        else:
            raise _stays(name, f"its function takes {version.ref}, a {version.kind}, which stays where the record is")
    if views and FEATURES in service.fields:
        raise _stays(name, f"'{FEATURES}' is a field of its request, and the features that it looks up are sent under that name")
    about = {
        "name": name, "module": lifted.module, "function": lifted.name, "models": models, "features": views, "values": values,
    }  # fmt: skip
    files = {f"code/{path}": text for path, text in lifted.files.items()}
    return Carried(about=about, files=files, imports=lifted.imports, note=_note(name, list(views)))


def _check(service: Service) -> None:
    """Raises UserError for a service that is not called alike elsewhere."""
    if service.fixed:
        raise _stays(service.name, "its function takes a Context")
    if inspect.isasyncgenfunction(service.source):
        raise _stays(service.name, "its function is asynchronous")
    models: list[Wanted] = [one for one in service.wanted if one.view == "model"]
    if len({one.artifact for one in models}) < len(models):
        raise _stays(service.name, "its function takes two versions of one model")


def _view(features: Any) -> dict[str, Any]:
    """How a view is keyed, and the type of each column that it gives."""
    columns = {name: _type(dtype) for name, dtype in features.schema.items()}
    return {"entity": list(features.spec.entity), "time": features.spec.time, "columns": columns}


def _type(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "int"
    if dtype.is_float():
        return "float"
    known = {pl.Boolean: "bool", pl.String: "text", pl.Enum: "text", pl.Categorical: "text", pl.Datetime: "time", pl.Date: "date"}
    return known.get(dtype.base_type(), "json")


def _note(name: str, views: list[str]) -> str:
    if not views:
        return f"{name} itself is in it: its function is called with the models beside it"
    return (
        f"{name} itself is in it, but not what it looks up: a request brings the rows of {', '.join(views)} along, "
        f"in '{FEATURES}', as they are looked up where the record is"
    )


def _stays(name: str, why: str) -> UserError:
    return UserError(f"{name} itself is not in it", why=why, next=f"bedplate export docker {name}")
