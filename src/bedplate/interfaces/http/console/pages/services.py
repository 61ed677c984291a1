"""Services: what serves now, and of one service its traffic, errors, latency, drift, quality and parity, with a form to try it.

What is read from the log comes as two fragments after the page: the traffic, asked for again when something changes, and the report on
drift and quality, which takes about a second.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from bedplate.catalog.services import Replica
from bedplate.interfaces.http.console.about import project
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.served.serving import MOUNTED, Serving, routers, served
from bedplate.interfaces.http.console.served.traffic import by_version, charts_of, messages, stands
from bedplate.interfaces.http.console.served.watching import drift_charts, drift_table, parity_table, quality_charts, quality_table
from bedplate.interfaces.http.console.spans import SPANS, chosen, since
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Tone, Value
from bedplate.interfaces.http.door.endpoint import SERVER, Asks, Desk, Endpoint, Reply, Resource, missing, on_server
from bedplate.pipeline.served import logs

LOOKING: Final = "bedplate.stages.monitor.looking"
"""Loaded when a log is first looked at: it needs Polars."""
_COLUMNS: Final = (
    Column("service", "Service"), Column("state", "Status", "state"), Column("versions", "Answers with"), Column("where", "Where"),
    Column("since", "Since (UTC)", "time"), Column("seen", "Last sign of life (UTC)", "time"),
)  # fmt: skip


_REPLICAS: Final = (
    Column("replica", "Replica"), Column("router", "Behind"), Column("state", "Status", "state"), Column("zone", "Zone"),
    Column("region", "Region"), Column("running", "In hand", "number"), Column("versions", "Answers with"),
    Column("seen", "Last heard of (UTC)", "time"),
)  # fmt: skip
_TONES: Final[Mapping[str, Tone]] = {"ready": "good", "waiting": "warn", "suspect": "warn", "starting": "now", "gone": "bad"}


class GetServices(Asks, frozen=True, kw_only=True):
    """All services."""


class GetService(Asks, frozen=True, kw_only=True):
    """One service, how far back (a word of SPANS), and a prediction whose request the form begins with."""

    name: str
    span: str = ""
    like: str = ""


def services(desk: Desk, _asked: GetServices) -> Reply:
    """The table: what serves now, then what served before."""
    now = served(desk)
    rows = [_row(one) for one in sorted(now, key=lambda one: (not one.alive, one.service.name))]
    there = {one.service.name for one in now}
    rows += [_gone(name) for name in logs(desk.store) if name not in there and "/" not in name]
    shown = Table(
        name="services", columns=_COLUMNS, rows=rows, empty="Nothing is served, and nothing was: a function with @PROJECT.service is.",
        command="bedplate serve",
    )  # fmt: skip
    standing = routers(desk)
    replicas = Table(
        name="replicas", columns=_REPLICAS, rows=[_replica(one, replica) for one in standing for replica in one.service.replicas],
        empty="No router has a replica now.", command="bedplate serve --replicas 2",
    )  # fmt: skip
    return page(
        desk, "services.html", title="Services", at="services", tables=(shown, replicas), routers=standing,
        any_alive=any(one.alive for one in (*now, *standing)),
    )  # fmt: skip


def service(desk: Desk, asked: GetService) -> Reply:
    """The page of one service. Raises Fault for one that is not known."""
    now = _known(desk, asked.name)
    servers = [_row(one)[1:] for one in sorted(now, key=lambda one: not one.alive)]
    shown = Table(name="servers", columns=_COLUMNS[1:], rows=servers, empty="Nobody serves it now.",
                  command=f"bedplate serve {asked.name}")  # fmt: skip
    here = next((one for one in now if one.here), None)
    elsewhere = [one for one in now if one.alive and not one.here]
    return page(
        desk, "service.html", title=asked.name, at="services", tables=(shown,), name=asked.name, here=here, elsewhere=elsewhere,
        may_call=desk.may("service.call", SERVER), opened=may_see_answers(desk), mounted=MOUNTED,
        fragment="?" + urlencode({"span": asked.span}) if asked.span in SPANS else "", example=_example(desk, asked),
    )  # fmt: skip


def traffic(desk: Desk, asked: GetService) -> Reply:
    """The fragment on traffic, errors and latency."""
    _known(desk, asked.name)
    looking = importlib.import_module(LOOKING)
    span = chosen(asked.span, looking.last(desk.store, asked.name), desk.now)
    found = looking.lately(desk.store, asked.name, since(span, desk.now), desk.now)
    opened, wrong = may_see_answers(desk), path_of("serving", asked.name, "predictions") + "?wrong=yes"
    versions = by_version(found, desk.catalog.models.barred)
    tables = (versions, messages(found, wrong)) if opened else (versions,)
    return page(
        desk, "service_traffic.html", title=f"{asked.name} traffic", at="services", tables=tables,
        charts=charts_of(found), name=asked.name, found=found, span=span, spans=SPANS, stands=stands(found.newest, found.newest_failed),
        here=_address(asked, "traffic", span), opened=opened,
    )  # fmt: skip


def report(desk: Desk, asked: GetService) -> Reply:
    """The fragment on drift, quality and parity; for who may read the project's data."""
    _known(desk, asked.name)
    if not may_see_answers(desk):
        raise missing("there is no such page, or you may not see it")
    looking = importlib.import_module(LOOKING)
    span = chosen(asked.span, looking.last(desk.store, asked.name), desk.now)
    found, cut = looking.look(desk.store, desk.catalog, asked.name, since(span, desk.now), desk.limits.drift_psi)
    drifts, qualities = drift_charts(found), quality_charts(found)
    return page(
        desk, "service_report.html", title=f"{asked.name} report", at="services", charts=(*drifts, *qualities),
        tables=(drift_table(found), quality_table(found), parity_table(found.parity)), found=found, cut=cut, drifts=drifts,
        qualities=qualities,
        here=_address(asked, "report", span), name=asked.name,
    )  # fmt: skip


