"""ONNX: models as `model.onnx`, served by onnxruntime; the package onnx itself is needed by whoever makes one only.

A model with one input of two dimensions gets the columns side by side, in the order of the example, as that input's type. One with an
input for each column gets each as a column of its own, text too, whatever their order; the names have to be the example's.

A classifier of skl2onnx's kind (labels and probabilities) answers with its probabilities: of the second class where there are two, a
column for each where there are more, as a scikit-learn model does. Any other answers with its first output.

Limits: weights kept in files beside the model are refused, as are operators that onnxruntime does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]  # it ships no types

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.model import Field, Model, Predictor, Signature
from bedplate.storage import signatures
from bedplate.storage.flavours import Files, Stored
from bedplate.storage.foreign import Foreign

from . import columns as cols
from .rows import Encoder

FILE = "model.onnx"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_TYPES: Final[dict[str, Any]] = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
    "tensor(int32)": np.int32, "tensor(int16)": np.int16, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}  # fmt: skip
_DATATYPES: Final = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL"}


class Onnx:
    """The flavour of ONNX: a `ModelProto`, its bytes, or the path of its file."""

    name = "onnx"

    def signature(self, model: Model) -> Signature:
        inputs = signatures.fields(model.example)
        rows = signatures.rows(model.example)
        columns = {field.name: [row.get(field.name) for row in rows] for field in inputs}
        answer = session(_bytes(model.native), Signature(inputs, ())).predict(columns)
        return Signature(inputs, (Field("prediction", _DATATYPES.get(answer.dtype.kind, "BYTES")),))

    def save(self, model: Model, folder: Path) -> None:
        (folder / FILE).write_bytes(_bytes(model.native))

    def digest(self, files: Files) -> str:
        return digests.of_file(files[FILE])

    def load(self, files: Files, stored: Stored) -> Predictor:
        return session(files[FILE].read_bytes(), stored.signature)

    def opened(self, asked: Foreign) -> bytes:
        """A file of another tool."""
        return asked.path.read_bytes()

    def describe(self, model: Model) -> dict[str, Any]:
        read = opened(_bytes(model.native))
        about = read.get_modelmeta()
        return {
            "class": about.graph_name or "onnx",
            "producer": about.producer_name,
            "features": len(signatures.fields(model.example)),
            "inputs": {one.name: _shown(one) for one in read.get_inputs()},
            "outputs": {one.name: _shown(one) for one in read.get_outputs()},
        }


class Session:
    """A loaded model with an input for each column; onnxruntime's sessions may be asked from several threads."""

    def __init__(self, read: Any, signature: Signature) -> None:
        self.signature = signature
        self._session = read
        self._encoder = Encoder(signature.inputs)
        self._inputs = {one.name: one for one in read.get_inputs()}
        self._output, self._classes = _output(read)

    def predict(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """What the model answers, a row per row. Raises UserError for unfit columns or what onnxruntime refuses."""
        rows = cols.length(self.signature.inputs, columns)
        return self._run(self._each(columns), rows) if rows else np.empty(0)

    def _run(self, feed: dict[str, Any], rows: int) -> npt.NDArray[Any]:
        try:
            (answer,) = self._session.run([self._output], feed)
        except Exception as error:  # onnxruntime's errors have no common class below Exception
            raise UserError("onnxruntime refused these inputs", why=str(error).strip()[:300]) from error
        return _rows(answer, rows, self._classes)

    def _each(self, columns: dict[str, Any]) -> dict[str, Any]:
        return {
            field.name: self._one(field, codes, columns) for field, codes in zip(self.signature.inputs, self._encoder.codes, strict=True)
        }

    def _one(self, field: Field, codes: dict[Any, float], columns: dict[str, Any]) -> Any:
        one = self._inputs[field.name]
        wanted = _type(one)
        if wanted is np.object_ or not codes:
            values = cols.typed(field, columns[field.name])
        else:
            values = cols.codes(field, codes, columns[field.name])
        if wanted is np.object_:
            values = np.array(["" if value is None else str(value) for value in values.tolist()], dtype=object)
        elif values.dtype == object:
            raise UserError(f"'{field.name}' is text, and the model takes numbers there", next="make it an Enum column in the example")
        values = values.astype(wanted)
        return values.reshape(-1, 1) if len(one.shape) == 2 else values


class Together(Session):
    """A loaded model with one input, which takes the columns side by side."""

    def __init__(self, read: Any, signature: Signature) -> None:
        super().__init__(read, signature)
        ((self._name, one),) = self._inputs.items()
        self._kind = _type(one)
        cols.text_without_categories(signature.inputs, "matrix")

    def predict(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """As of any session."""
        return self.rows(self._encoder.matrix(columns))

    def matrix(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """The columns as rows of numbers. Raises UserError for unfit columns."""
        return self._encoder.matrix(columns)

    def rows(self, matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Predict for rows of numbers. Raises UserError where onnxruntime refuses them."""
        return self._run({self._name: matrix.astype(self._kind, copy=False)}, len(matrix)) if len(matrix) else np.empty(0)


def session(data: bytes, signature: Signature, provider: str = CPU) -> Session:
    """A predictor of the bytes of a model. Raises CorruptError for what is none, UserError where the signature does not fit it."""
    read = opened(data, provider)
    inputs = {one.name for one in read.get_inputs()}
    if len(inputs) == 1 and (len(signature.inputs) > 1 or inputs != {signature.inputs[0].name}):
        return Together(read, signature)
    if inputs != {field.name for field in signature.inputs}:
        given = ", ".join(field.name for field in signature.inputs)
        raise UserError(
            "the example's columns are not those that the model takes",
            why=f"it takes {', '.join(one.name for one in read.get_inputs())}; the example has {given}",
        )
    return Session(read, signature)


def accelerated() -> bool:
    """Whether onnxruntime here can compute on a CUDA device."""
    return CUDA in onnxruntime.get_available_providers()


def opened(data: bytes, provider: str = CPU) -> Any:
    """A session on the bytes of a model. Raises CorruptError for what onnxruntime cannot read."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        made = onnxruntime.InferenceSession(data, options, providers=list(dict.fromkeys((provider, CPU))))
    except Exception as error:  # as above
        raise CorruptError(f"{FILE} is no ONNX model that onnxruntime can read", why=str(error).strip()[:300]) from None
    if provider not in made.get_providers():
        why = f"it would be asked by {', '.join(made.get_providers())}: the driver, or what the provider needs, is not there"
        raise UserError(f"onnxruntime cannot use {provider} here", why=why, next="nvidia-smi says what there is")
    return made


def _bytes(native: Any) -> bytes:
    if isinstance(native, bytes):
        return native
    if isinstance(native, Path):
        return native.read_bytes()
    data: bytes = native.SerializeToString(deterministic=True)
    return data


def _type(one: Any) -> Any:
    if one.type not in _TYPES:
        raise UserError(f"the model's input '{one.name}' is {one.type}", why=f"a table's columns can be {', '.join(_TYPES)}")
    return _TYPES[one.type]


def _output(session: Any) -> tuple[str, bool]:
    """The output that is the prediction, and whether it is a classifier's probabilities: by its name, as skl2onnx gives it."""
    outputs = session.get_outputs()
    likely = [one for one in outputs if "prob" in one.name.lower()]
    return str((likely or outputs)[0].name), bool(likely)


def _rows(answer: Any, rows: int, classes: bool) -> npt.NDArray[Any]:
    """The answer with a row per row; probabilities by class (skl2onnx's `ZipMap`) as columns, in the order that it gives them."""
    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        answer = [list(row.values()) for row in answer]
    array = np.asarray(answer)
    if classes and array.ndim == 2 and array.shape[1] == 2:
        array = array[:, 1]
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != rows:
        raise UserError(
            f"the model answered with {' x '.join(map(str, array.shape))} for {rows} rows", why="an item for each row is needed"
        )
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _shown(one: Any) -> str:
    return f"{one.type} {' x '.join(str(size or 'rows') for size in one.shape)}"


FLAVOUR = Onnx()
