"""Calls: `POST /NAME` asks a service.

The body is one JSON object by the function's own request fields, or an array of them (several rows in one request). One object is
answered with `{"result": ..., "prediction_id": ...}`, an array with an array of those. The headers `X-Prediction-Id`,
`X-Request-Id` and `X-Model-Version` say what answered.

A service that streams is asked for a `Stream` by who accepts events, and otherwise gives the list of its values.

A service of arrays is called for the requests that are in hand together (`gathering.py`).

A row on which the function raises fails its whole request: the caller gets 500 with an id, and the record keeps the row. A request
that is refused is one row in the record, without its fields.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, NoReturn, Union, get_args, get_origin

import msgspec

from bedplate.pipeline.served import SHADOWS
from bedplate.stages.deploy.deployment import Active
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.kept import Kept
from bedplate.stages.deploy.misfits import misfits, no_json
from bedplate.stages.deploy.recorder import Block, Prediction
from bedplate.stages.deploy.service import Service, reader
from bedplate.stages.deploy.together import listed, rows_of
from bedplate.stages.deploy.trace import Trace
from bedplate.stages.deploy.trials import Tried

from .again import Again
from .answered import JSON_LINE, Answered, refusal
from .asking import Call, Failed
from .body import need_json
from .cached import MISS, Cache, Known
from .gathering import Gathering, told
from .lanes import Lane, OffLoop
from .ledger import FeatureRows, Ledger, Place
from .once import KEY, REQUEST, Once, named
from .pool import Pool
from .replies import Headers, Problem
from .rolled import Trying
from .rolled_rows import RolledRows
from .streams import Stream, StreamRoom
from .wholes import with_wholes

_PAGES: Final = frozenset({"", "docs", "metrics", "openapi.json", "v2"})
_ENCODER: Final = msgspec.json.Encoder()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One row's answer, as it is sent."""

    result: Any
    prediction_id: str


