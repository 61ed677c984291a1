"""Open Inference Protocol v2 (REST), so that Triton's and KServe's clients can ask the models themselves.

One input tensor per input column of the model (shape [n] or [n, 1]), or, where every column is a number, a single tensor of shape
[n, columns]. Outputs are named as in the model's signature. Every inference is a prediction, logged per row under
`predictions/model/NAME`. Errors are `{"error": "text"}`, as the protocol has it.

Limits: the version that serves is the only one loaded; no shared memory, sequences, compression or classification.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bedplate.core.errors import UserError
from bedplate.stages.deploy.deployment import LoadedModel, Waiting
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.recorder import Prediction
from bedplate.stages.deploy.service import plain

from . import body, model_columns, tensors
from .lanes import Lane, Pool
from .ledger import Ledger, Place
from .replies import Problem

_EXTENSIONS: Final = ["binary_tensor_data", "model_repository"]
_JSON_LENGTH: Final = "Inference-Header-Content-Length"


class ModelFailed(Exception):
    """The model raised; the cause is what it raised."""


class Inference:
    """The protocol's routes over the models that are deployed."""

    def __init__(self, holder: Holder, ledger: Ledger, pool: Pool, version: str, body_limit: int) -> None:
        self._holder = holder
        self._ledger = ledger
        self._pool = pool
        self._version = version
        self._limit = body_limit
        self._lanes: dict[str, Lane] = {}

    def routes(self) -> list[Route]:
        """Every path of the protocol."""
        model = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
        return [
            Route("/v2", self.server),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
            Route("/v2/repository/index", self.index, methods=["POST"]),
            *(Route(path, self.metadata) for path in model),
            *(Route(f"{path}/ready", self.model_ready) for path in model),
            *(Route(f"{path}/infer", self.infer, methods=["POST"]) for path in model),
        ]

    async def server(self, request: Request) -> Response:
        """Name, version and extensions."""
        return _json({"name": "bedplate", "version": self._version, "extensions": _EXTENSIONS})

    async def live(self, request: Request) -> Response:
        """200: the process answers."""
        return _json({"live": True})

    async def ready(self, request: Request) -> Response:
        """200 where every model serves."""
        waiting = [one.name for one in self._holder.current.models.values() if isinstance(one, Waiting)]
        return _json({"ready": not waiting, "waiting": waiting}, 400 if waiting else 200)

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

    async def infer(self, request: Request) -> Response:
        """Predict."""
        started = time.perf_counter()
        name, rows, status = request.path_params["model"], 0, 200
        known = name in self._holder.current.models
        try:
            loaded = self._find(request)
            body.need_plain(request.scope)
            raw = await body.read(request.scope, request.receive, self._limit)
            started = time.perf_counter()
            response, rows = await self._predict(loaded, raw, request, started)
        except body.Gone:
            return Response(status_code=499)
        except Problem as problem:
            status = problem.status
            response = _refusal(problem)
        self._ledger.metrics.request(f"model/{name}" if known else "", status, time.perf_counter() - started, rows)
        return response

    def _find(self, request: Request) -> LoadedModel:
        models = self._holder.current.models
        name, version = request.path_params["model"], request.path_params.get("version")
        one = models.get(name)
        if one is None:
            raise Problem(404, f"there is no model '{name}'", why=f"models: {', '.join(models) or 'none'}")
        if isinstance(one, Waiting):
            raise Problem(503, f"{name} is not ready", why=one.reason)
        if version is not None and version != str(one.version.number):
            raise Problem(404, f"{name} has no version {version} here", why=f"version {one.version.number} serves")
        return one

    async def _predict(self, loaded: LoadedModel, raw: bytes, request: Request, started: float) -> tuple[Response, int]:
        asked, given = tensors.parse(raw, body.header(request.scope, b"inference-header-content-length"))
        columns, rows = model_columns.columns(loaded.model.signature.inputs, given)
        wishes = model_columns.wishes(asked, loaded.model.signature)
        given_id = body.header(request.scope, b"x-request-id") or asked.id.encode("latin-1", "ignore")
        with self._ledger.admit(rows) as place:
            at = self._ledger.clock.now()
            request_id, ids = self._ledger.names(rows, given_id, at)
            lane = self._lanes.setdefault(loaded.name, Lane(self._pool))
            try:
                made, outputs = await lane.run(rows, lambda: _made(loaded, columns))
            except ModelFailed as failed:
                problem, kept = self._ledger.failure(loaded.name, failed.__cause__ or failed, at)
                self._record(loaded, columns, [None] * rows, ids, request_id, at, started, kept, place)
                raise problem from None
            self._record(loaded, columns, plain(made), ids, request_id, at, started, "", place)
        wished = [one for one in outputs if one.name in wishes]
        everything = asked.parameters.get("binary_data_output") is True
        head = {"model_name": loaded.name, "model_version": str(loaded.version.number), "id": asked.id}
        text, json_length = tensors.encode(head, wished, [bool(wishes[one.name].get("binary_data", everything)) for one in wished])
        headers = {"X-Request-Id": request_id, "X-Model-Version": f"{loaded.name}@{loaded.version.number}"}
        if json_length is None:
            return Response(text, media_type="application/json", headers=headers), rows
        return Response(text, media_type="application/octet-stream", headers={**headers, _JSON_LENGTH: str(json_length)}), rows

    def _record(
        self,
        loaded: LoadedModel,
        columns: Mapping[str, Any],
        results: list[Any],
        ids: list[str],
        request_id: str,
        at: datetime,
        started: float,
        error: str,
        place: Place,
    ) -> None:
        latency_ms = (time.perf_counter() - started) * 1e3
        models = msgspec.json.encode({loaded.name: loaded.version.number}).decode()
        lists = {name: plain(values) for name, values in columns.items()}
        status = 500 if error else 200
        rows = ({name: values[row] for name, values in lists.items()} for row in range(len(results)))
        self._ledger.record(
            f"predictions/model/{loaded.name}",
            [
                Prediction(prediction_id, request_id, at, latency_ms, status, error, models, row, None, result)
                for prediction_id, row, result in zip(ids, rows, results, strict=True)
            ],
            place,
        )


def _made(loaded: LoadedModel, columns: Mapping[str, Any]) -> tuple[Any, list[tensors.Output]]:
    """The predictions and the tensors that say them. Raises Problem 400 for input that the model refuses, ModelFailed for anything else."""
    try:
        made = np.asarray(loaded.model.predict(columns))
        return made, model_columns.outputs(loaded.model.signature.outputs, made)
    except UserError as error:
        raise Problem(400, error.what, why=error.why) from None
    except BaseException as error:  # whatever a framework or a project's own function raises, SystemExit among it; the server goes on
        raise ModelFailed from error


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _refusal(problem: Problem) -> Response:
    text = f"{problem.what}: {problem.why}" if problem.why else problem.what
    return Response(
        msgspec.json.encode({"error": text}),
        problem.status,
        headers={key.decode(): value.decode() for key, value in problem.headers},
        media_type="application/json",
    )
