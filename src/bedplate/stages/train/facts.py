"""What the record knows of a model version, gathered once from the catalog for its card."""

from __future__ import annotations

from typing import Any

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.lineage import Lineage
from bedplate.catalog.tracking.tracked import RunDetail
from bedplate.core.check import Check
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.model import Signature
from bedplate.core.records import Attempt, Promotion, Record, Run, Step, Verdict, Version
from bedplate.pipeline.served import RUNTIME
from bedplate.storage.flavours import Stored
from bedplate.storage.models import stored_of


class Facts(Record, frozen=True, kw_only=True):
    """Everything a model card is written from. `checks` maps `check@version` to what that check found.

    `description` is the docstring of the function that made it; `aliases` are those that name this version now; `history` holds every
    move of the model's aliases, oldest first. Of a version that a client registered `client` is the run that it says made it, where there
    is one: `metrics` and `params` are then that run's, and `description` is what people said of the version, or of the model.
    `asked_by` is the runtime that the last server to load it chose.
    """

    version: Version
    stored: Stored
    run: Run
    attempt: Attempt
    step: Step | None = None
    description: str = ""
    metrics: dict[str, float] = msgspec.field(default_factory=dict)
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    lineage: Lineage | None = None
    verdicts: tuple[Verdict, ...] = ()
    checks: dict[str, Check] = msgspec.field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    history: tuple[Promotion, ...] = ()
    client: RunDetail | None = None
    asked_by: str = ""


def gather(catalog: Catalog, ref: str, description: str = "", *, whole: bool = True) -> Facts:
    """The facts of a model version (`late`, `late@7`, `late@production`). Raises NotFound, UserError for what is no model.

    Without `whole` its lineage is left out, and a description that cannot be read is told as of no flavour: for a page asked for often.
    """
    version = catalog.artifacts.get(ref)
    if version.kind != "model":
        raise UserError(f"{version.ref} is no model", why=f"it is kept as {version.kind}", next=f"bedplate show {version.artifact}")
    attempt = catalog.runs.attempt(version.attempt)
    verdicts = tuple(catalog.models.verdicts(version.artifact, version.number))
    facts = Facts(
        version=version, stored=stored_of(version) if whole else _readable(version), run=catalog.runs.get(attempt.run),
        attempt=attempt, step=catalog.runs.step_of(attempt.id), description=description, metrics=catalog.runs.metrics(attempt.id),
        params=catalog.runs.params(attempt.id), tags=catalog.runs.tags(attempt.id), lineage=catalog.lineage(version.ref) if whole else None,
        verdicts=verdicts, checks=_checks(catalog, verdicts),
        aliases=tuple(alias for alias, number in catalog.models.named(version.artifact).items() if number == version.number),
        history=tuple(catalog.models.history(version.artifact)), asked_by=_asked_by(catalog, version),
    )  # fmt: skip
    return _of_client(catalog, facts) if facts.run.origin == "client" else facts


def _of_client(catalog: Catalog, facts: Facts) -> Facts:
    """With what the client's run said, and what people said of the version."""
    version, model = facts.version, catalog.tracking.registry.get(facts.version.artifact)
    said = catalog.tracking.registry.version(version.artifact, version.number).description or model.description
    run = next(iter(catalog.tracking.details.of([facts.attempt.id])), None)
    return msgspec.structs.replace(
        facts, client=run, description=said or facts.description,
        metrics={one.key: float(one.value) for one in run.metrics} if run else {},
        params={one.key: one.value for one in run.params} if run else {},
    )  # fmt: skip


def _readable(version: Version) -> Stored:
    """The description of a version; of one that cannot be read nothing is known."""
    try:
        return stored_of(version)
    except CorruptError:
        return Stored(flavour="", library="", signature=Signature(inputs=(), outputs=()))


def _asked_by(catalog: Catalog, version: Version) -> str:
    event = catalog.events.last(RUNTIME, version.ref)
    return str(event.data.get("line", "")) if event is not None else ""


def _checks(catalog: Catalog, verdicts: tuple[Verdict, ...]) -> dict[str, Check]:
    found = (catalog.artifacts.find(f"{verdict.check}@{verdict.check_version}") for verdict in verdicts)
    return {check.ref: msgspec.json.decode(check.value, type=Check) for check in found if check is not None and check.value}
