"""How an inference is said in the messages of the Open Inference Protocol over gRPC.

Tensors come in typed contents, or all of them as bytes in `raw_input_contents`; the answer has the form of the question. FP16 has no typed
form: an answer with one is all bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from bedplate.core.model import Signature
from bedplate.interfaces.http import tensors
from bedplate.interfaces.http.answered import Answered, lines_of
from bedplate.interfaces.http.infer_forms import Wishes, names_of, words_of
from bedplate.interfaces.http.replies import Headers, Problem
from bedplate.stages.deploy.deployment import LoadedModel
from bedplate.storage.backends.open_inference import CONTENTS, message

_RESPONSE: Final = message("ModelInferResponse")


class GrpcForm:
    """One inference over gRPC; `remaining_s` is what the client gave it (None: as long as it takes)."""

    name = "grpc"

    def __init__(self, request: Any, remaining_s: float | None) -> None:
        self._request = request
        self._remaining_s = remaining_s
        self._is_raw = bool(request.raw_input_contents)

    def read(self, _headers: Headers, _body: bytes, _signature: Signature) -> tuple[tensors.InferRequest, list[tensors.Tensor]]:
        """What the message asks. Raises Problem 400."""
        request = self._request
        parameters = _parameters(request.parameters)
        if self._remaining_s is not None:
            left = max(1, int(self._remaining_s * 1e6))
            given = parameters.get("timeout")
            parameters["timeout"] = min(left, given) if type(given) is int and given > 0 else left
        wanted = [tensors.OutputWish(one.name, _parameters(one.parameters)) for one in request.outputs]
        asked = tensors.InferRequest(inputs=[], id=request.id, parameters=parameters, outputs=wanted)
        if not self._is_raw:
            return asked, [_typed(one) for one in request.inputs]
        raw = request.raw_input_contents
        if len(raw) != len(request.inputs):
            raise Problem(400, f"the request has {len(request.inputs)} inputs, and {len(raw)} raw contents", why="each input has one")
        return asked, [_raw(one, content) for one, content in zip(request.inputs, raw, strict=True)]

    def write(
        self, asked: tensors.InferRequest, _wishes: Wishes, outputs: Sequence[tensors.Output], loaded: LoadedModel, request_id: str
    ) -> Answered:
        """The outputs: the message's bytes."""
        made = _RESPONSE(model_name=loaded.name, model_version=str(loaded.version.number), id=asked.id)
        is_raw = self._is_raw or any(one.datatype not in CONTENTS for one in outputs)
        for output in outputs:
            values = np.asarray(output.values)
            one = made.outputs.add(name=output.name, datatype=output.datatype, shape=values.shape)
            if is_raw:
                made.raw_output_contents.append(tensors.to_bytes(output))
            else:
                getattr(one.contents, CONTENTS[output.datatype]).extend(_flat(output.datatype, values))
        return Answered(200, names_of(loaded, request_id), made.SerializeToString())

    def refuse(self, problem: Problem) -> Answered:
        """The words of the status that it is refused with."""
        return Answered(problem.status, lines_of(problem), words_of(problem).encode())


def _parameters(given: Any) -> dict[str, Any]:
    """The parameters of a message, by name; those that say nothing are left out."""
    chosen = {name: one.WhichOneof("parameter_choice") for name, one in given.items()}
    return {name: getattr(given[name], choice) for name, choice in chosen.items() if choice is not None}


def _declared(one: Any) -> tensors.InputTensor:
    return tensors.InputTensor(one.name, list(one.shape), one.datatype)


def _raw(one: Any, content: bytes) -> tensors.Tensor:
    if one.HasField("contents"):
        raise Problem(400, f"input '{one.name}' has contents of its own, beside the raw ones", why="all inputs are raw, or none is")
    return tensors.from_bytes(_declared(one), content)


def _typed(one: Any) -> tensors.Tensor:
    """A tensor of typed contents. Raises Problem 400."""
    declared = _declared(one)
    count, field = tensors.count_of(declared), CONTENTS.get(one.datatype)
    if field is None:
        raise Problem(400, f"input '{one.name}': {one.datatype} has no typed contents", why="it is sent in raw_input_contents")
    if others := [known.name for known, _ in one.contents.ListFields() if known.name != field]:
        raise Problem(400, f"input '{one.name}' is {one.datatype}, and has {others[0]}", why=f"its values are in {field}")
    given = getattr(one.contents, field)
    if len(given) != count:
        raise Problem(400, f"input '{one.name}': {len(given)} values for shape {declared.shape}")
    if one.datatype == "BYTES":
        return tensors.Tensor(one.name, one.datatype, tuple(one.shape), [_text(one.name, at, text) for at, text in enumerate(given)])
    kind = np.dtype(tensors.NUMPY[one.datatype])
    values = np.fromiter(given, np.int64 if field in ("int_contents", "uint_contents") else kind, count)
    if values.dtype != kind:
        limits: Any = np.iinfo(kind.name)
        if count and not (limits.min <= values.min() and values.max() <= limits.max):
            raise Problem(400, f"input '{one.name}': a value is out of bounds for {one.datatype}")
        values = values.astype(kind)
    return tensors.Tensor(one.name, one.datatype, tuple(one.shape), values.reshape(one.shape))


def _text(name: str, at: int, text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise Problem(400, f"input '{name}': text {at} is not UTF-8") from None


def _flat(datatype: str, values: Any) -> Any:
    if datatype == "BYTES":
        return [str(value).encode() for value in values.ravel()]
    return values.ravel().astype(tensors.NUMPY[datatype], copy=False).tolist()
