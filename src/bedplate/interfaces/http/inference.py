"""Open Inference Protocol v2 (REST), so that Triton's and KServe's clients can ask the models themselves.

One input tensor per input column of the model (shape [n] or [n, 1]), or, where every column is a number, a single tensor of shape
[n, columns]. Outputs are named as in the model's signature. Every inference is a prediction, logged per row under
`predictions/model/NAME`. Errors are `{"error": "text"}`, as the protocol has it.

Limits: the version that serves is the only one loaded; no shared memory, sequences, compression or classification.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bedplate.core.errors import UserError
from bedplate.core.model import RowPredictor
from bedplate.stages.deploy.batcher import Batcher, Turned
from bedplate.stages.deploy.batchers import Batchers
from bedplate.stages.deploy.deployment import LoadedModel, Waiting
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.recorder import Cells, Prediction
from bedplate.stages.deploy.service import plain

from . import model_columns, tensors
from .answered import JSON_LINE, Answered, lines_of, page, said
from .asking import Failed, ask_through
from .body import need_plain
from .lanes import Lane, Pool
from .ledger import Ledger, Place
from .replies import Headers, Problem

_USUAL, _LAST = 2, 9
"""The priority of who asks for none, and the last that there is."""
_EXTENSIONS: Final = ["binary_tensor_data", "model_repository"]
_BINARY_LINES: Final = b"content-type: application/octet-stream\r\ninference-header-content-length: %d\r\n"


class Inference:
    """The protocol's routes over the models that are deployed."""

    def __init__(self, holder: Holder, ledger: Ledger, pool: Pool, version: str, body_limit: int) -> None:
        self.ledger = ledger
        self.limit = body_limit
        self._holder = holder
        self._pool = pool
        self._version = version
        self._lanes: dict[str, Lane] = {}
        self._batchers: Batchers | None = None
        self._of_rows: dict[str, OfRows] = {}

    def routes(self) -> list[Route]:
        """Every path of the protocol."""
        model = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
        return [
            Route("/v2", self.server),
            *(Route(path, page(one)) for path, one in self.said().items()),
            Route("/v2/repository/index", self.index, methods=["POST"]),
            *(Route(path, self.metadata) for path in model),
            *(Route(f"{path}/ready", self.model_ready) for path in model),
            *(Route(f"{path}/infer", Infer(self), methods=["POST"]) for path in model),
        ]

    async def server(self, request: Request) -> Response:
        """Name, version and extensions."""
        return _json({"name": "bedplate", "version": self._version, "extensions": _EXTENSIONS})

    def said(self) -> dict[str, Callable[[], Answered]]:
        """The pages that programs ask for again and again, by path."""
        return {"/v2/health/live": self.live, "/v2/health/ready": self.ready}

    def live(self) -> Answered:
        """200: the process answers."""
        return said({"live": True})

    def ready(self) -> Answered:
        """200 where every model serves."""
        waiting = [one.name for one in self._holder.current.models.values() if isinstance(one, Waiting)]
        return said({"ready": not waiting, "waiting": waiting}, 400 if waiting else 200)

    async def index(self, request: Request) -> Response:
        """Every model, and whether it serves."""
        rows = []
        for name, one in self._holder.current.models.items():
            if isinstance(one, Waiting):
                rows.append({"name": name, "version": "", "state": "UNAVAILABLE", "reason": one.reason})
            else:
                rows.append({"name": name, "version": str(one.version.number), "state": "READY", "reason": ""})
        return _json(rows)

    async def metadata(self, request: Request) -> Response:
        """What a model takes and gives."""
        try:
            loaded = self._find(request)
        except Problem as problem:
            return _refusal(problem)
        signature = loaded.model.signature
        return _json(
            {
                "name": loaded.name,
                "versions": [str(loaded.version.number)],
                "platform": f"bedplate_{loaded.model.flavour or 'model'}",
                "inputs": [{"name": one.name, "datatype": one.datatype, "shape": [-1]} for one in signature.inputs],
                "outputs": [{"name": one.name, "datatype": one.datatype, "shape": [-1]} for one in signature.outputs],
            }
        )

    async def model_ready(self, request: Request) -> Response:
        """200 where the model serves."""
        try:
            loaded = self._find(request)
        except Problem as problem:
            return _refusal(problem)
        return _json({"name": loaded.name, "ready": True})

    def desk(self, model: str, version: str | None) -> InferDesk:
        """Where a model (of a version) is asked."""
        return InferDesk(self, model, version)

    def lane(self, name: str) -> Lane:
        """How long a row of a model takes."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(self._pool)
        return lane

    def of_rows(self, loaded: LoadedModel) -> OfRows:
        """How a version is asked for rows of numbers. Looked up once for a version."""
        known = self._of_rows.get(loaded.name)
        if known is None or known.loaded is not loaded:
            known = self._of_rows[loaded.name] = self._asked_for_rows(loaded)
        return known

    def _asked_for_rows(self, loaded: LoadedModel) -> OfRows:
        predictor = loaded.model.predictor
        if not isinstance(predictor, RowPredictor) or not model_columns.is_plain(loaded.model.signature.inputs):
            return OfRows(loaded)
        if self._batchers is None:
            self._batchers = Batchers(asyncio.get_running_loop(), time.perf_counter)
        return OfRows(loaded, predictor.rows, self._batchers.of(loaded))

    def find(self, name: str, version: str | None) -> LoadedModel:
        """The model that serves now. Raises Problem 404 or 503."""
        models = self._holder.current.models
        one = models.get(name)
        if one is None:
            raise Problem(404, f"there is no model '{name}'", why=f"models: {', '.join(models) or 'none'}")
        if isinstance(one, Waiting):
            raise Problem(503, f"{name} is not ready", why=one.reason)
        if version is not None and version != str(one.version.number):
            raise Problem(404, f"{name} has no version {version} here", why=f"version {one.version.number} serves")
        return one

    def knows(self, name: str) -> bool:
        """Whether the project has a model of that name, ready or not."""
        return name in self._holder.current.models

    def _find(self, request: Request) -> LoadedModel:
        return self.find(request.path_params["model"], request.path_params.get("version"))


class Infer:
    """The route of inference, for ASGI servers."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Predict."""
        asked = scope["path_params"]
        await ask_through(self._inference.desk(asked["model"], asked.get("version")), scope, receive, send)


