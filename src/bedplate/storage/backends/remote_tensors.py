"""Tensors as a client of the Open Inference Protocol v2 sends and reads them: raw bytes where the server takes those, else JSON.

Nothing is cut off on the way: a fraction or a missing value for whole numbers, and what JSON cannot say, is the caller's mistake and named.
An answer is believed in nothing: its names, types, shapes and sizes are held against each other before a byte of it is read.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from bedplate.core.errors import UserError, WorldError
from bedplate.storage.far import Shape

NUMPY: Final = {
    "BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4",
    "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
HEAD_LENGTH: Final = "inference-header-content-length"
_LENGTH: Final = struct.Struct("<I")
Array = npt.NDArray[Any]


class Tensor(msgspec.Struct):
    """A tensor of a message."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: Any = None


class Answer(msgspec.Struct):
    """The JSON part of an answer."""

    outputs: list[Tensor]
    model_version: str | None = None


_ANSWER: Final = msgspec.json.Decoder(Answer)


def question(inputs: Sequence[tuple[Shape, Array]], outputs: Sequence[str], *, binary: bool) -> tuple[bytes, dict[str, str]]:
    """The body that asks for predictions, and its headers. Raises UserError for values that the tensors cannot hold."""
    described, parts = [], []
    for shape, given in inputs:
        values = fitting(shape, given)
        one: dict[str, Any] = {"name": shape.name, "shape": values.shape, "datatype": shape.datatype}
        if binary and not has_missing(shape, values):
            data = as_bytes(shape, values)
            parts.append(data)
            one["parameters"] = {"binary_data_size": len(data)}
        else:
            one["data"] = _listed(shape, values)
        described.append(one)
    head: dict[str, Any] = {"inputs": described}
    if outputs:
        head["outputs"] = [{"name": name, "parameters": {"binary_data": True}} if binary else {"name": name} for name in outputs]
    text = msgspec.json.encode(head)
    if not parts:
        return text, {"Content-Type": "application/json"}
    return b"".join([text, *parts]), {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(text))}


def fitting(shape: Shape, values: Array) -> Array:
    """Values as a tensor's type. Raises UserError where one has no such value."""
    if shape.datatype == "BYTES":
        return values
    kind = np.dtype(NUMPY[shape.datatype])
    if kind.kind in "iub" and values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = values.astype(kind)
        if not np.array_equal(whole, values):
            raise UserError(
                f"'{shape.name}' takes {'true and false' if kind.kind == 'b' else 'whole numbers'} ({shape.datatype})",
                why="a value is missing, a fraction, or beyond that type", next="send values of that type",
            )  # fmt: skip
        return whole
    with np.errstate(over="ignore"):  # beyond float32 is infinite there, as in every runtime of float32
        return values.astype(kind, copy=False)


def has_missing(shape: Shape, values: Array) -> bool:
    """Whether a text is missing, which bytes cannot say."""
    return shape.datatype == "BYTES" and any(value is None for value in values.ravel())


def as_bytes(shape: Shape, values: Array) -> bytes:
    """A tensor's values as bytes."""
    if shape.datatype == "BYTES":
        texts = [str(value).encode() for value in values.ravel()]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    return np.ascontiguousarray(values).tobytes()


def _listed(shape: Shape, values: Array) -> list[Any]:
    if values.dtype.kind == "f" and bool(np.any(np.isinf(values))):
        raise UserError(f"'{shape.name}' is infinite", why="the remote server takes JSON, which cannot say that")
    listed: list[Any] = values.ravel().tolist()
    return listed  # not-a-number is null, as msgspec writes it


def answered(headers: Mapping[str, str], body: bytes, rows: int, host: str) -> tuple[dict[str, Array], str]:
    """Each output by its name, a row per row, and the model's version as the server says it. Raises WorldError for what is no answer."""
    cut = headers.get(HEAD_LENGTH, "")
    if cut and not (cut.isdecimal() and int(cut) <= len(body)):
        raise unread(host, f"its head is said to have {cut[:20]} bytes")
    try:
        said = _said(body[: int(cut)] if cut else body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise unread(host, str(error)) from None
    rest, found = memoryview(body)[int(cut) if cut else len(body) :], dict[str, Array]()
    for one in said.outputs:
        size = one.parameters.get("binary_data_size")
        if size is not None and not (type(size) is int and 0 <= size <= len(rest)):
            raise unread(host, f"{one.name} is said to have {str(size)[:20]} bytes, and {len(rest)} follow")
        found[one.name] = read_tensor(one, None if size is None else rest[:size], rows, host)
        rest = rest[size or 0 :]
    return found, said.model_version or ""


def _said(data: bytes) -> Answer:
    """The JSON part of an answer; some servers write NaN in it, which JSON does not know."""
    try:
        return _ANSWER.decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(data), Answer)


def read_tensor(one: Tensor, raw: memoryview | None, rows: int, host: str) -> Array:
    """A tensor of an answer, a row per row; `raw` are its bytes, where it has no values itself. Raises WorldError for what it is not."""
    count = math.prod(one.shape)
    if not one.shape or one.shape[0] != rows or min(one.shape) < 0:
        raise unread(host, f"{one.name} has shape {one.shape} for {rows} rows")
    try:
        if one.datatype == "BYTES":
            flat: Any = np.array(one.data if raw is None else _texts(raw), dtype=object).ravel()
            if not all(isinstance(value, str | None) for value in flat):
                raise ValueError("not every value is text")
        elif raw is None:
            flat = _listed_as(one.data, np.dtype(NUMPY[one.datatype]))
        else:
            flat = np.frombuffer(raw, dtype=NUMPY[one.datatype])
    except (KeyError, ValueError, TypeError, OverflowError, struct.error) as error:
        raise unread(host, f"{one.name} ({one.datatype[:20]}): {error}") from None
    if len(flat) != count:
        raise unread(host, f"{one.name} has {len(flat)} values for shape {one.shape}")
    return np.asarray(flat.reshape(rows, count // rows) if rows else flat)


def _listed_as(data: Any, kind: np.dtype[Any]) -> Array:
    """Values of JSON as a type; null is not-a-number. Raises ValueError, TypeError or OverflowError for what that type does not hold."""
    if kind.kind == "f":
        with np.errstate(over="ignore"):  # beyond float16 is infinite there
            return np.array(data, dtype=np.float64).ravel().astype(kind)
    values = np.array(data, dtype=kind).ravel()
    if not np.array_equal(values, np.array(data).ravel()):
        raise ValueError("not every value is of that type")
    return values


def _texts(raw: memoryview) -> list[str]:
    texts, at = [], 0
    while at < len(raw):
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size + length
        if at > len(raw):
            raise ValueError("a text ends beyond what was sent")
        texts.append(bytes(raw[at - length : at]).decode())
    return texts


def unread(host: str, why: str) -> WorldError:
    """The error for what is no answer."""
    return WorldError(f"{host} gave no answer that can be read", why=why[:300], next="look at what its model gives")
