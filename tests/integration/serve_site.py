"""A real server on loopback over fakes, for the tests of what it answers; the prediction log is a real one on disk."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from bedplate.core.features import FeatureSpec
from bedplate.core.model import Model
from bedplate.core.records import Event
from bedplate.interfaces.http import server
from bedplate.pipeline.workspace import Workspace
from bedplate.stages.deploy.service import Asked, Service, Wanted, service
from bedplate.stages.deploy.site import site_of
from bedplate.storage.local import local_store
from bedplate.testing import serving

LATE = Wanted(parameter="late", artifact="late", view="model", gate="better")
DELAYS = Wanted(parameter="delays", artifact="delays", view="features")


def late_model(number: int) -> Model:
    """Predicts distance * number / 1000; `carrier` is text, as in flights."""
    return serving.formula(
        f"late@{number}",
        {"distance": "FP64", "stops": "INT64", "carrier": "BYTES"},
        lambda columns: columns["distance"].astype(float) * number / 1000 + columns["stops"],
        example=[{"distance": 500.0, "stops": 0, "carrier": "UA"}],
    )


def wide_model() -> Model:
    """Gives two values per row, of three numbers."""
    return serving.formula(
        "wide@1",
        {"a": "FP64", "b": "FP64", "c": "INT64"},
        lambda columns: np.stack([columns["a"] + columns["b"], columns["c"] * 1.0], axis=1),
        example=[{"a": 1.0, "b": 2.0, "c": 3}],
    )


def will_be_late(late: Model, delays: Any, carrier: str, distance: float, stops: int = 0) -> float:
    """How probable it is that a flight is late.

    Asks the carrier's mean delay.
    """
    known = delays[carrier]["mean"] or 0.0
    return late.predict({"distance": distance, "stops": stops, "carrier": carrier}) + known


def moody(mood: Literal["calm", "angry", "leaving", "interrupted", "odd"], note: str | None = None, extra: Any = None) -> dict[str, Any]:
    """Answers, raises or leaves, as it is asked to."""
    if mood == "angry":
        raise ValueError("a secret of the user's own code")
    if mood == "leaving":
        raise SystemExit(3)
    if mood == "interrupted":
        raise KeyboardInterrupt
    return {"mood": mood, "note": note, "extra": extra, **({"odd": object()} if mood == "odd" else {})}


SERVICES = (
    service(
        "will_be_late",
        will_be_late,
        [LATE, DELAYS],
        [Asked(name="carrier", annotation=str), Asked(name="distance", annotation=float), Asked(name="stops", annotation=int, default=0)],
        float,
        p95_s=0.02,
    ),
    service(
        "moody",
        moody,
        [],
        [
            Asked(name="mood", annotation=Literal["calm", "angry", "leaving", "interrupted", "odd"]),
            Asked(name="note", annotation=str | None, default=None),
            Asked(name="extra", annotation=Any, default=None),
        ],
        dict[str, Any],
    ),
)
MODELS = (Wanted(parameter="late", artifact="late", view="model", gate="better"), Wanted(parameter="wide", artifact="wide", view="model"))


class Place:
    """What a test of a server holds: its record, its log on disk, what it told and where it listens."""

    def __init__(self, folder: Path) -> None:
        self.record = serving.Record()
        self.listing = serving.Listing()
        self.events: list[Event] = []
        self.store = local_store(folder / "store")
        self.ready: server.Ready | None = None
        self.lost: int | None = None
        self.stop: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        assert self.ready is not None
        return self.ready.url

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    def site(self, services: Sequence[Service] = SERVICES, models: Sequence[Wanted] = MODELS, **rest: Any) -> Any:
        return serving.site(
            self.record,
            services,
            models,
            append=lambda name, frame: self.store.log(name).append(frame),
            listing=self.listing,
            events=self.events,
            describe=lambda view: {"mean": "float"},
            **rest,
        )

    def fill(self, *, promote: bool = True) -> None:
        """Two versions of the model, the first promoted; features; a second model."""
        self.record.add("late", late_model(1))
        self.record.add("late", late_model(2))
        self.record.add("delays", serving.Rows({"UA": {"mean": 0.25}}, FeatureSpec(("carrier",), "at")), kind="table")
        self.record.add("wide", wide_model())
        if promote:
            self.record.promote("late", 1)

    def log(self, name: str) -> pl.DataFrame:
        """What was logged, oldest first."""
        frame: pl.DataFrame = self.store.log(f"predictions/{name}").scan().collect().sort("at", "prediction_id")
        return frame

    def ask(self, path: str, body: Any = None, *, method: str = "", headers: dict[str, str] | None = None) -> Answer:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if headers is None else headers
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method or ("POST" if body is not None else "GET"), path, raw, sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers.items()), response.read())
        finally:
            connection.close()


class Answer:
    """A response: status, headers and body."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def serving_at(place: Place, grpc: str = "none", **rest: Any) -> Iterator[Place]:
    """Serve the place in a thread until the block ends, then stop as SIGTERM does; `grpc` as the setting `grpc_port` has it."""
    begun, failures = threading.Event(), list[BaseException]()

    def announce(ready: server.Ready, stop: Callable[[], None]) -> None:
        place.ready, place.stop = ready, stop
        begun.set()

    def run() -> None:
        try:
            place.lost = server.serve(place.site(**rest), "127.0.0.1", 0, announce, None, grpc)
        except BaseException as error:
            failures.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(20)
    try:
        if failures:
            raise failures[0]
        yield place
    finally:
        place.stop()
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"
        assert not failures, failures


@contextmanager
def serving_project(workspace: Workspace) -> Iterator[str]:
    """Serve a project until the block ends; the address. Fails where a prediction was lost."""
    begun, told = threading.Event(), dict[str, Any]()

    def announce(ready: Any, stop: Callable[[], None]) -> None:
        told.update(url=ready.url, stop=stop)
        begun.set()

    def run() -> None:
        try:
            told["lost"] = server.serve(site_of(workspace.parts), "127.0.0.1", 0, announce)
        finally:
            begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(30)
    try:
        yield told["url"]
    finally:
        told["stop"]()
        thread.join(20)
    assert told["lost"] == 0