class InferDesk:
    """Where one model is asked, by the version that serves when a request is whole."""

    def __init__(self, inference: Inference, model: str, version: str | None) -> None:
        self.limit = inference.limit
        self.ledger = inference.ledger
        self._inference = inference
        self._model = model
        self._version = version

    def check(self, headers: Headers) -> None:
        """A body is read as it is. Raises Problem 415."""
        need_plain(headers)

    def begin(self, headers: Headers, body: bytes, started: float) -> InferCall:
        """The call that a body asks for. Raises Problem 400, 404, 413, 429 or 503."""
        loaded = self._inference.find(self._model, self._version)
        asked, given = tensors.parse(body, headers.get(b"inference-header-content-length", b""))
        signature = loaded.model.signature
        wishes = model_columns.wishes(asked, signature)
        given_id = headers.get(b"x-request-id", b"") or asked.id.encode("latin-1", "ignore")
        inputs = self._inputs(loaded, given)
        place, lane = self.ledger.admit(inputs.count), self._inference.lane(self._model)
        return InferCall(self.ledger, lane, loaded, asked, inputs, wishes, place, given_id, started)

    def _inputs(self, loaded: LoadedModel, given: list[tensors.Tensor]) -> Inputs:
        """What is predicted from: an array where the model computes on rows of numbers and gets them as such, else columns."""
        fields, of_rows = loaded.model.signature.inputs, self._inference.of_rows(loaded)
        if of_rows.call is not None:
            rows = model_columns.matrix(fields, given)
            if rows is not None:
                return Inputs(len(rows), partial(of_rows.call, rows), partial(Cells, rows), rows, of_rows.batcher)
        columns, count = model_columns.columns(fields, given)
        lists = {name: plain(values) for name, values in columns.items()}
        return Inputs(count, partial(loaded.model.predict, columns), lambda at: {name: values[at] for name, values in lists.items()})

    def refuse(self, _headers: Headers, problem: Problem, _started: float) -> Answered:
        """The protocol's error."""
        return refusal(problem)

    def count(self, status: int, seconds: float, rows: int) -> None:
        """Count an answer; of a model that the project has not, under no name."""
        name = f"model/{self._model}" if self._inference.knows(self._model) else ""
        self.ledger.metrics.request(name, status, seconds, rows)


class OfRows(msgspec.Struct, frozen=True, gc=False):
    """How a version is asked for rows of numbers: `call` (None: it must see its columns), and the batcher where they are gathered."""

    loaded: LoadedModel
    call: Callable[[Any], Any] | None = None
    batcher: Batcher | None = None


class Inputs(msgspec.Struct, frozen=True, gc=False):
    """What is predicted from: how many rows, the prediction, and each row as it is recorded; the rows themselves, and who gathers them."""

    count: int
    predict: Callable[[], Any]
    row: Callable[[int], Any]
    rows: Any = None
    batcher: Batcher | None = None


