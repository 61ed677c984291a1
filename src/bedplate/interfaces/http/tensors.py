"""Tensors of the Open Inference Protocol v2, as JSON or in the binary form, to and from numpy.

Binary: the JSON part comes first, as long as the header `Inference-Header-Content-Length` says; after it the raw bytes of each
tensor that declares a `binary_data_size`, in order, little-endian; text as a 4-byte length and its UTF-8 bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from .replies import Problem

NUMPY: Final = {
    "BOOL": np.bool_, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8,
    "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
_LITTLE: Final = {name: np.dtype(kind).newbyteorder("<") for name, kind in NUMPY.items()}
_LENGTH: Final = struct.Struct("<I")
_DIMENSIONS: Final = 8
_MOST: Final = 1 << 40
_LONGEST: Final = 60


class Tensor(msgspec.Struct, frozen=True):
    """One named tensor of a request; `values` has the declared shape, text as a flat list of str beside it."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Any


class InputTensor(msgspec.Struct, frozen=True):
    """An input as the request's JSON has it."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    data: Any = None


class OutputWish(msgspec.Struct, frozen=True):
    """An output that the client asks for."""

    name: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class InferRequest(msgspec.Struct, frozen=True):
    """The JSON part of an inference request."""

    inputs: list[InputTensor]
    id: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    outputs: list[OutputWish] = msgspec.field(default_factory=list)


_KEPT: Final = 64
_DIGITS: Final = 3
"""Of the length of a JSON part that is kept: up to 999 bytes."""
_DECODER: Final = msgspec.json.Decoder(InferRequest)


def parse(body: bytes, json_length: bytes) -> tuple[InferRequest, list[Tensor]]:
    """The request and its tensors; `json_length` is the header, empty where all is JSON. Raises Problem 400."""
    if json_length and not (json_length.isdigit() and int(json_length) <= len(body)):
        raise Problem(400, f"Inference-Header-Content-Length is {json_length.decode('latin-1')!r}, the body has {len(body)} bytes")
    cut = int(json_length) if json_length else len(body)
    try:
        request = _DECODER.decode(body[:cut])
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        raise Problem(400, f"the request is not of the protocol: {error}") from None
    rest, tensors = memoryview(body)[cut:], []
    for one in request.inputs:
        size = one.parameters.get("binary_data_size")
        if size is None:
            tensors.append(from_json(one))
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(rest):
            raise Problem(400, f"input '{one.name}': binary_data_size is {size!r}, and {len(rest)} bytes follow")
        tensors.append(from_bytes(one, rest[:size]))
        rest = rest[size:]
    if rest:
        raise Problem(400, f"{len(rest)} bytes follow the last input that declares a binary_data_size")
    return request, tensors


class _Laid(msgspec.Struct, frozen=True):
    """An input of numbers in the binary form: where its bytes begin after the JSON part, and what they are."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    dtype: Any
    count: int
    at: int


class _Known(msgspec.Struct, frozen=True):
    """A JSON part that was read before, and what follows it: so many bytes."""

    request: InferRequest
    inputs: tuple[_Laid, ...]
    size: int


