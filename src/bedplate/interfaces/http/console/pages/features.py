"""Features: the views that there are, and one: how fresh, an entity's values over time, distributions now against before, parity, uses."""

from __future__ import annotations

import importlib
from typing import Any, Final

import msgspec

from bedplate.core.errors import BedplateError
from bedplate.core.records import Version
from bedplate.interfaces.http.console.about import on_project
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.pages.artifacts import uses_table
from bedplate.interfaces.http.console.served.watching import bin_name, parity_table
from bedplate.interfaces.http.console.stored.artifact_facts import own, plain, seen, version_of
from bedplate.interfaces.http.console.stored.feature_facts import age, facts, known, spec_of
from bedplate.interfaces.http.console.tables import Column, Link, Table, Value
from bedplate.interfaces.http.door.endpoint import SERVER, Asks, Desk, Endpoint, Reply, missing, on_server
from bedplate.pipeline.served import logs
from bedplate.stages.monitor.valued import Known, Moved, Valued
from bedplate.storage.tables import entries

_MOST: Final = 60
_USES: Final = 10
_DRAWN: Final = 8
_SERVICES: Final = 5
_VALUING: Final = "bedplate.stages.monitor.valuing"


class GetFeatures(Asks, frozen=True, kw_only=True):
    """The views."""


class GetView(Asks, frozen=True, kw_only=True):
    """One view; `entity` is what names the entity, with a line break between its parts."""

    name: str
    entity: str = ""


def features(desk: Desk, _asked: GetFeatures) -> Reply:
    """The views that there are; where none may be seen, what to do about it."""
    if not own(desk):
        return page(desk, "nothing.html", title="Features", at="features", has_project=desk.beside is not None)
    names = desk.catalog.listing.looked_up()
    heads = [head for name in names[:_MOST] if (head := desk.catalog.artifacts.head(name)) is not None]
    told = {head.artifact: known(desk.catalog, head) for head in heads}
    columns = (
        Column("view", "View"),
        Column("entity", "Entity", "code"),
        Column("time", "Time", "code"),
        Column("created", "Known since", "code"),
        Column("worth", "Worth for", "seconds"),
        Column("window", "Window", "seconds"),
        Column("online", "Online"),
        Column("rows", "Rows", "number"),
        Column("made", "Last made (UTC)", "time"),
    )
    rows = [_row(head, told[head.artifact]) for head in heads]
    table = Table(
        name="features",
        columns=columns,
        rows=rows,
        empty="No features yet: declare some with @project.features(entity=..., time=...).",
        command="bedplate run",
    )
    return page(
        desk,
        "features.html",
        title="Features",
        at="features",
        tables=(table,),
        names=[head.artifact for head in heads],
        left_out=max(len(names) - _MOST, 0),
    )


def _row(head: Version, told: Known | None) -> tuple[Value, ...]:
    link = Link(head.artifact, path_of("features", head.artifact))
    if told is None:
        return link, "not told yet", None, None, None, None, None, head.rows, head.created_at
    spec = spec_of(told)
    return (
        link,
        ", ".join(spec.entity),
        spec.time,
        spec.created or None,
        spec.ttl_s or None,
        spec.window_s or None,
        told.spec.get("online"),
        head.rows,
        head.created_at,
    )


def view(desk: Desk, asked: GetView) -> Reply:
    """One view."""
    head, told = _head(desk, asked.name)
    uses = [one for one in desk.catalog.listing.uses(head.artifact, max(head.number - _USES, 1), head.number) if one.view == "features"]
    return page(
        desk,
        "feature.html",
        title=head.artifact,
        at="features",
        tables=(uses_table(uses, "No step was handed it as features lately."),),
        head=head,
        told=told,
        facts=facts(told) if told else [],
        entity=asked.entity,
        services=_logs(desk),
        parts=spec_of(told).entity if told else (),
    )


def _head(desk: Desk, name: str) -> tuple[Version, Known | None]:
    """The head of a view, and how it is keyed. Raises Fault for what is no table."""
    head = desk.catalog.artifacts.head(name)
    head = seen(desk, head) if head is not None else version_of(desk, name)
    if head.kind != "table":
        raise missing(f"{name} is no features: it is kept as {head.kind}")
    return head, known(desk.catalog, head)


def _logs(desk: Desk) -> list[str]:
    """The services that have predicted something, for who may see that."""
    return [name for name in logs(desk.store) if "/" not in name][:_SERVICES] if desk.may("service.read", SERVER) else []


def _fragment(desk: Desk, name: str, template: str, answer: Any) -> Reply:
    """A part of a page that is read from bytes; what cannot be read is said in its place."""
    head, told = _head(desk, name)
    if told is None:
        raise missing(f"nobody told how {name} is keyed")
    try:
        lost = desk.store.missing(head)
        if lost:
            return page(
                desk, "look_gone.html", title=name, at="", said=f"the bytes of {head.ref} are collected or gone", lost=tuple(lost[:10])
            )
        tables, charts, words = answer(head, told)
    except BedplateError as error:
        return page(desk, "look_gone.html", title=name, at="", said=str(error), lost=())
    return page(desk, template, title=name, at="", tables=tables, charts=charts, name=name, head=head, **words)


