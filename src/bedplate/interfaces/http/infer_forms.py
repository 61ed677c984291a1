"""Infer forms: how an inference is asked and answered on the wire; what lies between is the same for all (`infer_call.py`).

Here is the Open Inference Protocol over HTTP. `predict.py` has the form of TensorFlow Serving, `backends/grpc_form.py` that of gRPC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from bedplate.core.model import Signature
from bedplate.stages.deploy.deployment import LoadedModel

from . import tensors
from .answered import JSON_LINE, Answered, lines_of
from .replies import Headers, Problem

_BINARY_LINES: Final = b"content-type: application/octet-stream\r\ninference-header-content-length: %d\r\n"

Wishes = Mapping[str, Mapping[str, Any]]
"""The outputs that a client wants, with the parameters of each."""


class InferForm(Protocol):
    """One way to say an inference; `name` is what it is known by."""

    name: str

    def read(self, headers: Headers, body: bytes, signature: Signature) -> tuple[tensors.InferRequest, list[tensors.Tensor]]:
        """What is asked, and the tensors that it is asked of. Raises Problem 400."""
        ...

    def write(
        self, asked: tensors.InferRequest, wishes: Wishes, outputs: Sequence[tensors.Output], loaded: LoadedModel, request_id: str
    ) -> Answered:
        """The answer: the outputs that are wanted."""
        ...

    def refuse(self, problem: Problem) -> Answered:
        """The answer to what is refused."""
        ...


class RestForm:
    """The Open Inference Protocol over HTTP: JSON, or JSON and the bytes of the tensors after it."""

    def __init__(self) -> None:
        self._reader = tensors.Reader()

    name = "rest"

    def read(self, headers: Headers, body: bytes, _signature: Signature) -> tuple[tensors.InferRequest, list[tensors.Tensor]]:
        """What a body asks. Raises Problem 400."""
        return self._reader.read(body, headers.get(b"inference-header-content-length", b""))

    def write(
        self, asked: tensors.InferRequest, wishes: Wishes, outputs: Sequence[tensors.Output], loaded: LoadedModel, request_id: str
    ) -> Answered:
        """The outputs, each in JSON or as bytes, as it is wanted."""
        everything = asked.parameters.get("binary_data_output") is True
        binary = [bool(wishes[one.name].get("binary_data", everything)) for one in outputs]
        text, json_length = tensors.encode(loaded.name, str(loaded.version.number), asked.id, outputs, binary)
        lines = JSON_LINE if json_length is None else _BINARY_LINES % json_length
        return Answered(200, lines + names_of(loaded, request_id), text)

    def refuse(self, problem: Problem) -> Answered:
        """The protocol's error."""
        return refusal(problem)


def names_of(loaded: LoadedModel, request_id: str) -> bytes:
    """The header lines that say what answered, and what the request is called."""
    return f"x-request-id: {request_id}\r\nx-model-version: {loaded.name}@{loaded.version.number}\r\n".encode()


def words_of(problem: Problem) -> str:
    """A problem in one line."""
    return f"{problem.what}: {problem.why}" if problem.why else problem.what


def refusal(problem: Problem) -> Answered:
    """A problem as the protocols of models have it: `{"error": "text"}`."""
    return Answered(problem.status, JSON_LINE + lines_of(problem), msgspec.json.encode({"error": words_of(problem)}))
