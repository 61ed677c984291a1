"""`:predict`, as TensorFlow Serving and KServe's first protocol have it: `POST /v1/models/NAME:predict`, and `GET` for what serves.

`{"instances": [...]}` has a row each: an object by the model's columns, a list in their order, or the value itself where there is one
column; it is answered with `{"predictions": [...]}`. `{"inputs": ...}` has an object of lists, one for each column, or rows; it is answered
with `{"outputs": ...}`. Several outputs are objects by their names. Errors are `{"error": "text"}`.

Limits: values in JSON only (no `b64`); a `signature_name` is passed over, as a model has one signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bedplate.core.model import Field, Signature
from bedplate.stages.deploy.deployment import LoadedModel

from . import model_columns, tensors
from .answered import JSON_LINE, Answered
from .infer_forms import Wishes, names_of, refusal, words_of
from .inference import Infer, InferDesk, Inference
from .replies import Headers, Problem

PATH: Final = "/v1/models"


class _Body(msgspec.Struct, frozen=True):
    """What is asked; exactly one of them."""

    instances: Any = msgspec.UNSET
    inputs: Any = msgspec.UNSET


class _Asked(tensors.InferRequest, frozen=True):
    """A request that remembers in which form it came."""

    columnar: bool = False


_DECODER: Final = msgspec.json.Decoder(_Body)


class PredictForm:
    """Rows or columns in JSON."""

    name = "predict"

    def read(self, _headers: Headers, body: bytes, signature: Signature) -> tuple[tensors.InferRequest, list[tensors.Tensor]]:
        """What a body asks. Raises Problem 400."""
        try:
            asked = _DECODER.decode(body)
        except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
            raise Problem(400, f"the request is not of the protocol: {error}") from None
        given = [one for one in (asked.instances, asked.inputs) if one is not msgspec.UNSET]
        if len(given) != 1:
            raise Problem(400, "the request has no instances and no inputs" if not given else "the request has instances and inputs")
        columnar = asked.inputs is not msgspec.UNSET
        made = _columns(signature.inputs, given[0]) if isinstance(given[0], dict) else _rows(signature.inputs, given[0])
        return _Asked(inputs=[], columnar=columnar), [tensors.from_json(one) for one in made]

    def write(
        self, asked: tensors.InferRequest, _wishes: Wishes, outputs: Sequence[tensors.Output], loaded: LoadedModel, request_id: str
    ) -> Answered:
        """The predictions, by row or by column, as was asked."""
        by_name = {one.name: np.asarray(one.values).tolist() for one in outputs}
        columnar, made = isinstance(asked, _Asked) and asked.columnar, next(iter(by_name.values()))
        if len(by_name) > 1 and columnar:
            made = by_name
        elif len(by_name) > 1:
            made = [dict(zip(by_name, values, strict=True)) for values in zip(*by_name.values(), strict=True)]
        body = msgspec.json.encode({"outputs" if columnar else "predictions": made})
        return Answered(200, JSON_LINE + names_of(loaded, request_id), body)

    def refuse(self, problem: Problem) -> Answered:
        """The protocol's error."""
        return refusal(problem)


_FORM: Final = PredictForm()


class Predicting:
    """The protocol over the models that are deployed."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    def desk(self, model: str, version: str | None) -> InferDesk:
        """Where a model (of a version) is asked."""
        return InferDesk(self._inference, model, version, _FORM)

    def routes(self) -> list[Route]:
        """Every path of the protocol."""
        model = (f"{PATH}/{{model}}", f"{PATH}/{{model}}/versions/{{version}}")
        return [
            Route(PATH, self.all),
            *(Route(f"{path}:predict", Infer(self.desk), methods=["POST"]) for path in model),
            *(Route(path, self.one) for path in model),
        ]

    async def all(self, _request: Request) -> Response:
        """The names of the models."""
        return _json({"models": [one["name"] for one in self._inference.index_rows()]})

    async def one(self, request: Request) -> Response:
        """Whether a model serves, in the words of KServe and of TensorFlow Serving."""
        name = request.path_params["model"]
        try:
            loaded = self._inference.find(name, request.path_params.get("version"))
        except Problem as problem:
            return _json({"error": words_of(problem)}, problem.status)
        state = {"version": str(loaded.version.number), "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        return _json({"name": name, "ready": True, "model_version_status": [state]})


def _rows(fields: Sequence[Field], given: Any) -> list[tensors.InputTensor]:
    """The tensors of rows. Raises Problem 400."""
    if not isinstance(given, list) or not given:
        raise Problem(400, "the inputs have no rows", why="a request has a list of them")
    names = [one.name for one in fields]
    kind = dict if isinstance(given[0], dict) else list if isinstance(given[0], list) else object
    rows = given if kind is not object else [[value] for value in given]
    for at, row in enumerate(rows):
        _check(at, row, list if kind is object else kind, names)
    if kind is not dict and model_columns.is_plain(fields) and len(fields) > 1:
        return [tensors.InputTensor("instances" if "instances" not in names else "", [len(rows), len(fields)], "FP64", data=rows)]
    keys: Sequence[Any] = names if kind is dict else range(len(names))
    return [_column(field, [row[key] for row in rows]) for field, key in zip(fields, keys, strict=True)]


def _check(at: int, row: Any, kind: type[Any], names: Sequence[str]) -> None:
    """Raise Problem 400 for a row that is not of the form of the first, or has other columns than the model."""
    if not isinstance(row, kind):
        raise Problem(400, f"row {at} is not of the form of the first", why="all rows are objects, or lists, or values")
    if kind is dict and (missing := next((name for name in names if name not in row), None)) is not None:
        raise Problem(400, f"row {at}: input '{missing}' is missing", why=f"the model takes {', '.join(names)}")
    if kind is dict and len(row) > len(names):
        extra = next(name for name in row if name not in names)
        raise Problem(400, f"row {at}: the model has no input '{extra}'", why=f"it takes {', '.join(names)}")
    if kind is list and len(row) != len(names):
        raise Problem(400, f"row {at} has {len(row)} values, and the model takes {len(names)}", why=", ".join(names))


def _columns(fields: Sequence[Field], given: Mapping[str, Any]) -> list[tensors.InputTensor]:
    """The tensors of columns by name; which are missing or too many, who puts them together says. Raises Problem 400."""
    known = {one.name: one for one in fields}
    for name, values in given.items():
        if not isinstance(values, list):
            raise Problem(400, f"input '{name}' is not a list", why="it has a value for each row")
        if name not in known:
            raise Problem(400, f"the model has no input '{name}'", why=f"it takes {', '.join(known)}")
    return [
        _column(known[name], [one[0] if isinstance(one, list) and len(one) == 1 else one for one in values])
        for name, values in given.items()
    ]


def _column(field: Field, values: list[Any]) -> tensors.InputTensor:
    """One column, in the type that holds its values exactly."""
    datatype = field.datatype
    if datatype not in ("BYTES", "BOOL"):
        whole = datatype[0] in "IU" and set(map(type, values)) == {int}
        datatype = ("UINT64" if datatype[0] == "U" else "INT64") if whole else "FP64"
    return tensors.InputTensor(field.name, [len(values)], datatype, data=values)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
