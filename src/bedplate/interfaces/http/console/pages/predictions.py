"""Single predictions of a service: the newest first, and each with what was asked, looked up and answered, and what really happened."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from bedplate.core.clock import iso, parse
from bedplate.interfaces.http.console.about import on_project
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.served.timed import time_of
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Value
from bedplate.interfaces.http.door.endpoint import SERVER, Asks, Desk, Endpoint, Reply, invalid, missing
from bedplate.pipeline.served import logs
from bedplate.stages.monitor.lately import Answer, Place, Sought

from .services import LOOKING

_COLUMNS: Final = (
    Column("id", "Prediction"), Column("at", "When (UTC)", "time"), Column("state", "Came of it", "state"),
    Column("answer", "Answer", "code"), Column("label", "Really happened", "code"),
    Column("latency", "Latency (ms)", "number"), Column("versions", "Versions"),
    Column("request", "Asked", "words"),
)  # fmt: skip


class GetPredictions(Asks, frozen=True, kw_only=True):
    """A page: by a version, of a time (UTC), only what went wrong, below a place (`TIME ID`)."""

    name: str
    version: str = ""
    since: str = ""
    until: str = ""
    wrong: str = ""
    below: str = ""


class GetPrediction(Asks, frozen=True, kw_only=True):
    """One prediction."""

    name: str
    id: str


def predictions(desk: Desk, asked: GetPredictions) -> Reply:
    """The table."""
    _need(desk, asked.name)
    sought = Sought(
        since=_moment("since", asked.since), until=_moment("until", asked.until), version=asked.version.strip(), wrong=bool(asked.wrong),
        below=_place(asked.below),
    )  # fmt: skip
    found, after = importlib.import_module(LOOKING).answers(desk.store, asked.name, sought)
    kept = {key: value for key, value in msgspec.structs.asdict(asked).items() if value and key not in ("name", "below")}
    filtered = bool(kept)
    shown = Table(
        name="predictions", columns=_COLUMNS, rows=[_row(asked.name, one) for one in found],
        more="?" + urlencode({**kept, "below": f"{iso(after.at)} {after.id}"}) if after is not None else "",
        empty="No prediction is as you ask." if filtered else "Nothing was predicted yet.",
        command="" if filtered else f"bedplate serve {asked.name}",
    )  # fmt: skip
    return page(
        desk, "predictions.html", title=f"Predictions of {asked.name}", at="services", tables=(shown,), name=asked.name, asked=asked,
        filtered=filtered,
    )  # fmt: skip


def prediction(desk: Desk, asked: GetPrediction) -> Reply:
    """One. Raises Fault for one that is not in the log."""
    _need(desk, asked.name)
    found = importlib.import_module(LOOKING).answer(desk.store, asked.name, asked.id)
    if found is None:
        raise missing("the log has no such prediction. One that was just made is written within a second: load the page again")
    fields = Column("field", "Field"), Column("value", "Value", "code")
    request = Table(name="request", columns=fields, rows=list(_flat(found.request)), empty="It was refused before its fields were read.")
    looked = Table(
        name="features", columns=(Column("view", "Features"), Column("version", "Of version"), Column("asked", "Asked for"), *fields),
        rows=list(_looked(found)), empty="It looked no features up.",
    )  # fmt: skip
    times, charts = time_of(found.trace)
    versions = [(ref, path_of("models", *_parts(ref)), "/lineage?" + urlencode({"of": ref})) for ref in found.versions]
    return page(
        desk, "prediction.html", title=found.id, at="services", tables=(request, looked, times), charts=charts, name=asked.name,
        found=found, came=_state(found), first=path_of("serving", asked.name, "predictions", found.answer_of) if found.answer_of else "",
        answer=_text(found.result), label=_text(found.label), versions=versions, may_call=desk.may("service.call", SERVER),
    )  # fmt: skip


def _need(desk: Desk, name: str) -> None:
    """Raises Fault for who may not see services, and for a name that no log can have."""
    if not desk.may("service.read", SERVER) or name not in logs(desk.store):
        raise missing("this service has predicted nothing yet, or you may not see it")


def _row(service: str, one: Answer) -> tuple[Value, ...]:
    return (
        Link(one.id, path_of("serving", service, "predictions", one.id)), one.at, _state(one), _text(one.result) or one.error or None,
        _text(one.label) if one.labelled else None, one.latency_ms, ", ".join(one.versions) or None,
        ", ".join(f"{name}={_text(value)}" for name, value in one.request.items()) or None,
    )  # fmt: skip


def _state(one: Answer) -> State:
    if one.status >= 500 or (one.error and one.status < 400):
        return State("failed", "bad")
    return State("refused", "warn") if one.status >= 400 else State("answered", "good")


def _flat(fields: Mapping[str, Any]) -> Iterator[tuple[Value, ...]]:
    for name, value in fields.items():
        yield name, _text(value) or None


def _looked(found: Answer) -> Iterator[tuple[Value, ...]]:
    """Each feature that was looked up, with the version that gave it and what it was asked for."""
    for view, row in found.features.items():
        told = found.looked.get(view) or {}
        ref = str(told.get("features") or "")
        link = Link(ref, path_of("artifacts", *_parts(ref))) if "@" in ref else None
        asked = ", ".join(str(key) for key in told.get("entity") or ()) or None
        for name, value in row.items():
            yield view, link, asked, name, _text(value) or None


def _parts(ref: str) -> tuple[str, str]:
    name, _, number = ref.rpartition("@")
    return name, number


def _text(value: Any) -> str:
    """A value of a log as text: empty for none."""
    if value is None or value == {}:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return iso(value).replace(".000000", "")
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()


def _moment(field: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"Invalid value for parameter '{field}': a time in UTC is needed, as 2026-01-31T12:00") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _place(text: str) -> Place | None:
    at, _, id = text.partition(" ")
    if not text:
        return None
    try:
        return Place(parse(at), id)
    except ValueError:
        raise invalid("Invalid value for parameter 'below': it is what the link to the next page says") from None


ENDPOINTS: Final = (
    Endpoint("GET", "/serving/{name}/predictions", GetPredictions, "artifact.read", on_project, predictions),
    Endpoint("GET", "/serving/{name}/predictions/{id}", GetPrediction, "artifact.read", on_project, prediction),
)
