"""Artifacts: the list of all, and one with its versions, how it grew, who uses it, and what its step would not keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from bedplate.catalog.listing import Listed, Made, Order, Question, Stand, Use
from bedplate.core.digests import short
from bedplate.core.errors import UserError
from bedplate.core.kinds import KIND_SCHEMA
from bedplate.core.records import Attempt
from bedplate.interfaces.http.console.about import on_project
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.served.serving import Serving, served
from bedplate.interfaces.http.console.stored.artifact_facts import REJECTS, aliases_of, own, stand, to_artifact, to_run, version_of
from bedplate.interfaces.http.console.tables import Column, Link, Shape, State, Table, Value
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, invalid, missing, on_server

_PAGE: Final = 50
_LATELY: Final = 20
"""Versions whose uses are shown."""
STAGES: Final = ("ingest", "prepare", "train", "validate", "deploy", "monitor")
_HEADS: Final[tuple[tuple[str, str, Shape, Order | None], ...]] = (
    ("name", "Name", "text", "name"),
    ("state", "Its last turn", "state", None),
    ("why", "Why", "words", None),
    ("kind", "Kind", "text", None),
    ("stage", "Stage", "text", None),
    ("versions", "Versions", "number", "versions"),
    ("rows", "Rows", "number", "rows"),
    ("bytes", "Size", "bytes", "size"),
    ("made", "Last made (UTC)", "time", "made"),
)


class GetArtifacts(Asks, frozen=True, kw_only=True):
    """A page of the list: `q` is a part of the name."""

    q: str = ""
    kind: str = ""
    stage: str = ""
    order: Order = "name"
    turned: str = ""
    token: str = ""


def artifacts(desk: Desk, asked: GetArtifacts) -> Reply:
    """The list."""
    question = Question(
        words=asked.q, kind=asked.kind, stage=asked.stage, order=asked.order, turned=bool(asked.turned), own=own(desk),
        models=desk.sees("model"), limit=_PAGE, token=asked.token,
    )  # fmt: skip
    try:
        found, token = desk.catalog.listing.page(question)
    except UserError as error:
        raise invalid(str(error)) from None
    count, size = desk.catalog.listing.total(question)
    narrowed = bool(asked.q or asked.kind or asked.stage)
    return page(
        desk, "artifacts.html", title="Artifacts", at="artifacts", tables=(_list(desk, asked, found, token, narrowed),), asked=asked,
        kinds=tuple(KIND_SCHEMA)[:6], stages=STAGES, count=count, size=size, narrowed=narrowed,
    )  # fmt: skip


def _list(desk: Desk, asked: GetArtifacts, found: Sequence[Listed], token: str, narrowed: bool) -> Table:
    """A page of artifacts, with how the step of each stood last."""
    stands = desk.catalog.listing.stands([one.step for one in found if one.origin == "project"])
    return Table(
        name="artifacts", columns=_columns(asked), rows=[_row(one, stands) for one in found],
        more=_address(asked, token=token) if token else "",
        empty="Nothing is called that." if narrowed else "No artifacts yet: a run makes them.", command="" if narrowed else "bedplate run",
    )  # fmt: skip


def _columns(asked: GetArtifacts) -> tuple[Column, ...]:
    """Heads that sort, each the other way round where it sorts already."""
    made: list[Column] = []
    for key, label, shape, order in _HEADS:
        mine = order is not None and asked.order == order
        href = "" if order is None else _address(asked, order=order, turned="" if not mine or asked.turned else "1")
        falls = (order != "name") != bool(asked.turned)
        made.append(Column(key, label, shape, href, ("down" if falls else "up") if mine else ""))
    return tuple(made)


def _address(asked: GetArtifacts, **more: str) -> str:
    """This list, with other words."""
    words = {"q": asked.q, "kind": asked.kind, "stage": asked.stage, "order": asked.order, "turned": asked.turned, **more}
    return "?" + urlencode({key: value for key, value in words.items() if value and (key, value) != ("order", "name")})


def _row(one: Listed, stands: Mapping[str, Stand]) -> tuple[Value, ...]:
    stood = stands.get(one.step)
    by_client = one.origin == "client"
    return (
        Link(one.name, path_of("models", one.name)) if by_client else to_artifact(one.name),
        State("by a client", "off") if by_client else stand(stood),
        stood.why if stood is not None else "",
        one.kind,
        one.stage or ("client" if by_client else ""),
        one.versions,
        one.rows,
        one.size_bytes,
        one.created_at,
    )


class GetArtifact(Asks, frozen=True, kw_only=True):
    """One artifact; `before` is the number that this page of its versions begins below."""

    name: str
    before: int = 0


def artifact(desk: Desk, asked: GetArtifact) -> Reply:
    """Its versions and everything around them."""
    listing = desk.catalog.listing
    made = listing.versions(asked.name, _PAGE + 1, asked.before or None)
    newest = made[0] if made and not asked.before else next(iter(listing.versions(asked.name, 1)), None)
    if newest is None:
        raise missing(f"nothing is called '{asked.name}'")
    shown = version_of(desk, f"{asked.name}@{newest.number}")
    head = desk.catalog.artifacts.head(asked.name)
    aliases = listing.aliases([asked.name]).get(asked.name, {})
    stood = listing.stands([newest.step]).get(newest.step)
    first = max(newest.number - _LATELY + 1, 1)
    uses = listing.uses(asked.name, first, newest.number)
    services = [one for one in served(desk) if asked.name in one.service.models]
    failed = listing.failures(newest.step) if newest.step else []
    tables = (
        _versions(asked.name, made, aliases, head.number if head else None),
        uses_table(uses, f"No step was handed one of its newest {_LATELY} versions."),
        _services(asked.name, services),
        _failures(asked.name, failed),
    )
    return page(
        desk,
        "artifact.html",
        title=asked.name,
        at="artifacts",
        tables=tables,
        charts=_charts(desk, asked.name),
        version=shown,
        head=head,
        stood=stood,
        stands=stand(stood),
        aliases=aliases,
        step=newest.step,
        is_features=any(one.view == "features" for one in uses),
    )


def _services(name: str, services: Sequence[Serving]) -> Table:
    """The servers that answer with a version of it."""
    columns = (
        Column("service", "Service"),
        Column("address", "At"),
        Column("version", "Version"),
        Column("state", "Status", "state"),
        Column("seen", "Last sign of life (UTC)", "time"),
    )
    rows = [
        (
            Link(one.service.name, path_of("serving", one.service.name)),
            one.service.url,
            one.service.models[name],
            one.state,
            one.service.heartbeat,
        )
        for one in services
    ]
    return Table(name="services", columns=columns, rows=rows)


def _failures(name: str, failed: Sequence[Attempt]) -> Table:
    """Attempts at its step that failed, with what they would not keep."""
    columns = (
        Column("attempt", "Attempt"),
        Column("at", "When (UTC)", "time"),
        Column("cause", "Cause"),
        Column("said", "What it said", "words"),
        Column("rejected", "Rows that it would not keep"),
    )
    rows = [
        (
            to_run(one.id),
            one.ended_at or one.started_at,
            one.cause,
            one.message,
            Link("look at them", path_of("artifacts", name, "rejected", one.id)) if REJECTS in one.message else None,
        )
        for one in failed
    ]
    return Table(name="failed", columns=columns, rows=rows)


def _versions(name: str, made: Sequence[Made], aliases: Mapping[str, int], head: int | None) -> Table:
    """The versions, newest first."""
    columns = (
        Column("version", "Version"),
        Column("made", "Made (UTC)", "time"),
        Column("rows", "Rows", "number"),
        Column("bytes", "Size", "bytes"),
        Column("marks", "Is"),
        Column("digest", "Digest", "code"),
        Column("run", "By run"),
        Column("why", "Why it was made", "words"),
        Column("diff", "From the one before"),
    )
    rows: list[tuple[Value, ...]] = []
    for one in made[:_PAGE]:
        marks = [*(["head"] if one.number == head else []), aliases_of(aliases, one.number), *([] if one.head else ["side"])]
        before = path_of("artifacts", name, "diff") + "?" + urlencode({"from": one.number - 1, "to": one.number})
        rows.append(
            (
                Link(f"@{one.number}", path_of("artifacts", name, str(one.number))),
                one.created_at,
                one.rows,
                one.size_bytes,
                ", ".join(filter(None, marks)),
                short(one.digest),
                to_run(one.run),
                one.why,
                Link("what changed", before) if one.number > 1 else None,
            )
        )
    more = f"?before={made[_PAGE - 1].number}" if len(made) > _PAGE else ""
    return Table(name="versions", columns=columns, rows=rows, more=more)


def uses_table(uses: Sequence[Use], empty: str) -> Table:
    """Who was handed versions."""
    columns = (
        Column("version", "Version", "number"),
        Column("step", "By step"),
        Column("parameter", "As parameter", "code"),
        Column("view", "Handed as"),
        Column("made", "It made"),
        Column("run", "In run"),
        Column("at", "When (UTC)", "time"),
    )
    rows = [(one.number, one.step, one.parameter, one.view, _made(one.made), to_run(one.run), one.at) for one in uses]
    return Table(name="uses", columns=columns, rows=rows, empty=empty)


def _made(ref: str) -> Value:
    name, _, number = ref.rpartition("@")
    return Link(ref, path_of("artifacts", name, number)) if name else None


def _charts(desk: Desk, name: str) -> tuple[Chart, ...]:
    """Rows and bytes over versions, from the second version on."""
    grown = desk.catalog.listing.growth(name)
    if len(grown) < 2:
        return ()
    at = Axis("version", "whole")
    numbers, words = [float(one[0]) for one in grown], [f"@{one[0]}, {one[1]:%Y-%m-%d %H:%M}" for one in grown]
    rows = [None if one[2] is None else float(one[2]) for one in grown]
    size = Chart(
        name="growth",
        title="Size by version",
        x=at,
        y=Axis("bytes"),
        series=(Series("bytes", numbers, [float(one[3]) for one in grown], words),),
    )
    if all(one is None for one in rows):
        return (size,)
    return Chart(name="rows", title="Rows by version", x=at, y=Axis("rows"), series=(Series("rows", numbers, rows, words),)), size


ENDPOINTS: Final = (
    Endpoint("GET", "/artifacts", GetArtifacts, "experiment.list", on_server, artifacts),
    Endpoint("GET", "/artifacts/{name}", GetArtifact, "artifact.read", on_project, artifact),
)
