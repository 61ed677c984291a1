"""Open Inference Protocol v2 (REST), so that Triton's and KServe's clients can ask the models themselves.

One input tensor per input column of the model (shape [n] or [n, 1]), or, where every column is a number, a single tensor of shape
[n, columns]. Outputs are named as in the model's signature. Every inference is a prediction, logged per row under
`predictions/model/NAME`. Errors are `{"error": "text"}`, as the protocol has it.

Limits: a version is asked by number where it is the one that serves; no shared memory, sequences, compression or classification.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bedplate.core.model import RowPredictor
from bedplate.stages.deploy.batchers import Batchers
from bedplate.stages.deploy.deployment import LoadedModel, Waiting
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.trials import Tried

from . import model_columns, tensors
from .answered import Answered, page, said
from .asking import Call, ask_through
from .body import need_plain
from .infer_call import InferCall, OfRows, inputs_of
from .infer_forms import InferForm, RestForm, refusal
from .lanes import Lane, OffLoop
from .ledger import Ledger
from .once import KEY, REQUEST, Once, named
from .pool import Pool
from .replies import Headers, Problem
from .rolled import Trying
from .rolled_model import RolledModel

_EXTENSIONS: Final = ["binary_tensor_data", "model_repository"]
_REST: Final = RestForm()


class Inference:
    """The protocol's routes over the models that are deployed."""

    def __init__(
        self, holder: Holder, ledger: Ledger, pool: Pool, version: str, body_limit: int, trying: Trying, once: Once
    ) -> None:  # fmt: skip
        self.ledger = ledger
        self.trying = trying
        self.once = once
        self.limit = body_limit
        self._holder = holder
        self.away = OffLoop(pool.away)
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
            *(Route(f"{path}/infer", Infer(self.desk), methods=["POST"]) for path in model),
        ]

    async def server(self, request: Request) -> Response:
        """Name, version and extensions."""
        return _json(self.about())

    def about(self) -> dict[str, Any]:
        """What the server says of itself."""
        return {"name": "bedplate", "version": self._version, "extensions": _EXTENSIONS}

    def said(self) -> dict[str, Callable[[], Answered]]:
        """The pages that programs ask for again and again, by path."""
        return {"/v2/health/live": self.live, "/v2/health/ready": self.ready}

    def live(self) -> Answered:
        """200: the process answers."""
        return said({"live": True})

    def ready(self) -> Answered:
        """200 where every model serves."""
        waiting = self.waits()
        return said({"ready": not waiting, "waiting": waiting}, 400 if waiting else 200)

    def waits(self) -> list[str]:
        """The models that do not serve."""
        return [one.name for one in self._holder.current.models.values() if isinstance(one, Waiting)]

    async def index(self, request: Request) -> Response:
        """Every model, and whether it serves."""
        return _json(self.index_rows())

    def index_rows(self) -> list[dict[str, str]]:
        """Every model, its version, whether it serves, and why not."""
        rows = []
        for name, one in self._holder.current.models.items():
            if isinstance(one, Waiting):
                rows.append({"name": name, "version": "", "state": "UNAVAILABLE", "reason": one.reason})
            else:
                rows.append({"name": name, "version": str(one.version.number), "state": "READY", "reason": ""})
        return rows

    async def metadata(self, request: Request) -> Response:
        """What a model takes and gives."""
        try:
            loaded = self._find(request)
        except Problem as problem:
            return _refusal(problem)
        return _json(self.described(loaded))

    def described(self, loaded: LoadedModel) -> dict[str, Any]:
        """What a model takes and gives."""
        signature = loaded.model.signature
        return {
            "name": loaded.name,
            "versions": [str(loaded.version.number)],
            "platform": f"bedplate_{loaded.model.flavour or 'model'}",
            "inputs": [{"name": one.name, "datatype": one.datatype, "shape": [-1]} for one in signature.inputs],
            "outputs": [{"name": one.name, "datatype": one.datatype, "shape": [-1]} for one in signature.outputs],
        }

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
            lane = self._lanes[name] = Lane(self._pool.branch())
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
            return OfRows(loaded, is_remote=loaded.model.is_remote)
        if self._batchers is None:
            self._batchers = Batchers(asyncio.get_running_loop(), time.perf_counter)
        return OfRows(loaded, predictor.rows, self._batchers.of(loaded), loaded.model.is_remote)

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

    def tried(self, name: str, version: str | None) -> Tried | None:
        """What is tried beside a model, unless its version is asked for by number."""
        tried = self._holder.tried
        return tried.get(f"model/{name}") if tried and version is None else None

    def aside(self, loaded: LoadedModel) -> OfRows:
        """How a version that is tried is asked for rows of numbers: for itself, as it has no batcher."""
        predictor = loaded.model.predictor
        if not isinstance(predictor, RowPredictor) or not model_columns.is_plain(loaded.model.signature.inputs):
            return OfRows(loaded)
        return OfRows(loaded, predictor.rows)

    def knows(self, name: str) -> bool:
        """Whether the project has a model of that name, ready or not."""
        return name in self._holder.current.models

    def _find(self, request: Request) -> LoadedModel:
        return self.find(request.path_params["model"], request.path_params.get("version"))