class Form:
    """What is fixed about a service's requests: their decoder, how results are read, and where it is called."""

    def __init__(self, service: Service, pool: Pool) -> None:
        self.name = service.name
        self.lane = Lane(pool.branch(), service.p95_s or math.inf)
        self.away = OffLoop(pool.away)
        self.read: Callable[[Any], Any] = reader(service.returns)
        self._fields = ", ".join(f"{field.encode_name}: {_type_name(field.type)}" for field in msgspec.structs.fields(service.request))
        self._request = service.request
        self._decoder = msgspec.json.Decoder(service.request | list[service.request])  # type: ignore[name-defined]  # a type made at run time

    def decode(self, body: bytes) -> tuple[list[Any], bool]:
        """The rows of a body, and whether it was one object. Raises Problem 400 or 422."""
        try:
            value = self._decode(body)
        except msgspec.ValidationError as error:
            why = f"{self.name} takes {self._fields or 'no fields'}"
            raise Problem(422, misfits(self._request, body, error), why=why, next="GET /docs shows each field") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            what, why, step = no_json(body, error)
            raise Problem(400, what, why=why, next=step) from None
        except (RecursionError, ValueError, OverflowError) as error:
            raise Problem(400, f"the body cannot be read: {error}", why="it is nested too deeply or holds a number too long") from None
        return (value, False) if isinstance(value, list) else ([value], True)

    def _decode(self, body: bytes) -> Any:
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            with contextlib.suppress(msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
                return with_wholes(self._decoder, body)
            raise error


class ServiceDesk:
    """Where one service is asked: whatever Deployment is current when a request is whole answers it."""

    def __init__(
        self,
        service: Service,
        holder: Holder,
        ledger: Ledger,
        pool: Pool,
        limit: int,
        trying: Trying,
        once: Once,
        cache: Cache | None,
        room: StreamRoom,
    ) -> None:
        self.limit = limit
        self.streams = service.stream is not None
        self.room = room
        self.name = service.name
        self.log = f"predictions/{service.name}"
        self.form = Form(service, pool)
        self.ledger = ledger
        self.cache = cache
        self.tracer = ledger.tracer
        self.gathering = None if service.together is None else Gathering(service.name, pool, service.p95_s)
        self.slow_ms = (service.p95_s or self.tracer.over_s) * 1e3
        self._holder = holder
        self._trying = trying
        self._once = once

    def check(self, headers: Headers) -> None:
        """A service reads JSON. Raises Problem 415."""
        need_json(headers)

    def begin(self, headers: Headers, body: bytes, started: float) -> Call:
        """The call that a body asks for. Raises Problem 400, 413, 422, 429 or 503."""
        if REQUEST in headers or KEY in headers:
            return self._once.begin(self.name, named(self.name, headers, body), lambda: self._begin(headers, body, started))
        return self._begin(headers, body, started)

    def stream(self, headers: Headers, body: bytes, started: float) -> Stream:
        """The stream that a body asks for, of a service that streams. Raises Problem 400, 422 or 503."""
        active = self._active()
        requests, one = self.form.decode(body)
        if not one:
            raise Problem(422, "a stream answers one object", why="the body is an array", next="ask for each, or without text/event-stream")
        self.room.enter(self.name)
        stream = Stream(self, active, requests[0], headers.get(b"x-request-id", b""), started)
        if (tried := self._holder.tried.get(self.name)) is not None:
            stream.roll(self._trying, tried, headers)
        return stream

    def _active(self) -> Active:
        active = self._holder.current.services[self.name]
        if not isinstance(active, Active):
            retry = ((b"retry-after", b"1"),)
            raise Problem(503, f"{self.name} is not ready", why=active.reason, next=active.next or "GET /health/ready", headers=retry)
        return active

    def _begin(self, headers: Headers, body: bytes, started: float) -> ServiceCall:
        active = self._active()
        requests, one = self.form.decode(body)
        tried, given_id = self._holder.tried.get(self.name), headers.get(b"x-request-id", b"")
        if tried is None and self.cache is not None and (found := self.cache.find(active, requests)) is not None:
            return KeptCall(self, active, requests, one, self.ledger.admit(len(requests)), given_id, started).of(self.cache, found)
        call = ServiceCall(self, active, requests, one, self.ledger.admit(len(requests)), given_id, started)
        if tried is not None:
            call.roll(self._trying, tried, headers)
        return call

    def refuse(self, headers: Headers, problem: Problem, started: float) -> Answered:
        """The house's error; a request that did not reach the function is in the record too, without its fields."""
        if not problem.recorded:
            at = self.ledger.clock.now()
            request_id, (prediction_id,) = self.ledger.names(1, headers.get(b"x-request-id", b""), at)
            latency_ms = (time.perf_counter() - started) * 1e3
            error = f"{problem.what}: {problem.why}" if problem.status == 503 else problem.what
            refused = Prediction(prediction_id, request_id, at, latency_ms, problem.status, error, "{}", None, None, None)
            self.ledger.record(self.log, [refused])
        return refusal(problem)

    def shadowed(self, prediction: Prediction) -> None:
        """Record what a shadow said; where there is no room, it is dropped."""
        self.ledger.record(f"{SHADOWS}{self.name}", [prediction])

    def count(self, status: int, seconds: float, rows: int) -> None:
        """Count an answer."""
        self.ledger.metrics.request(self.name, status, seconds, rows)


class ServiceCall:
    """One request to a service: its rows, what answers, and the names of both."""

    __slots__ = (
        "_active", "_at", "_desk", "_ids", "_one", "_place", "_request_id", "_requests", "_rolled", "_rows", "_started", "_trace", "lane",
        "rows",
    )  # fmt: skip

    def __init__(
        self, desk: ServiceDesk, active: Active, requests: list[Any], one: bool, place: Place, given_id: bytes, started: float
    ) -> None:
        self.lane = desk.form.away if active.is_remote else desk.form.lane
        self.rows = len(requests)
        self._desk, self._active, self._requests, self._one, self._place, self._started = desk, active, requests, one, place, started
        self._at = desk.ledger.clock.now()
        self._request_id, self._ids = desk.ledger.names(self.rows, given_id, self._at)
        self._rolled: RolledRows | None = None
        self._trace: Trace | None = None
        self._rows: Any = None

    def follow(self, trace: Trace) -> None:
        """Have the trace recorded with what is answered."""
        self._trace = trace

    def roll(self, trying: Trying, tried: Tried, headers: Headers) -> None:
        """Let the versions that are tried have their part in it."""
        rows = list(zip(self._requests, self._ids, strict=True))
        self._rolled = RolledRows(trying, tried, self._active, self._desk.form.read, rows, headers)
        self.lane = self._rolled.lane(self.lane)

    @property
    def gathers(self) -> bool:
        """Whether the function is called for others with it."""
        return self._desk.gathering is not None and self._rolled is None and self.rows > 0

    async def gathered(self) -> list[tuple[Any, FeatureRows]]:
        """As `run`, together with others. Raises Problem 503 or 504 where the function is not called or does not return, Failed."""
        if self._desk.gathering is None:
            return self.run()
        took = None if self._trace is None else self._trace.took
        self._rows = rows_of(self._active.service, self._requests)
        return told(self._desk.form.read, await self._desk.gathering.ask(self._active, self._rows, took))

    def run(self) -> list[tuple[Any, FeatureRows]]:
        """What the function returns for each row, and the feature rows that it looked at. Raises Failed."""
        if self._rolled is not None:
            return self._rolled.run()
        read, call, asdict = self._desk.form.read, self._active.call, msgspec.structs.asdict
        made: list[tuple[Any, FeatureRows]] = []
        try:
            for request in self._requests:
                result, features = call(asdict(request))
                made.append((read(result), features))
        except BaseException as error:  # user code may end in SystemExit, and native libraries panic; Ctrl-C is a signal
            raise Failed(len(made)) from error
        return made

    def finish(self, made: list[tuple[Any, FeatureRows]]) -> Answered:
        """The results, with their names."""
        if self._one:
            text = _ENCODER.encode(Answer(made[0][0], self._ids[0]))
        else:
            text = _ENCODER.encode([Answer(result, name) for (result, _), name in zip(made, self._ids, strict=True)])
        self._record(self._requests, self._ids, made, "", 200)
        label = self._active.label
        if self._rolled is not None:
            label = self._rolled.label
            self._rolled.then(made, self._desk.shadowed, self._request_id, self._at)
        lines = f"x-request-id: {self._request_id}\r\nx-model-version: {label}\r\n"
        if self.rows == 1:
            lines = f"{lines}x-prediction-id: {self._ids[0]}\r\n"
        head = JSON_LINE + lines.encode()
        return Answered(200, head + self._keep(made) if self._desk.cache is not None else head, text)

    def fail(self, failed: Failed) -> Problem:
        """The project's own code raised on a row, or on all at once; what it raised on is recorded."""
        problem, kept = self._desk.ledger.failure(self._desk.name, failed.__cause__ or failed, self._at)
        rows = slice(None) if failed.row == Failed.ALL else slice(failed.row, failed.row + 1)
        requests = self._requests[rows]
        self._record(requests, self._ids[rows], [(None, None)] * len(requests), kept, problem.status)
        problem.recorded = True
        return problem

    def close(self) -> None:
        """Give back the room in the log that was not used."""
        self._place.close()

    def _keep(self, made: list[tuple[Any, FeatureRows]]) -> bytes:
        """Keep the answers for who asks the same; the header line that says so."""
        cache = self._desk.cache
        if cache is None or self._rolled is not None:
            return b""
        for request, (result, features), name in zip(self._requests, made, self._ids, strict=True):
            cache.put(self._active, request, Known(result, features, name))
        return MISS

    def _record(self, requests: list[Any], ids: list[str], made: list[tuple[Any, FeatureRows]], error: str, status: int) -> None:
        latency_ms = (time.perf_counter() - self._started) * 1e3
        request_id, at, rolled = self._request_id, self._at, self._rolled
        trace = self._trace
        if trace is None and (status >= 500 or latency_ms > self._desk.slow_ms):
            trace = self._desk.tracer.late("failed" if status >= 500 else "slow", self._started, time.perf_counter())
        if trace is not None:
            trace.looked([features for _, features in made])
        if trace is None and not error and self._is_block:
            results = listed(result for result, _ in made)
            block = Block(lambda: ids, request_id, at, latency_ms, status, "", self._active.models_text, self._rows, results)
            self._desk.ledger.record_block(self._desk.log, block, self._place)
            return
        models = itertools.repeat(self._active.models_text, len(ids)) if rolled is None or error else [one.models_text for one in rolled.by]
        predictions = [
            Prediction(name, request_id, at, latency_ms, status, error, answered_by, request, features, result)
            for name, request, (result, features), answered_by in zip(ids, requests, made, models, strict=True)
        ]
        self._log(predictions, trace)

    @property
    def _is_block(self) -> bool:
        """Whether the rows are recorded as they came, as numbers: nothing is made for each of them."""
        return self._rows is not None and self._rows.ndim == 2 and not self._active.features and self._place.rows == self.rows > 1

    def _log(self, predictions: list[Prediction], trace: Trace | None) -> None:
        self._desk.ledger.record(self._desk.log, predictions, self._place, trace)


class KeptCall(ServiceCall):
    """A request to a service whose every row is answered by what was kept."""

    __slots__ = ("_cache", "_found")

    def of(self, cache: Cache, found: tuple[Kept, ...]) -> KeptCall:
        """The same call, with what is kept for its rows."""
        self._cache, self._found, self.lane = cache, found, cache.lane
        return self

    @property
    def gathers(self) -> bool:
        """The answers are there."""
        return False

    def run(self) -> list[tuple[Any, FeatureRows]]:
        """What was answered before."""
        return [(one.value.result, one.value.features) for one in self._found]

    def _keep(self, _made: list[tuple[Any, FeatureRows]]) -> bytes:
        return self._cache.lines(self._found)

    def _log(self, predictions: list[Prediction], trace: Trace | None) -> None:
        firsts = (kept.value.prediction_id for kept in self._found)
        super()._log([msgspec.structs.replace(one, answer_of=first) for one, first in zip(predictions, firsts, strict=True)], trace)


class NoService:
    """Where a service is asked that the project has not."""

    def __init__(self, name: str, names: Sequence[str], ledger: Ledger, limit: int) -> None:
        self.limit = limit
        self.tracer = ledger.tracer
        self._name = name
        self._names = names
        self._ledger = ledger

    def check(self, _headers: Headers) -> NoReturn:
        """Whatever the headers say, there is nothing to ask. Raises Problem 404, or 405 where there is a page of that name."""
        if self._name in _PAGES:
            allowed = ((b"allow", b"GET, HEAD"),)
            raise Problem(405, f"/{self._name} does not take POST", why="a page is asked with GET", next="GET /docs", headers=allowed)
        near = difflib.get_close_matches(self._name, self._names, 1)
        why, step = f"services: {', '.join(self._names) or 'it has none'}", f"did you mean '{near[0]}'?" if near else "GET /docs"
        raise Problem(404, f"there is no service '{self._name}'", why=why, next=step)

    def begin(self, headers: Headers, _body: bytes, _started: float) -> NoReturn:
        """There is nothing to call. Raises Problem 404."""
        self.check(headers)

    def refuse(self, _headers: Headers, problem: Problem, _started: float) -> Answered:
        """The house's error."""
        return refusal(problem)

    def count(self, status: int, seconds: float, rows: int) -> None:
        """Count an answer, under no service's name."""
        self._ledger.metrics.request("", status, seconds, rows)


class Calls:
    """The desks of a project's services."""

    def __init__(
        self, services: Sequence[Service], holder: Holder, ledger: Ledger, pool: Pool, body_limit: int, trying: Trying, again: Again
    ) -> None:
        room = StreamRoom()
        self._desks: Mapping[str, ServiceDesk] = {
            one.name: ServiceDesk(one, holder, ledger, pool, body_limit, trying, again.once, again.cache(one), room) for one in services
        }
        self._ledger = ledger
        self._limit = body_limit

    def desk(self, name: str) -> ServiceDesk | NoService:
        """Where the service of that name is asked."""
        return self._desks.get(name) or NoService(name, list(self._desks), self._ledger, self._limit)


def _type_name(annotation: Any) -> str:
    """A type as the project's author wrote it: without the bounds that a field of the request got."""
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join("None" if one is type(None) else _type_name(one) for one in get_args(annotation))
    return getattr(annotation, "__name__", str(annotation)) if isinstance(annotation, type) else str(annotation).replace("typing.", "")
