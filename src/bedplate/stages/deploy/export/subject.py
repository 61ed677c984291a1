"""What is exported: a model, or a service with the models that it takes, in the versions that a server here would serve now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bedplate.core.errors import NotFound, UserError
from bedplate.core.model import Model
from bedplate.core.project import Needs
from bedplate.core.records import Version
from bedplate.pipeline.workspace import Workspace
from bedplate.stages.deploy.choose import choose
from bedplate.stages.deploy.declared import models, services
from bedplate.stages.deploy.deployment import Waiting
from bedplate.stages.deploy.service import Wanted
from bedplate.stages.deploy.site import CatalogRecord
from bedplate.storage.flavours import Stored
from bedplate.storage.models import stored_of
from bedplate.storage.runtimes import Source


class Exported(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One model: its name, version and description, and where its files lie."""

    name: str
    version: Version
    stored: Stored
    files: dict[str, Path]
    model: Model
    source: Source | None

    @property
    def example(self) -> list[dict[str, Any]]:
        """The first rows that it was stored with."""
        return list(self.stored.example)


class Subject(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A name, whether a service or a model has it, its models, and what the service declares that it needs."""

    name: str
    kind: str
    models: tuple[Exported, ...]
    needs: Needs
    p95_s: float | None = None


def subject(workspace: Workspace, name: str) -> Subject:
    """What is exported under a name. Raises NotFound, and UserError for what could not be served now either."""
    record, base = CatalogRecord(workspace.catalog), name.partition("@")[0]
    for service in services(workspace.graph):
        if service.name == name:
            wanted = [one for one in service.wanted if one.view == "model"]
            chosen = {one.artifact: choose(one, record) for one in wanted if not _absent(one, record)}
            declared = workspace.graph.nodes[name].declaration
            taken = tuple(_exported(workspace, made, found) for made, found in chosen.items())
            return Subject(name=name, kind="service", models=taken, needs=declared.needs, p95_s=declared.p95_s)
    known = {one.artifact: one for one in models(workspace.graph)}
    found: Version | Waiting | None = record.find(name) if "@" in name or base not in known else choose(known[base], record)
    if found is None:
        raise NotFound(f"no service and no model is called '{name}'", next="bedplate status lists them")
    return Subject(name=base, kind="model", models=(_exported(workspace, base, found),), needs=Needs())


def _absent(wanted: Wanted, record: CatalogRecord) -> bool:
    return wanted.optional and isinstance(choose(wanted, record), Waiting)


def _exported(workspace: Workspace, name: str, version: Version | Waiting) -> Exported:
    """A version with its model in memory. Raises UserError for one that waits, or is no model."""
    if isinstance(version, Waiting):
        raise UserError(f"{name} cannot be exported", why=version.reason, next=version.next)
    if version.kind != "model":
        raise UserError(f"{version.ref} is a {version.kind}, not a model or service", next="bedplate lint lists what each name is")
    model: Model = workspace.store.load(version, "model")
    stored = stored_of(version)
    files = {at: workspace.store.blob(file.digest) for at, file in stored.files.items()}
    return Exported(name=name, version=version, stored=stored, files=files, model=model, source=workspace.store.source(version, model))