class Infer:
    """The route of inference, for ASGI servers."""

    def __init__(self, desk: Callable[[str, str | None], InferDesk]) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Predict."""
        asked = scope["path_params"]
        await ask_through(self._desk(asked["model"], asked.get("version")), scope, receive, send)


class InferDesk:
    """Where one model is asked, by the version that serves when a request is whole."""

    def __init__(self, inference: Inference, model: str, version: str | None, form: InferForm = _REST) -> None:
        self.limit = inference.limit
        self.ledger = inference.ledger
        self.tracer = inference.ledger.tracer
        self._inference = inference
        self._form = form
        self._model = model
        self._version = version

    def check(self, headers: Headers) -> None:
        """A body is read as it is. Raises Problem 415."""
        need_plain(headers)

    def begin(self, headers: Headers, body: bytes, started: float) -> Call:
        """The call that a body asks for. Raises Problem 400, 404, 409, 413, 422, 429 or 503."""
        loaded = self._inference.find(self._model, self._version)
        asked, given = self._form.read(headers, body, loaded.model.signature)
        if not asked.id and REQUEST not in headers and KEY not in headers:
            return self._call(headers, loaded, asked, given, started)
        of = f"model/{self._model}"
        name = named(f"{of}@{self._version or ''} {self._form.name}", headers, body, asked.id)
        return self._inference.once.begin(of, name, lambda: self._call(headers, loaded, asked, given, started))

    def _call(
        self, headers: Headers, loaded: LoadedModel, asked: tensors.InferRequest, given: list[tensors.Tensor], started: float
    ) -> InferCall:
        signature = loaded.model.signature
        wishes = model_columns.wishes(asked, signature)
        given_id = headers.get(b"x-request-id", b"") or asked.id.encode("latin-1", "ignore")
        of_rows = self._inference.of_rows(loaded)
        inputs = inputs_of(of_rows, given)
        place = self.ledger.admit(inputs.count)
        lane = self._inference.away if of_rows.is_remote else self._inference.lane(self._model)
        call = InferCall(self.ledger, lane, self._form, loaded, asked, inputs, wishes, place, given_id, started)
        if (tried := self._inference.tried(self._model, self._version)) is not None:
            predict = partial(_predicted, self._inference, given)
            call.roll(RolledModel(self._inference.trying, tried, loaded, inputs.count, predict), headers)
        return call

    def refuse(self, _headers: Headers, problem: Problem, _started: float) -> Answered:
        """The protocol's error."""
        return self._form.refuse(problem)

    def count(self, status: int, seconds: float, rows: int) -> None:
        """Count an answer; of a model that the project has not, under no name."""
        name = f"model/{self._model}" if self._inference.knows(self._model) else ""
        self.ledger.metrics.request(name, status, seconds, rows)


def _predicted(inference: Inference, given: list[tensors.Tensor], loaded: LoadedModel) -> Any:
    """What a version that is tried predicts for a request's tensors."""
    return np.asarray(inputs_of(inference.aside(loaded), given).predict())


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _refusal(problem: Problem) -> Response:
    answered = refusal(problem)
    return Response(answered.body, answered.status, headers={key.decode(): value.decode() for key, value in answered.headers})
