"""How a remote model's server is asked, and what its answers say: over HTTP here, by messages of gRPC in `remote_messages.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from bedplate.storage.far import Place, Shape

from . import remote_tensors as wire

_BINARY: Final = "binary_tensor_data"


class Metadata(msgspec.Struct, frozen=True):
    """What a server says of a model."""

    name: str = ""
    platform: str = ""
    versions: tuple[str, ...] | None = ()
    inputs: tuple[Shape, ...] | None = ()
    outputs: tuple[Shape, ...] | None = ()


class Question(msgspec.Struct, frozen=True):
    """What is sent."""

    method: str
    url: str
    body: bytes = b""
    headers: dict[str, str] = {}


class Speech(Protocol):
    """One way to ask."""

    def about(self) -> Question:
        """What the server says of the model."""
        ...

    def told(self, body: bytes) -> Metadata:
        """What it said of the model. Raises msgspec.MsgspecError, RecursionError."""
        ...

    def meeting(self) -> Question | None:
        """What the server can do; None where all servers can do the same."""
        ...

    def met(self, status: int, body: bytes) -> None:
        """What it said that it can do."""
        ...

    def question(self, inputs: Sequence[tuple[Shape, wire.Array]], outputs: Sequence[str]) -> Question:
        """Predictions for tensors. Raises UserError for values that the tensors cannot hold."""
        ...

    def answered(self, headers: dict[str, str], body: bytes, rows: int) -> tuple[dict[str, wire.Array], str]:
        """Each output by its name, a row per row, and the model's version as the server says it. Raises WorldError for no such answer."""
        ...


class Rest:
    """Over HTTP. `binary`: whether the server takes tensors as raw bytes."""

    def __init__(self, place: Place) -> None:
        self.binary = False
        self._place = place

    def about(self) -> Question:
        """The model's own address."""
        return Question("GET", self._place.model)

    def told(self, body: bytes) -> Metadata:
        """JSON."""
        return msgspec.json.decode(body, type=Metadata, strict=False)

    def meeting(self) -> Question:
        """The server's extensions."""
        return Question("GET", f"{self._place.server}/v2")

    def met(self, status: int, body: bytes) -> None:
        """Whether raw bytes are among them."""
        try:
            self.binary = status == 200 and _BINARY in json.loads(body).get("extensions", ())
        except (ValueError, AttributeError, TypeError, RecursionError):
            self.binary = False

    def question(self, inputs: Sequence[tuple[Shape, wire.Array]], outputs: Sequence[str]) -> Question:
        """JSON, or JSON and the bytes of the tensors after it."""
        body, headers = wire.question(inputs, outputs, binary=self.binary)
        return Question("POST", f"{self._place.model}/infer", body, headers)

    def answered(self, headers: dict[str, str], body: bytes, rows: int) -> tuple[dict[str, wire.Array], str]:
        """The same."""
        return wire.answered(headers, body, rows, self._place.host)
