"""A remote model's server asked by the messages of gRPC: tensors are sent as bytes, and read as bytes or as typed contents.

An answer is believed in nothing, as over HTTP (`remote_tensors.py`). Limits: a text that is missing cannot be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError

from bedplate.core.errors import UserError
from bedplate.storage.far import SERVICE, Place, Shape

from . import remote_tensors as wire
from .open_inference import CONTENTS, message
from .remote_speech import Metadata, Question

_ASKS, _TELLS = message("ModelMetadataRequest"), message("ModelMetadataResponse")
_INFERS, _ANSWERS = message("ModelInferRequest"), message("ModelInferResponse")
_TEXT: Final = "BYTES"


class Messages:
    """By gRPC."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def about(self) -> Question:
        """The metadata of the model."""
        return self._call("ModelMetadata", _ASKS(name=self._place.name, version=self._place.version))

    def told(self, body: bytes) -> Metadata:
        """The message."""
        try:
            said = _TELLS.FromString(body)
        except DecodeError as error:
            raise msgspec.DecodeError(f"no ModelMetadataResponse: {error}") from None
        return Metadata(said.name, said.platform, tuple(said.versions), tuple(map(_shape, said.inputs)), tuple(map(_shape, said.outputs)))

    def meeting(self) -> None:
        """All servers take bytes."""

    def met(self, _status: int, _body: bytes) -> None:
        """Nothing was asked."""

    def question(self, inputs: Sequence[tuple[Shape, wire.Array]], outputs: Sequence[str]) -> Question:
        """The tensors as bytes. Raises UserError for values that they cannot hold."""
        asks = _INFERS(model_name=self._place.name, model_version=self._place.version)
        for shape, given in inputs:
            values = wire.fitting(shape, given)
            if wire.has_missing(shape, values):
                raise UserError(f"a text of '{shape.name}' is missing", why="gRPC cannot say that", next='send "", or ask over HTTP')
            asks.inputs.add(name=shape.name, datatype=shape.datatype, shape=values.shape)
            asks.raw_input_contents.append(wire.as_bytes(shape, values))
        for name in outputs:
            asks.outputs.add(name=name)
        return self._call("ModelInfer", asks)

    def answered(self, _headers: dict[str, str], body: bytes, rows: int) -> tuple[dict[str, wire.Array], str]:
        """Each output by its name. Raises WorldError for what is no answer."""
        host = self._place.host
        try:
            said = _ANSWERS.FromString(body)
        except DecodeError as error:
            raise wire.unread(host, f"no ModelInferResponse: {error}") from None
        raw, found = said.raw_output_contents, dict[str, wire.Array]()
        if raw and len(raw) != len(said.outputs):
            raise wire.unread(host, f"it has {len(said.outputs)} outputs, and {len(raw)} raw contents")
        for at, one in enumerate(said.outputs):
            tensor = wire.Tensor(one.name, list(one.shape), one.datatype, data=None if raw else _listed(one, host))
            found[one.name] = wire.read_tensor(tensor, memoryview(raw[at]) if raw else None, rows, host)
        return found, str(said.model_version)

    def _call(self, method: str, asks: Any) -> Question:
        return Question("POST", f"{self._place.server}/{SERVICE}/{method}", asks.SerializeToString())


def _shape(one: Any) -> Shape:
    return Shape(name=one.name, datatype=one.datatype, shape=tuple(one.shape))


def _listed(one: Any, host: str) -> list[Any]:
    """The typed contents of an output. Raises WorldError for text that is none."""
    values = list(getattr(one.contents, CONTENTS[one.datatype])) if one.datatype in CONTENTS else []
    try:
        return [value.decode() for value in values] if one.datatype == _TEXT else values
    except UnicodeDecodeError as error:
        raise wire.unread(host, f"{one.name}: {error}") from None