def fresh(desk: Desk, asked: GetView) -> Reply:
    """How old its newest values are."""

    def answer(head: Version, told: Known) -> Any:
        found = importlib.import_module(_VALUING).fresh(desk.store, head, told.spec)
        state, said = age(found, spec_of(told), desk.now)
        return (), (), {"age_state": state, "said": said, "found": found}

    return _fragment(desk, asked.name, "feature_fresh.html", answer)


def values(desk: Desk, asked: GetView) -> Reply:
    """An entity's values over time, as they were known then."""

    def answer(head: Version, told: Known) -> Any:
        valuing = importlib.import_module(_VALUING)
        some = valuing.entities(desk.store, head, told.spec)
        parts = tuple(asked.entity.split("\n")) if asked.entity else (some[0] if some else ())
        fits = len(parts) == len(spec_of(told).entity)
        found: Valued | None = valuing.values(desk.store, head, told.spec, parts, desk.now) if fits else None
        tables = (_kept(found), _now(found)) if found else ()
        charts = _curves(found, told) if found else ()
        return tables, charts, {"found": found, "some": some, "parts": parts, "keys": spec_of(told).entity}

    return _fragment(desk, asked.name, "feature_values.html", answer)


def _curves(found: Valued, told: Known) -> tuple[Chart, ...]:
    """A line for each number; in one chart each, for their units differ."""
    shape = Axis("time (UTC)", "time") if found.times and found.times[-1] > 0 else Axis(spec_of(told).time)
    return tuple(
        Chart(name=f"values-{at}", title=one.name, x=shape, y=Axis(one.name), series=(Series(one.name, found.times, one.values),))
        for at, one in enumerate(found.curves)
    )


def _kept(found: Valued) -> Table:
    columns = tuple(Column(name, name) for name in found.names)
    return Table(name="kept", columns=columns, rows=[tuple(plain(cell) for cell in row) for row in found.kept])


def _now(found: Valued) -> Table:
    rows = [(name, plain(value)) for name, value in found.now.items()]
    return Table(name="now", columns=(Column("feature", "Feature", "code"), Column("value", "Value now")), rows=rows)


def spread(desk: Desk, asked: GetView) -> Reply:
    """How its values are spread now against before."""

    def answer(head: Version, told: Known) -> Any:
        before = desk.catalog.artifacts.find(f"{head.artifact}@{head.number - 1}") if head.number > 1 else None
        before = before if before is not None and entries(before) else None
        found: Moved = importlib.import_module(_VALUING).moved(desk.store, head, before, told.spec, desk.limits.drift_psi)
        return (), tuple(_overlaid(at, one) for at, one in enumerate(found.drifts[:_DRAWN]) if one.shape), {"found": found}

    return _fragment(desk, asked.name, "feature_spread.html", answer)


def _overlaid(at: int, one: Any) -> Chart:
    words = [bin_name(bar.label) for bar in one.shape]
    x = [float(place) for place in range(len(words))]
    said = f", PSI {one.psi:.2f}" if one.psi is not None else ""
    state = "has moved" if one.drifted else "too few rows to judge" if one.few else "as before"
    return Chart(
        name=f"spread-{at}",
        title=f"{one.column}: {state}{said}",
        x=Axis(one.column),
        y=Axis("share"),
        draws="overlaid",
        series=[
            Series("before", x, [bar.before for bar in one.shape], words=words),
            Series("now", x, [bar.now for bar in one.shape], words=words),
        ],
    )


def parity(desk: Desk, asked: GetView) -> Reply:
    """Whether what services were served of it is what was known then."""

    def answer(head: Version, told: Known) -> Any:
        valuing, found = importlib.import_module(_VALUING), []
        for service in _logs(desk):
            compared = valuing.served(desk.store, desk.catalog, service, head, told.spec)
            found += [msgspec.structs.replace(one, view=service) for one in compared]
        return (parity_table(tuple(found)),), (), {"most": valuing.SERVED}

    return _fragment(desk, asked.name, "feature_parity.html", answer)


ENDPOINTS: Final = (
    Endpoint("GET", "/features", GetFeatures, "experiment.list", on_server, features),
    Endpoint("GET", "/features/{name}", GetView, "artifact.read", on_project, view),
    Endpoint("GET", "/features/{name}/fresh", GetView, "artifact.read", on_project, fresh, body="bytes"),
    Endpoint("GET", "/features/{name}/values", GetView, "artifact.read", on_project, values, body="bytes"),
    Endpoint("GET", "/features/{name}/spread", GetView, "artifact.read", on_project, spread, body="bytes"),
    Endpoint("GET", "/features/{name}/parity", GetView, "artifact.read", on_project, parity, body="bytes"),
)
