"""A model that another server has, asked by the Open Inference Protocol v2: Triton, KServe, MLServer, another bedplate.

What it takes and gives is read from its server when the version is made, and held against what the server says when it is loaded: one that
has changed is refused. A tensor of shape [-1] or [-1, 1] is a column, one of [-1, n] is n columns, named by the example where it has as
many, else NAME_0, NAME_1. The example, where there is one, is predicted when the version is made.

Where every input is a number it computes on rows, so that a server gathers requests for it. Limits: rows only (no images, no sequences);
what a server without metadata takes is one matrix of float64, as the example has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.model import Field, Model, Predictor, Remote, Signature
from bedplate.storage import far, signatures
from bedplate.storage.far import FILE, Ask, Kept, Shape
from bedplate.storage.flavours import Files, Stored

from . import columns as cols
from . import remote_tensors as wire
from .remote_caller import Caller, stacked

MOST_ROWS: Final = 4096
"""Rows of one question; more are several."""
MOST_COLUMNS: Final = 4096
_MOST_BYTES: Final = 4_000_000
_WHOLE: Final = "rows"
"""What the matrix is called that a server without metadata is sent."""


class RemoteModel:
    """The flavour of `Model.at(url)`. It is what it says of itself: a model of it needs no example."""

    name = "remote"
    is_told = True

    def __init__(self, ask: Ask | None = None) -> None:
        self._ask = ask
        self._known: tuple[Model, Kept, Signature] | None = None

    def reaching(self, ask: Ask | None) -> RemoteModel:
        """The flavour with what reaches other servers."""
        return RemoteModel(ask)

    def signature(self, model: Model) -> Signature:
        """What the server says now. Raises UserError for what is no table's columns, WorldError where it does not answer."""
        return self._met(model)[2]

    def save(self, model: Model, folder: Path) -> None:
        (folder / FILE).write_bytes(digests.canonical(self._met(model)[1]))

    def digest(self, files: Files) -> str:
        return digests.of_file(files[FILE])

    def load(self, files: Files, stored: Stored) -> Predictor:
        try:
            kept = far.decoded(files[FILE].read_bytes())
        except msgspec.MsgspecError as error:
            raise CorruptError(f"{FILE} cannot be read", why=str(error)) from None
        caller = self._caller(kept.remote)
        caller.meet()
        caller.check(kept)
        numeric = all(field.datatype != "BYTES" for field in stored.signature.inputs)
        return FarRows(caller, kept, stored.signature) if numeric else Far(caller, kept, stored.signature)

    def describe(self, model: Model) -> dict[str, Any]:
        kept = self._met(model)[1]
        return {"address": kept.remote.url, "platform": kept.platform, "versions": list(kept.versions)}

    def _caller(self, remote: Remote) -> Caller:
        if self._ask is None:
            raise UserError("a remote model cannot be asked here", why="this process was given nothing that reaches other servers")
        return Caller(remote, self._ask)

    def _met(self, model: Model) -> tuple[Model, Kept, Signature]:
        """What is kept of the model, and its signature. Its server is asked once, however often this is."""
        if self._known is None or self._known[0] is not model:
            self._known = (model, *self._meeting(model))
        return self._known

    def _meeting(self, model: Model) -> tuple[Kept, Signature]:
        """From what the server says, and answers to the example."""
        if not isinstance(model.native, Remote):
            raise UserError("this is no remote model", next='Model.at("http://HOST/v2/models/NAME")')
        caller = self._caller(model.native)
        caller.meet()
        told = caller.metadata()
        example = None if model.example is None else signatures.fields(model.example)
        takes = _takes(told.inputs, example)
        gives = [one for one in told.outputs if model.native.output in ("", one.name)]
        if told.outputs and not gives:
            why = f"it gives {', '.join(one.name for one in told.outputs)}"
            raise UserError(f"{caller.place.name} gives no {model.native.output}", why=why)
        kept = msgspec.structs.replace(told, takes=takes, gives=tuple(gives))
        inputs = tuple(_fields(takes, example))
        if example is None:
            return _sized(kept, inputs)
        rows = signatures.rows(model.example)
        found = caller.predict(kept, _sent(kept, inputs, {one.name: [row.get(one.name) for row in rows] for one in inputs}), len(rows))
        return _sized(kept, inputs, found)


