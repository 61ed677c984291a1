"""Where a project stands: what exists and what runs, one thing in detail, and a person's moves of an alias.

The verbs `status`, `show`, `promote` and `rollback` answer from here, and so does a notebook.
"""

from __future__ import annotations

import re
from datetime import datetime

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.services import Service
from bedplate.core.errors import NotFound, UserError
from bedplate.core.records import Promotion, Record, Run, Version
from bedplate.planner.rollout.rule import Rule, Way
from bedplate.storage.client_models import refuse_opaque

from .provenance import who
from .wiring.graph import Graph


class Status(Record, frozen=True, kw_only=True):
    """What exists: the head of each artifact, each model's aliases (alias -> version), the last runs (newest first), what is served now,
    the steps whose last attempt failed, the moves that try a version beside the one in production, and those with which servers rolled one
    back by themselves.
    """

    artifacts: dict[str, Version]
    models: dict[str, dict[str, int]]
    runs: tuple[Run, ...]
    services: tuple[Service, ...]
    failed: tuple[str, ...]
    rolled_out: tuple[Promotion, ...] = ()
    rolled_back: tuple[Promotion, ...] = ()


class Shown(Record, frozen=True, kw_only=True):
    """One version in detail: all versions of its artifact (newest first), what its step measured, of a model the aliases that name it and
    its card (Markdown, which a notebook draws).
    """

    version: Version
    versions: tuple[Version, ...]
    metrics: dict[str, float]
    aliases: tuple[str, ...] = ()
    card: str = ""

    def _repr_markdown_(self) -> str:
        """What a notebook draws: a model's card; of anything else its identity and columns."""
        columns = "".join(f"\n- {column.name}: {column.type}" for column in self.version.columns)
        return self.card or f"**{self.version.ref}** {self.version.kind}\n{columns}"


def status(catalog: Catalog, runs: int) -> Status:
    """The project as it stands, with at most so many runs."""
    heads = catalog.artifacts.heads()
    models = {name: catalog.models.named(name) for name, head in heads.items() if head.kind == "model"}
    return Status(
        artifacts=heads, models=models, rolled_out=tuple(move for name in models for move in catalog.models.rolled_out(name)),
        rolled_back=tuple(move for name in models for move in catalog.models.undone(name)),
        runs=tuple(catalog.runs.last(runs)), services=tuple(catalog.services.list()), failed=tuple(sorted(catalog.runs.failed_steps())),
    )  # fmt: skip


def shown(catalog: Catalog, graph: Graph, ref: str) -> Shown:
    """A version (`late`, `late@7`, `late@production`) without a card. Raises NotFound, which says what to do about it."""
    _has_been_made(catalog, graph, re.split(r"[@\[]", ref)[0])
    version = catalog.artifacts.get(ref)
    return Shown(
        version=version, versions=tuple(catalog.artifacts.versions(version.artifact)), metrics=catalog.runs.metrics(version.attempt),
        aliases=tuple(alias for alias, number in catalog.models.named(version.artifact).items() if number == version.number),
    )  # fmt: skip


def aside(catalog: Catalog, head: Version) -> str:
    """Why no alias names a model's newest version, and what to do; empty where one does, or none was ever given."""
    aliases = catalog.models.named(head.artifact)
    if not aliases or head.number in aliases.values():
        return ""
    if head.number in catalog.models.barred(head.artifact):
        return f"{head.ref} is barred: it was rolled back from, and no check promotes it; bedplate promote {head.ref} frees it"
    return f"{head.ref} is the head and has no alias: bedplate show {head.ref} says what its checks said"


def promote(catalog: Catalog, ref: str, alias: str, reason: str, at: datetime) -> Promotion:
    """Give `late@7` an alias by a person's word. Raises NotFound, UserError for no model or no version, Refused for an opaque one."""
    return _given(catalog, ref, alias, reason, at)


def _given(catalog: Catalog, ref: str, alias: str, reason: str, at: datetime, rule: str = "") -> Promotion:
    version = catalog.artifacts.get(ref)
    if version.kind != "model":
        raise UserError(f"{version.ref} is a {version.kind}, not a model", next="bedplate status")
    refuse_opaque(version, version.ref)
    if "@" not in ref:
        named = {number: alias for alias, number in catalog.models.named(version.artifact).items()}
        known = catalog.artifacts.versions(version.artifact)
        there = ", ".join(f"{one.ref} ({named[one.number]})" if one.number in named else one.ref for one in known)
        raise UserError(f"which version of {version.artifact}?", why=f"there are {there}", next=f"bedplate promote {version.ref}")
    move = Promotion(
        model=version.artifact, alias=alias, version=version.number, by="person", reason=reason or who(), at=at, check=rule,
        actor=who().removeprefix("by "),
    )  # fmt: skip
    return catalog.models.promote(move)


def roll_out(catalog: Catalog, ref: str, way: Way, rule: Rule, reason: str, at: datetime) -> Promotion:
    """Try `late@7` beside the version in production, by a rule. Raises as `promote`, and Refused without one."""
    return _given(catalog, ref, way, reason, at, rule.text)


def rollback(catalog: Catalog, graph: Graph, model: str, alias: str, reason: str, at: datetime) -> Promotion:
    """Take an alias of `late` (or `late@canary`) back. Raises NotFound, and Refused where there is nothing to go back to."""
    name, _, given = model.partition("@")
    known(catalog, graph, name)
    return catalog.models.rollback(name, given or alias, at, reason or who(), who().removeprefix("by "))


def known(catalog: Catalog, graph: Graph, name: str) -> None:
    """Raises NotFound for a name that neither the project nor the record has: a client's model is in no project file."""
    if not _is_on_record(catalog, name):
        graph.node(name)


def _is_on_record(catalog: Catalog, name: str) -> bool:
    return any(name == one.partition("[")[0] for one in catalog.artifacts.names())


def _has_been_made(catalog: Catalog, graph: Graph, name: str) -> None:
    """Raises NotFound for a name that neither the record nor the project knows, and where nothing was made under it yet."""
    if _is_on_record(catalog, name):
        return
    node = graph.node(name)
    if node.declaration.decorator == "service":
        raise NotFound(f"{name} is a service", why="what it serves is not an artifact", next=f"bedplate serve {name}")
    raise NotFound(f"'{name}' has not been made yet", next=f"bedplate run {name}")
