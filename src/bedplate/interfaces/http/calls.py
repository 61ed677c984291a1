"""Calls: `POST /NAME` asks a service.

The body is one JSON object by the function's own request fields, or an array of them (several rows in one request). One object is
answered with `{"result": ..., "prediction_id": ...}`, an array with an array of those. The headers `X-Prediction-Id`,
`X-Request-Id` and `X-Model-Version` say what answered.

A row on which the function raises fails its whole request: the caller gets 500 with an id, and the record keeps the row. A request
that is refused is one row in the record, without its fields.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.recorder import Prediction
from bedplate.stages.deploy.service import Service, reader

from .body import Gone, header, need_json, read
from .lanes import Lane, Pool
from .ledger import FeatureRows, Ledger
from .misfits import misfits
from .replies import JSON, Problem, Receive, Scope, Send, refuse, reply

_ENCODER: Final = msgspec.json.Encoder()


class Answer(msgspec.Struct, frozen=True):
    """One row's answer, as it is sent."""

    result: Any
    prediction_id: str


class RowFailed(Exception):
    """The function raised on a row; the cause is what it raised."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


class Desk:
    """What is fixed about a service: its decoder, how results are read, and where it is called."""

    def __init__(self, service: Service, pool: Pool) -> None:
        self.name = service.name
        self.log = f"predictions/{service.name}"
        self.lane = Lane(pool, service.p95_s or 0.0)
        self.read: Callable[[Any], Any] = reader(service.returns)
        self._fields = ", ".join(f"{field.encode_name}: {_type_name(field.type)}" for field in msgspec.structs.fields(service.request))
        self._request = service.request
        self._decoder = msgspec.json.Decoder(service.request | list[service.request])  # type: ignore[name-defined]  # a type made at run time

    def decode(self, body: bytes) -> tuple[list[Any], bool]:
        """The rows of a body, and whether it was one object. Raises Problem 400 or 422."""
        try:
            value = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            what, why = misfits(self._request, body, error), f"{self.name} takes {self._fields or 'no fields'}"
            raise Problem(422, what, why=why, next="GET /docs shows each field") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Problem(400, f"the body is not JSON: {error}", next="send one JSON object, or an array of them") from None
        except (RecursionError, ValueError, OverflowError) as error:
            raise Problem(400, f"the body cannot be read: {error}", why="it is nested too deeply or holds a number too long") from None
        return (value, False) if isinstance(value, list) else ([value], True)


class Calls:
    """Answers requests to services, from whatever Deployment is current when a request is whole."""

    def __init__(self, services: Sequence[Service], holder: Holder, ledger: Ledger, pool: Pool, body_limit: int) -> None:
        self._desks = {service.name: Desk(service, pool) for service in services}
        self._holder = holder
        self._ledger = ledger
        self._limit = body_limit

    async def __call__(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        desk = self._desks.get(name)
        started, rows = time.perf_counter(), 0
        try:
            if desk is None:
                raise self.unknown(name)
            need_json(scope)
            body = await read(scope, receive, self._limit)
            started = time.perf_counter()
            status, rows = await self._answer(desk, scope, body, send, started)
        except Gone:
            return
        except Problem as problem:
            status = problem.status
            if desk is not None and not problem.recorded:
                self._record_refusal(desk, problem, scope, started)
            await refuse(send, problem)
        self._ledger.metrics.request(name if desk else "", status, time.perf_counter() - started, rows)

    def unknown(self, name: str) -> Problem:
        """The error for a service that this project has not."""
        near = difflib.get_close_matches(name, self._desks, 1)
        names = ", ".join(self._desks) or "it has none"
        return Problem(
            404, f"there is no service '{name}'", why=f"services: {names}", next=f"did you mean '{near[0]}'?" if near else "GET /docs"
        )

    def _record_refusal(self, desk: Desk, problem: Problem, scope: Scope, started: float) -> None:
        """A request that did not reach the function is in the record too, without its fields."""
        at = self._ledger.clock.now()
        request_id, (prediction_id,) = self._ledger.names(1, header(scope, b"x-request-id"), at)
        latency_ms = (time.perf_counter() - started) * 1e3
        error = f"{problem.what}: {problem.why}" if problem.status == 503 else problem.what
        refused = Prediction(prediction_id, request_id, at, latency_ms, problem.status, error, "{}", None, None, None)
        self._ledger.record(desk.log, [refused])

    async def _answer(self, desk: Desk, scope: Scope, body: bytes, send: Send, started: float) -> tuple[int, int]:
        active = self._holder.current.services[desk.name]
        if not isinstance(active, Active):
            raise Problem(
                503,
                f"{desk.name} is not ready",
                why=active.reason,
                next=active.next or "GET /health/ready",
                headers=((b"retry-after", b"1"),),
            )
        requests, one = desk.decode(body)
        with self._ledger.admit(len(requests)) as place:
            at = self._ledger.clock.now()
            request_id, ids = self._ledger.names(len(requests), header(scope, b"x-request-id"), at)
            try:
                made = await desk.lane.run(len(requests), lambda: _rows(active, desk.read, requests))
            except RowFailed as failed:
                problem, kept = self._ledger.failure(desk.name, failed.__cause__ or failed, at)
                row = failed.row
                failing = _predictions(active, [requests[row]], [ids[row]], [(None, None)], request_id, at, started, kept, problem.status)
                self._ledger.record(desk.log, failing, place)
                problem.recorded = True
                raise problem from None
            answers = [Answer(result, prediction_id) for (result, _), prediction_id in zip(made, ids, strict=True)]
            text = _ENCODER.encode(answers[0] if one else answers)
            self._ledger.record(desk.log, _predictions(active, requests, ids, made, request_id, at, started, ""), place)
        await reply(send, 200, text, (JSON, *_headers(active, request_id, ids)))
        return 200, len(ids)


def _rows(active: Active, read: Callable[[Any], Any], requests: list[Any]) -> list[tuple[Any, FeatureRows]]:
    made: list[tuple[Any, FeatureRows]] = []
    for row, request in enumerate(requests):
        try:
            result, features = active.call(msgspec.structs.asdict(request))
            made.append((read(result), features))
        except (
            BaseException
        ) as error:  # user code may end in SystemExit or KeyboardInterrupt, and native libraries panic; Ctrl-C is a signal
            raise RowFailed(row) from error
    return made


def _predictions(
    active: Active,
    requests: list[Any],
    ids: list[str],
    made: list[tuple[Any, FeatureRows]],
    request_id: str,
    at: datetime,
    started: float,
    error: str,
    status: int = 200,
) -> list[Prediction]:
    latency_ms = (time.perf_counter() - started) * 1e3
    return [
        Prediction(ids[row], request_id, at, latency_ms, status, error, active.models_text, requests[row], made[row][1], made[row][0])
        for row in range(len(requests))
    ]


def _headers(active: Active, request_id: str, ids: list[str]) -> tuple[tuple[bytes, bytes], ...]:
    named = ((b"x-request-id", request_id.encode()), (b"x-model-version", active.label.encode()))
    return (*named, (b"x-prediction-id", ids[0].encode())) if len(ids) == 1 else named


def _type_name(annotation: Any) -> str:
    """A type as the project's author wrote it: without the bounds that a field of the request got."""
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join("None" if one is type(None) else _type_name(one) for one in get_args(annotation))
    return getattr(annotation, "__name__", str(annotation)) if isinstance(annotation, type) else str(annotation).replace("typing.", "")