class Far:
    """Predicts by asking the server; every answer is held to the signature that was stored."""

    is_remote = True

    def __init__(self, caller: Caller, kept: Kept, signature: Signature) -> None:
        self.signature = signature
        self.native = kept.remote
        self._caller = caller
        self._kept = kept

    def predict(self, columns: dict[str, Any]) -> wire.Array:
        """What the server answers. Raises UserError for unfit columns, StepError where the model fails there, WorldError."""
        inputs = self.signature.inputs
        rows = cols.length(inputs, columns)
        most = max(1, min(MOST_ROWS, _MOST_BYTES // (8 * len(inputs))))
        if rows <= most:
            return self._asked(columns, rows)
        parts = [
            self._asked({one.name: columns[one.name][at : at + most] for one in inputs}, min(most, rows - at))
            for at in range(0, rows, most)
        ]
        return np.concatenate(parts)

    def wait_s(self) -> float:
        """How long nobody should ask, after several failures; 0: now."""
        return self._caller.wait_s()

    def _asked(self, columns: dict[str, Any], rows: int) -> wire.Array:
        if not rows:
            width = len(self.signature.outputs)
            return np.empty((0, width) if width > 1 else 0)
        found = self._caller.predict(self._kept, _sent(self._kept, self.signature.inputs, columns), rows)
        try:
            return stacked(self._kept, found)
        except KeyError as error:
            raise self._caller.changed(f"it gives no {error.args[0]}") from None
        except ValueError as error:
            raise self._caller.changed(str(error)) from None


class FarRows(Far):
    """One that computes on rows of numbers."""

    def matrix(self, columns: dict[str, Any]) -> wire.Array:
        """The columns as float64, a row per row."""
        inputs = self.signature.inputs
        return cols.matrix(inputs, [{}] * len(inputs), columns)

    def rows(self, matrix: wire.Array) -> wire.Array:
        """What the server answers to rows of numbers."""
        return self.predict({field.name: matrix[:, at] for at, field in enumerate(self.signature.inputs)})


def _takes(inputs: Sequence[Shape], example: Sequence[Field] | None) -> tuple[Shape, ...]:
    """The tensors that are sent. Raises UserError for what a table's columns cannot fill."""
    if not inputs:
        if example is None:
            raise UserError(
                "the server does not say what the model takes", why="its metadata names no inputs",
                next="Model.at(url, example=frame), and one matrix of its columns is sent",
            )  # fmt: skip
        return (Shape(name=_WHOLE, datatype="FP64", shape=(-1, len(example))),)
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].shape[1] < 0 and example is not None:
        inputs = (msgspec.structs.replace(inputs[0], shape=(-1, len(example))),)
    for one in inputs:
        _is_table(one, "takes")
    if sum(one.width for one in inputs) > MOST_COLUMNS:
        raise UserError(f"the model takes {sum(one.width for one in inputs):,} columns", why=f"at most {MOST_COLUMNS:,} are taken")
    return tuple(inputs)


def _is_table(one: Shape, word: str) -> None:
    if one.datatype != "BYTES" and one.datatype not in wire.NUMPY:
        raise UserError(f"the model {word} {one}", why=f"known types: BYTES, {', '.join(wire.NUMPY)}")
    if not 1 <= len(one.shape) <= 2 or one.shape[0] != -1:
        raise UserError(f"the model {word} {one}", why="rows of any number are needed: [-1], or [-1, columns]")
    if one.width < 1:
        raise UserError(f"the model {word} {one}", why="nothing says how many columns that are", next="Model.at(url, example=frame)")


def _fields(takes: Sequence[Shape], example: Sequence[Field] | None) -> Iterator[Field]:
    """The input columns, named by the example where one matrix is all that is sent. Raises UserError where it has other columns."""
    names = [name for one in takes for name in _names(one)]
    if example is not None:
        known = [field.name for field in example]
        if len(takes) == 1 and takes[0].width == len(known):
            names = known
        elif sorted(known) != sorted(names):
            raise UserError(
                "the example does not fit the remote model", why=f"it takes {', '.join(names)}; the example has {', '.join(known)}"[:300]
            )
    types = [one.datatype for one in takes for _ in range(one.width)]
    yield from (Field(name, "FP32" if kind == "FP16" else kind) for name, kind in zip(names, types, strict=True))


def _names(one: Shape) -> list[str]:
    return [one.name] if one.width == 1 else [f"{one.name}_{at}" for at in range(one.width)]


def _sent(kept: Kept, inputs: Sequence[Field], columns: dict[str, Any]) -> list[tuple[Shape, wire.Array]]:
    """The tensors for columns. Raises UserError for values that do not fit."""
    sent, at = [], 0
    for one in kept.takes:
        parts = [cols.typed(field, columns[field.name]) for field in inputs[at : at + one.width]]
        at += one.width
        sent.append((one, parts[0] if len(one.shape) == 1 else np.column_stack(parts)))
    return sent


def _sized(kept: Kept, inputs: tuple[Field, ...], found: dict[str, wire.Array] | None = None) -> tuple[Kept, Signature]:
    """With the outputs as wide as the answer to the example, or as the server says. Raises UserError for what is no table's columns."""
    if found is None:
        gives = kept.gives
    else:
        told = {one.name: one.datatype for one in kept.gives}
        names = [one.name for one in kept.gives] or list(found)
        if missing := [name for name in names if name not in found]:
            raise UserError(f"the model gave no {', '.join(missing)}", why=f"it gave {', '.join(found) or 'nothing'}")
        gives = tuple(_given(name, found[name], told.get(name, "")) for name in names if kept.remote.output in ("", name))
    for one in gives:
        _is_table(one, "gives")
    texts = {one.datatype == "BYTES" for one in gives}
    if not gives or len(texts) > 1 or (True in texts and sum(one.width for one in gives) > 1):
        why = f"it gives {', '.join(map(str, gives)) or 'nothing'}: numbers, or one column of text"
        raise UserError("the model's outputs do not go together", why=why, next='Model.at(url, output="NAME") takes one')
    outputs = tuple(Field(name, "FP32" if one.datatype == "FP16" else one.datatype) for one in gives for name in _names(one))
    return msgspec.structs.replace(kept, gives=gives), Signature(inputs, outputs)


def _given(name: str, values: wire.Array, datatype: str) -> Shape:
    kinds = {"f": "FP64", "i": "INT64", "u": "UINT64", "b": "BOOL"}
    return Shape(name=name, datatype=datatype or kinds.get(values.dtype.kind, "BYTES"), shape=(-1, values.shape[1]))


FLAVOUR = RemoteModel()
