"""One version of a model: what checks said of it beside another version, what differs and why, how it was made, and its card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from bedplate.catalog.lineage import handed_to
from bedplate.catalog.tracking.clauses import Clause, Order
from bedplate.catalog.tracking.registered import ModelVersion
from bedplate.catalog.tracking.registry_search import Asked
from bedplate.core.errors import NotFound
from bedplate.interfaces.http.console.about import project
from bedplate.interfaces.http.console.charts import Chart
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.judged.aliases import aliases_of
from bedplate.interfaces.http.console.judged.verdicts import Judged, judged, standing, verdict_chart, verdict_table
from bedplate.interfaces.http.console.served.serving import held_by, served
from bedplate.interfaces.http.console.tables import Column, Link, Table, Value
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, Resource, missing
from bedplate.pipeline.compare import Difference, causes, diff
from bedplate.stages.train.card import card
from bedplate.stages.train.facts import Facts, gather

_CHOICES: Final = 30
_BECAUSE: Final = "because"
_LONGEST: Final = 200_000
"""Characters of a card that are shown."""


class GetVersion(Asks, frozen=True, kw_only=True):
    """A version, and the one to compare it with (0: the one before it)."""

    name: str
    number: int
    against: int = 0


def on_model(_desk: Desk, asked: GetVersion) -> Resource:
    """The model."""
    return Resource("model", asked.name)


def version(desk: Desk, asked: GetVersion) -> Reply:
    """The page. Raises NotFound."""
    found = desk.catalog.tracking.registry.version(asked.name, asked.number)
    facts = gather(desk.catalog, f"{asked.name}@{asked.number}", whole=False)
    others = _others(desk, asked)
    other = _other(asked, others)
    opened = _may_see_making(desk, found)
    mine = judged(desk.catalog, asked.name, asked.number)
    theirs = {one.verdict.check: one for one in judged(desk.catalog, asked.name, other)} if other is not None else {}
    tables, charts = _verdicts(asked, mine, theirs, other)
    differs = diff(desk.catalog, f"{asked.name}@{other}", f"{asked.name}@{asked.number}") if other is not None and opened else ()
    aliases, serving = aliases_of(desk, asked.name), served(desk)
    return page(
        desk, "model_version.html", title=f"{asked.name}@{asked.number}", at="models",
        tables=(*tables, _differences(differs, other), _inputs(desk, facts, opened), _signature(facts), _settings(facts, opened)),
        charts=charts, version=found, facts=facts, other=other, others=others, opened=opened, aliases=aliases,
        tags=[one for one in found.tags if not one.key.startswith("bedplate.check.")],
        because=_because(desk, asked.name, other, asked.number) if other and opened else (), checks=[one.verdict for one in mine],
        verdict=standing([one.verdict for one in mine]),
        named=aliases.named(asked.number), barred=asked.number in aliases.barred, instead=str(facts.version.meta.get("instead", "")),
        serving=held_by(serving, asked.name, asked.number),
        lineage="/lineage?" + urlencode({"of": facts.version.ref}), run=path_of("runs", facts.run.id),
        is_project=facts.run.origin != "client",
    )  # fmt: skip


def read_card(desk: Desk, asked: GetVersion) -> Reply:
    """All that the record knows of a version, as text. Raises NotFound, Fault for who may not see how it was made."""
    found = desk.catalog.tracking.registry.version(asked.name, asked.number)
    if not _may_see_making(desk, found):
        raise missing("there is no such card, or you may not see it")
    text = card(gather(desk.catalog, f"{asked.name}@{asked.number}"))
    return page(desk, "model_card.html", title=f"{asked.name}@{asked.number} card", at="models", text=text[:_LONGEST])


def _others(desk: Desk, asked: GetVersion) -> list[int]:
    """Versions to compare with: the newest, those just before, and those that aliases name."""
    search = desk.catalog.tracking.registry_search
    named = Clause("attribute", "name", "=", asked.name)
    order = (Order("attribute", "version_number", True),)
    below = Clause("attribute", "version_number", "<", asked.number)
    found, _ = search.versions(Asked(clauses=(named,), orders=order, limit=_CHOICES))
    before, _ = search.versions(Asked(clauses=(named, below), orders=order, limit=_CHOICES))
    numbers = {one.number for one in (*found, *before)} | set(desk.catalog.models.aliases(asked.name).values())
    return sorted(numbers - {asked.number}, reverse=True)


def _other(asked: GetVersion, others: Sequence[int]) -> int | None:
    """The version to compare with. Raises NotFound for one that there is not."""
    if asked.against:
        if asked.against not in others:
            raise NotFound(f"there is no version {asked.against} of this model to compare with")
        return asked.against
    return next((number for number in others if number < asked.number), None)


def _may_see_making(desk: Desk, found: ModelVersion) -> bool:
    """Whether the actor may see what a version was made of: what its project or its run may be asked."""
    if found.origin == "project":
        owner = project(desk)
        return owner is not None and desk.may("artifact.read", Resource("experiment", str(owner.id)))
    owner_of = desk.catalog.tracking.files.owner_of("run", found.run) if found.run else None
    return owner_of is None or desk.may("run.read", Resource("experiment", str(owner_of.experiment)))


def _verdicts(asked: GetVersion, mine: Sequence[Judged], theirs: dict[str, Judged], other: int | None) -> tuple[list[Table], list[Chart]]:
    """A table and a chart for each check."""
    labels = f"version {asked.number}", f"version {other}"
    tables, charts = [], []
    for place, one in enumerate(mine):
        beside = theirs.get(one.verdict.check)
        tables.append(verdict_table(f"verdict-{place}", one, beside, labels[1]))
        drawn = verdict_chart(f"bars-{place}", one, beside, labels)
        if drawn is not None:
            charts.append(drawn)
    return tables, charts


def _because(desk: Desk, name: str, before: int, after: int) -> list[tuple[Link, str, tuple[str, ...]]]:
    """Each version that is not as it was, the one before, and why: the model first, then what it was made of."""
    told = []
    for one in causes(desk.catalog, f"{name}@{before}", f"{name}@{after}"):
        name, _, number = one.after.rpartition("@")
        told.append((Link(one.after, path_of("artifacts", name, number)), one.before, one.texts))
    return told


def _differences(found: Sequence[Difference], other: int | None) -> Table:
    columns = Column("what", "What"), Column("before", f"version {other}", "code"), Column("after", "this version", "code")
    shown = [one for one in found if one.what != _BECAUSE and not one.what.startswith("check ")]
    rows = [(one.what, one.before or None, one.after or None) for one in shown]
    return Table(name="differences", columns=columns, rows=rows, empty="Nothing that the record knows differs.")


def _inputs(desk: Desk, facts: Facts, opened: bool) -> Table:
    columns = Column("parameter", "Parameter"), Column("version", "Version"), Column("what", "What")
    return Table(name="inputs", columns=columns, rows=list(_made_of(desk, facts)) if opened else [], empty="The record knows of no inputs.")


def _made_of(desk: Desk, facts: Facts) -> Iterator[tuple[Value, ...]]:
    """What the version was made of: versions, sources of its step, datasets that its client named."""
    keys = facts.step.key_parts if facts.step is not None else None
    handed = keys.versions if keys is not None else dict.fromkeys(handed_to(desk.catalog.database, facts.attempt.id), "")
    for parameter, ref in handed.items() if keys is not None else ((ref, ref) for ref in handed):
        name, _, number = ref.rpartition("@")
        yield parameter, Link(ref, path_of("artifacts", name, number)) if name else None, "artifact"
    for parameter, entries in desk.catalog.sources.read_by(facts.attempt.id).items():
        yield parameter, None, f"{len(entries):,} files or rows of a source"
    for given in facts.client.datasets if facts.client is not None else ():
        yield given.dataset.name, given.dataset.digest, "dataset that its client named"


def _signature(facts: Facts) -> Table:
    """What it takes and gives."""
    columns = Column("way", "Takes or gives"), Column("name", "Name"), Column("type", "Type", "code"), Column("known", "Known values")
    signature = facts.stored.signature
    fields = [*(("takes", one) for one in signature.inputs), *(("gives", one) for one in signature.outputs)]
    rows = [(way, one.name, one.type, ", ".join(one.categories[:12]) or None) for way, one in fields]
    return Table(name="signature", columns=columns, rows=rows, empty="It was registered without a signature.")


def _settings(facts: Facts, opened: bool) -> Table:
    """Params, settings and metrics."""
    keys = facts.step.key_parts if facts.step is not None else None
    said: list[tuple[Value, ...]] = [(name, value, "metric") for name, value in facts.metrics.items()]
    if opened:
        given: dict[str, Any] = {**(keys.settings if keys is not None else {}), **facts.params}
        said += [(name, value if isinstance(value, int | float | str) else str(value), "setting") for name, value in given.items()]
    columns = Column("name", "Name"), Column("value", "Value", "code"), Column("what", "What")
    return Table(name="figures", columns=columns, rows=said, empty="It has no metric or setting on record.")


ENDPOINTS: Final = (
    Endpoint("GET", "/models/{name}/{number}", GetVersion, "model.read", on_model, version),
    Endpoint("GET", "/models/{name}/{number}/card", GetVersion, "model.read", on_model, read_card),
)