class Reader:
    """Reads requests. The JSON part before raw numbers is the same from one request to the next: what was read of it is kept."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Known] = {}

    def read(self, body: bytes, json_length: bytes) -> tuple[InferRequest, list[Tensor]]:
        """As `parse`. Raises Problem 400."""
        if not json_length or len(json_length) > _DIGITS or not json_length.isdigit():
            return parse(body, json_length)
        cut = int(json_length)
        known = self._kept.get(body[:cut])
        if known is None or len(body) - cut != known.size:
            request, tensors = parse(body, json_length)
            if (known := _known(request, len(body) - cut)) is not None:
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                self._kept[body[:cut]] = known
            return request, tensors
        return known.request, [
            Tensor(one.name, one.datatype, one.shape, np.frombuffer(body, one.dtype, one.count, cut + one.at).reshape(one.shape))
            for one in known.inputs
        ]


def _known(request: InferRequest, size: int) -> _Known | None:
    """What may be kept of a JSON part that was found to be right: nothing that names its request, or holds values itself."""
    inputs, at = [], 0
    for one in request.inputs:
        length = one.parameters.get("binary_data_size")
        if not length or one.datatype == "BYTES":
            return None
        dtype = _LITTLE[one.datatype]
        inputs.append(_Laid(one.name, one.datatype, tuple(one.shape), dtype, length // dtype.itemsize, at))
        at += length
    return _Known(request, tuple(inputs), size) if inputs and not request.id else None


def count_of(one: InputTensor) -> int:
    """How many values an input declares. Raises Problem 400 for a shape that is none, or a datatype that is not known."""
    if not one.shape or min(one.shape) < 0:
        raise Problem(400, f"input '{one.name}': the shape {one.shape[:_DIMENSIONS]} is not one of sizes")
    if len(one.shape) > _DIMENSIONS:
        raise Problem(400, f"input '{one.name}' has {len(one.shape):,} dimensions", why=f"at most {_DIMENSIONS} are read")
    if max(one.shape) > _MOST or math.prod(size or 1 for size in one.shape) > _MOST:
        raise Problem(400, f"input '{one.name}': the shape {one.shape} has more values than any request can hold")
    if one.datatype != "BYTES" and one.datatype not in NUMPY:
        raise Problem(400, f"input '{one.name}': no datatype '{one.datatype[:_LONGEST]}'", why=f"known: BYTES, {', '.join(NUMPY)}")
    return math.prod(one.shape)


def from_json(one: InputTensor) -> Tensor:
    """An input whose values are a list, flat or nested. Raises Problem 400."""
    count, flat = count_of(one), _flat(one.data)
    if len(flat) != count:
        raise Problem(400, f"input '{one.name}': {len(flat)} values for shape {one.shape}")
    if one.datatype == "BYTES":
        if not all(isinstance(value, str | None) for value in flat):
            raise Problem(400, f"input '{one.name}': BYTES in JSON are texts, or null")
        return Tensor(one.name, one.datatype, tuple(one.shape), flat)
    kinds = {bool} if one.datatype == "BOOL" else {int, float, type(None)} if one.datatype.startswith("FP") else {int}
    if not set(map(type, flat)) <= kinds:
        raise Problem(400, f"input '{one.name}': the values are not of datatype {one.datatype}")
    try:
        values: Any = np.array(flat, dtype=NUMPY[one.datatype]).reshape(one.shape)
    except (ValueError, OverflowError) as error:
        raise Problem(400, f"input '{one.name}': {error}") from None
    return Tensor(one.name, one.datatype, tuple(one.shape), values)


def from_bytes(one: InputTensor, raw: memoryview | bytes) -> Tensor:
    """An input in the binary form; its numbers are not copied. Raises Problem 400."""
    count = count_of(one)
    if one.datatype == "BYTES":
        return Tensor(one.name, one.datatype, tuple(one.shape), _texts(one.name, memoryview(raw), count))
    dtype = _LITTLE[one.datatype]
    if len(raw) != count * dtype.itemsize:
        raise Problem(400, f"input '{one.name}': {len(raw)} bytes for shape {one.shape} of {one.datatype}")
    return Tensor(one.name, one.datatype, tuple(one.shape), np.frombuffer(raw, dtype=dtype).reshape(one.shape))


def _texts(name: str, raw: memoryview, count: int) -> list[str]:
    texts, at = [], 0
    while at + _LENGTH.size <= len(raw):
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if at + length > len(raw):
            break
        try:
            texts.append(bytes(raw[at : at + length]).decode())
        except UnicodeDecodeError:
            raise Problem(400, f"input '{name}': text {len(texts)} is not UTF-8") from None
        at += length
    if at != len(raw) or len(texts) != count:
        raise Problem(400, f"input '{name}': {len(texts)} texts in {len(raw)} bytes, and its shape has {count}")
    return texts


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        return [] if data is None else [data]
    flat = data
    while flat and isinstance(flat[0], list):
        if not all(isinstance(part, list) for part in flat):
            return []
        flat = [value for part in flat for value in part]
    return flat


class Output(msgspec.Struct, frozen=True):
    """One named tensor of a response."""

    name: str
    datatype: str
    values: Any


class _Said(msgspec.Struct, frozen=True, gc=False):
    """An output as the response's JSON has it."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET


class _Response(msgspec.Struct, frozen=True, gc=False):
    """The JSON part of a response."""

    model_name: str
    model_version: str
    id: str
    outputs: list[_Said]


_ENCODER: Final = msgspec.json.Encoder()


def encode(model: str, version: str, id: str, outputs: Sequence[Output], binary: Sequence[bool]) -> tuple[bytes, int | None]:
    """The response's body, and the length of its JSON part where binary tensors follow."""
    described, raw = [], []
    for output, as_bytes in zip(outputs, binary, strict=True):
        values = np.asarray(output.values)
        if as_bytes:
            data = to_bytes(output)
            raw.append(data)
            described.append(_Said(output.name, output.datatype, values.shape, parameters={"binary_data_size": len(data)}))
        else:
            described.append(_Said(output.name, output.datatype, values.shape, data=values.ravel().tolist()))
    text = _ENCODER.encode(_Response(model, version, id, described))
    return (b"".join([text, *raw]), len(text)) if raw else (text, None)


def to_bytes(output: Output) -> bytes:
    """The values of an output in the binary form."""
    values = np.asarray(output.values)
    if output.datatype == "BYTES":
        encoded = [str(value).encode() for value in values.astype(object).ravel()]
        return b"".join(_LENGTH.pack(len(text)) + text for text in encoded)
    return values.astype(_LITTLE[output.datatype], copy=False).tobytes()
