"""What a page of a run asks for while it is open: stretches of curves, the end of a log, pictures and sounds; and what is taken away."""

from __future__ import annotations

import posixpath
from typing import Any, Final

from bedplate.core.errors import NotFound
from bedplate.core.records import Attempt
from bedplate.interfaces.http.console import previews
from bedplate.interfaces.http.console.one_run import curves, files, log
from bedplate.interfaces.http.console.one_run.subject import subject
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, missing
from bedplate.interfaces.http.tracking.artifact_forms import attachment, sent

from .run import on_run


class GetCurve(Asks, frozen=True, kw_only=True):
    """A stretch of a curve, as the JSON of a chart; with `csv` up to 25,000 points to be taken away."""

    id: str
    key: str
    first: float | None = None
    last: float | None = None
    scale: str = ""
    csv: str = ""


class GetLog(Asks, frozen=True, kw_only=True):
    """What an attempt printed from a byte on."""

    id: str
    first: int = 0


class GetFile(Asks, frozen=True, kw_only=True):
    """A file of a run, or of a model that it logged."""

    id: str
    path: str
    model: str = ""


def curve(desk: Desk, asked: GetCurve) -> Reply:
    """The stretch."""
    stretch = curves.Stretch(key=asked.key, first=asked.first, last=asked.last, is_log=curves.need_scale(asked.scale))
    if asked.csv:
        headers = ((b"content-disposition", attachment(f"{asked.key[:80]}.csv")),)
        return Reply(body=curves.whole(desk, asked.id, stretch).csv(), media_type="text/csv; charset=utf-8", headers=headers)
    live = desk.catalog.tracking.runs.get(asked.id).status in ("RUNNING", "SCHEDULED")
    return Reply(body=curves.drawn(desk, asked.id, stretch, live=live).json().encode(), media_type="application/json")


def tail(desk: Desk, asked: GetLog) -> dict[str, Any]:
    """What was printed since."""
    return log.tail(desk, _attempt(desk, asked.id), asked.first)


def whole_log(desk: Desk, asked: GetLog) -> Reply:
    """All of it as a file."""
    return log.download(desk, _attempt(desk, asked.id))


def media(desk: Desk, asked: GetFile) -> Reply:
    """The bytes of an image or a sound, as what they are."""
    one = files.file_of(desk, files.owner_of(desk, subject(desk, asked.id), asked.model), asked.path)
    return previews.media(desk, one.sha256, posixpath.basename(one.path))


def download(desk: Desk, asked: GetFile) -> Reply:
    """A file, to be saved."""
    one = files.file_of(desk, files.owner_of(desk, subject(desk, asked.id), asked.model), asked.path)
    return sent(desk, one.sha256, posixpath.basename(one.path))


def _attempt(desk: Desk, run: str) -> Attempt:
    try:
        return desk.catalog.runs.attempt(run)
    except NotFound:
        raise missing("logs are kept by attempts: there is none of that id") from None


ENDPOINTS: Final = (
    Endpoint("GET", "/runs/{id}/curve", GetCurve, "run.read", on_run, curve),
    Endpoint("GET", "/runs/{id}/log", GetLog, "run.read", on_run, tail),
    Endpoint("GET", "/runs/{id}/log/download", GetLog, "run.read", on_run, whole_log),
    Endpoint("GET", "/runs/{id}/media", GetFile, "artifact.read", on_run, media),
    Endpoint("GET", "/runs/{id}/file", GetFile, "artifact.read", on_run, download),
)