class InferCall:
    """One inference: what is predicted from, what is wanted of it, and the names of the request and its rows."""

    __slots__ = ("_asked", "_at", "_ids", "_inputs", "_ledger", "_loaded", "_place", "_request_id", "_started", "_wishes", "lane", "rows")

    def __init__(
        self,
        ledger: Ledger,
        lane: Lane,
        loaded: LoadedModel,
        asked: tensors.InferRequest,
        inputs: Inputs,
        wishes: Mapping[str, Mapping[str, Any]],
        place: Place,
        given_id: bytes,
        started: float,
    ) -> None:
        self.lane, self.rows = lane, inputs.count
        self._ledger, self._loaded, self._asked, self._inputs, self._wishes = ledger, loaded, asked, inputs, wishes
        self._place, self._started = place, started
        self._at = ledger.clock.now()
        self._request_id, self._ids = ledger.names(inputs.count, given_id, self._at)

    @property
    def gathers(self) -> bool:
        """Whether others may be answered with it."""
        return self._inputs.batcher is not None

    async def gathered(self) -> tuple[Any, list[tensors.Output]]:
        """As `run`, together with others. Raises Problem 503 where the model cannot take more, 504 past the deadline asked for."""
        batcher = self._inputs.batcher
        if batcher is None:
            return self.run()
        priority, deadline = wanted(self._asked.parameters, self._started)
        try:
            made = np.asarray(await batcher.ask(self._inputs.rows, priority=priority, deadline=deadline))
            return made, model_columns.outputs(self._loaded.model.signature.outputs, made)
        except Turned as turned:
            raise turned_away(turned) from None
        except UserError as error:
            raise Problem(400, error.what, why=error.why) from None
        except Exception as error:  # what a framework raised, or what became of its process
            raise Failed from error

    def run(self) -> tuple[Any, list[tensors.Output]]:
        """The predictions and the tensors that say them. Raises Problem 400 for input that the model refuses, Failed for anything else."""
        return _made(self._loaded, self._inputs)

    def finish(self, made: tuple[Any, list[tensors.Output]]) -> Answered:
        """The outputs that are wanted, in the form that they are."""
        predicted, outputs = made
        self._record(plain(predicted), "")
        wished = [one for one in outputs if one.name in self._wishes]
        everything = self._asked.parameters.get("binary_data_output") is True
        binary = [bool(self._wishes[one.name].get("binary_data", everything)) for one in wished]
        name, number = self._loaded.name, self._loaded.version.number
        text, json_length = tensors.encode({"model_name": name, "model_version": str(number), "id": self._asked.id}, wished, binary)
        lines = JSON_LINE if json_length is None else _BINARY_LINES % json_length
        return Answered(
            200, b"%bx-request-id: %b\r\nx-model-version: %b@%d\r\n" % (lines, self._request_id.encode(), name.encode(), number), text
        )

    def fail(self, failed: Failed) -> Problem:
        """The model raised; its rows are recorded."""
        problem, kept = self._ledger.failure(self._loaded.name, failed.__cause__ or failed, self._at)
        self._record([None] * self.rows, kept)
        return problem

    def close(self) -> None:
        """Give back the room in the log that was not used."""
        self._place.close()

    def _record(self, results: list[Any], error: str) -> None:
        latency_ms = (time.perf_counter() - self._started) * 1e3
        request_id, at, status = self._request_id, self._at, 500 if error else 200
        models, row = f'{{"{self._loaded.name}":{self._loaded.version.number}}}', self._inputs.row
        self._ledger.record(
            f"predictions/model/{self._loaded.name}",
            [
                Prediction(name, request_id, at, latency_ms, status, error, models, row(number), None, result)
                for number, (name, result) in enumerate(zip(self._ids, results, strict=True))
            ],
            self._place,
        )


def wanted(parameters: Mapping[str, Any], now: float) -> tuple[int, float | None]:
    """The class and the deadline that a request asks for, as Triton has them: 1 is the first priority, 0 says none; microseconds."""
    priority, timeout = parameters.get("priority"), parameters.get("timeout")
    first = priority if type(priority) is int and priority > 0 else _USUAL
    return min(first, _LAST) - 1, now + timeout / 1e6 if type(timeout) is int and timeout > 0 else None


def turned_away(turned: Turned) -> Problem:
    """What a client hears that was not worked for."""
    retry = () if turned.reason == "late" else ((b"retry-after", b"%d" % max(1, math.ceil(turned.retry_s))),)
    return Problem(504 if turned.reason == "late" else 503, turned.what, why=turned.why, headers=retry)


def _made(loaded: LoadedModel, inputs: Inputs) -> tuple[Any, list[tensors.Output]]:
    """The predictions and the tensors that say them. Raises Problem 400 for input that the model refuses, Failed for anything else."""
    try:
        made = np.asarray(inputs.predict())
        return made, model_columns.outputs(loaded.model.signature.outputs, made)
    except UserError as error:
        raise Problem(400, error.what, why=error.why) from None
    except BaseException as error:  # whatever a framework or a project's own function raises, SystemExit among it; the server goes on
        raise Failed from error


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def refusal(problem: Problem) -> Answered:
    """A problem as the protocol has it: `{"error": "text"}`."""
    text = f"{problem.what}: {problem.why}" if problem.why else problem.what
    return Answered(problem.status, JSON_LINE + lines_of(problem), msgspec.json.encode({"error": text}))


def _refusal(problem: Problem) -> Response:
    answered = refusal(problem)
    return Response(answered.body, answered.status, headers={key.decode(): value.decode() for key, value in answered.headers})