def may_see_answers(desk: Desk) -> bool:
    """Whether the actor may see what a service was asked and answered: who may read the project's data."""
    owner = project(desk)
    return owner is not None and desk.may("artifact.read", Resource("experiment", str(owner.id)))


def _known(desk: Desk, name: str) -> list[Serving]:
    """The servers of a service. Raises Fault for one that is neither served nor was."""
    now = served(desk, name)
    if not now and name not in logs(desk.store):
        raise missing("there is no such service, and there was none: /serving lists those that there are")
    return now


def _example(desk: Desk, asked: GetService) -> str:
    """The request of the prediction that the form begins with, as JSON."""
    if not asked.like or not may_see_answers(desk):
        return ""
    found = importlib.import_module(LOOKING).answer(desk.store, asked.name, asked.like)
    request: Mapping[str, Any] = found.request if found is not None else {}
    return msgspec.json.encode(request, enc_hook=str).decode() if request else ""


def _address(asked: GetService, what: str, span: str) -> str:
    return f"{path_of('serving', asked.name, what)}?span={span}&"


def _row(one: Serving) -> tuple[Value, ...]:
    where = "this server" if one.here else one.service.url
    seen: datetime = one.service.heartbeat
    name = one.service.name
    return Link(name, path_of("serving", name)), one.state, one.versions or None, where, one.service.started_at, seen


def _replica(router: Serving, one: Replica) -> tuple[Value, ...]:
    """How a replica stands, as far as its router is heard of."""
    state = State(one.state, _TONES.get(one.state, "off")) if router.alive else router.state
    versions = ", ".join(f"{name}@{number}" for name, number in sorted(one.versions.items()))
    service = router.service
    return one.name, service.url, state, one.zone or None, one.region or None, one.running, versions or None, service.heartbeat


def _gone(name: str) -> tuple[Value, ...]:
    return Link(name, path_of("serving", name)), State("not served now", "off"), None, None, None, None


ENDPOINTS: Final = (
    Endpoint("GET", "/serving", GetServices, "service.read", on_server, services),
    Endpoint("GET", "/serving/{name}", GetService, "service.read", on_server, service),
    Endpoint("GET", "/serving/{name}/traffic", GetService, "service.read", on_server, traffic),
    Endpoint("GET", "/serving/{name}/report", GetService, "service.read", on_server, report),
)
