"""LightGBM: boosters as `model.txt`, the library's own text, predicted through its C interface.

`import lightgbm` brings scikit-learn, pandas and pyarrow where they are installed (2 s of CPU, 110 MB). A stored model needs none of
it: the shared library is loaded by itself and called through the documented C interface (`LightGBM/c_api.h`), one row at a time by its
prepared single-row call. LightGBM itself is imported by whoever trains.

Text becomes the code of its category before the library sees it: categories come from the example's Enum columns (train on
`Model.codes(frame)`) or, for a booster trained on pandas, from the booster. A category never seen in training is missing.

Limits: a booster must be trained on the example's columns in their order; sparse and chunked inputs are not taken.
"""

from __future__ import annotations

import ctypes
import importlib.util
import threading
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bedplate.core import digests, extras
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.model import Field, Model, Predictor, Signature
from bedplate.storage import signatures
from bedplate.storage.flavours import Files, Stored, not_installed
from bedplate.storage.foreign import Foreign

from . import columns as cols
from . import lightgbm_text
from .rows import Encoder

FILE = "model.txt"
_FLOAT64, _ROW_MAJOR, _PREDICT_NORMAL, _ALL_ITERATIONS = 1, 1, 0, -1
_ONE_THREAD = b"num_threads=1 verbosity=-1"
_ALL_THREADS = b"num_threads=0 verbosity=-1"
_PARALLEL_ROWS = 10_000
_TOP_FEATURES = 20


class LightGBM:
    """The flavour: LightGBM's `Booster` and its scikit-learn wrappers."""

    name = "lightgbm"

    def signature(self, model: Model) -> Signature:
        booster = _booster(model.native)
        inputs = _with_categories(booster, signatures.fields(model.example))
        _check_names(booster, inputs)
        _check_categories(booster, inputs)
        return Signature(inputs, (Field("prediction", "FP64", _classes(model.native)),))

    def save(self, model: Model, folder: Path) -> None:
        (folder / FILE).write_text(_booster(model.native).model_to_string(), encoding="utf-8")

    def digest(self, files: Files) -> str:
        return digests.of_file(files[FILE])

    def load(self, files: Files, stored: Stored) -> Predictor:
        text = files[FILE].read_bytes()
        if stored.listing:
            lightgbm_text.check(text)
        return Trees(text, stored.signature)

    def opened(self, asked: Foreign) -> Any:
        """A file of another tool, as LightGBM's own package has it in hand."""
        if not asked.path.read_bytes().startswith(b"tree\n"):
            raise CorruptError(f"{asked.path.name} is not a LightGBM model", why="it does not begin with 'tree'")
        lightgbm_text.check(asked.path.read_bytes())
        return extras.load("lightgbm", "a LightGBM model", "lightgbm").Booster(model_file=asked.path)

    def describe(self, model: Model) -> dict[str, Any]:
        booster = _booster(model.native)
        gains = sorted(zip(booster.feature_name(), booster.feature_importance("gain").tolist(), strict=True), key=lambda pair: -pair[1])
        return {
            "class": f"{type(model.native).__module__.split('.')[0]}.{type(model.native).__name__}",
            "trees": booster.num_trees(),
            "features": booster.num_feature(),
            "classes": list(_classes(model.native)),
            "params": {str(k): v for k, v in booster.params.items() if isinstance(v, str | int | float | bool)},
            "gain": {name: round(gain, 6) for name, gain in gains[:_TOP_FEATURES]},
        }


class Trees:
    """A loaded booster: safe for several threads, one prepared row buffer for each."""

    def __init__(self, text: bytes, signature: Signature) -> None:
        self.signature = signature
        self._library = library()
        self._encoder = Encoder(signature.inputs)
        self.row, self.numbers, self.stacked = self._encoder.row, self._encoder.numbers, self._encoder.stacked
        self._local = threading.local()
        self._handle = self._create(text)
        self._outputs = self._count()
        self._prepared = self._prepare()
        self.of_numbers = self._one if self._outputs == 1 else None
        weakref.finalize(self, _free, self._library, self._prepared, self._handle)

    def predict(self, columns: dict[str, Any]) -> npt.NDArray[np.float64]:
        """Probabilities, classes' probabilities or values, as `Booster.predict` gives them. Raises UserError for unfit columns."""
        packed = self._encoder.pack(columns)
        return self._predict(self._encoder.matrix(columns)) if packed is None else self._predict_row(packed)

    def matrix(self, columns: dict[str, Any]) -> npt.NDArray[np.float64]:
        """The columns as rows of numbers. Raises UserError for unfit columns."""
        return self._encoder.matrix(columns)

    def rows(self, matrix: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Predict for rows of numbers."""
        given = np.ascontiguousarray(matrix, dtype=np.float64)
        return self._predict_row(given.tobytes()) if len(given) == 1 else self._predict(given)

    def _one(self, numbers: Sequence[Any]) -> np.float64:
        """The answer for one row of plain numbers. Raises OverflowError for one that no float holds."""
        out, count = self._buffers()
        self._call("LGBM_BoosterPredictForMatSingleRowFast", self._prepared, self._encoder.packed(numbers), ctypes.byref(count), out)
        return np.float64(out[0])

    def _predict_row(self, packed: bytes) -> npt.NDArray[np.float64]:
        out, count = self._buffers()
        self._call("LGBM_BoosterPredictForMatSingleRowFast", self._prepared, packed, ctypes.byref(count), out)
        result = np.array(out)
        return result if self._outputs == 1 else result.reshape(1, -1)

    def _predict(self, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        rows, width = matrix.shape
        result = np.empty(rows * self._outputs, dtype=np.float64)
        if rows:
            threads = _ONE_THREAD if rows < _PARALLEL_ROWS else _ALL_THREADS
            self._call(
                "LGBM_BoosterPredictForMat", self._handle, matrix.ctypes.data_as(ctypes.c_void_p), _FLOAT64, rows, width, _ROW_MAJOR,
                _PREDICT_NORMAL, 0, _ALL_ITERATIONS, threads, ctypes.byref(ctypes.c_int64()), result.ctypes.data_as(ctypes.c_void_p),
            )  # fmt: skip
        return result if self._outputs == 1 else result.reshape(rows, -1)

    def _create(self, text: bytes) -> ctypes.c_void_p:
        handle, trees = ctypes.c_void_p(), ctypes.c_int()
        if not text.startswith(b"tree\n"):
            raise CorruptError(f"{FILE} is not a LightGBM model", why="it does not begin with 'tree'")
        self._call("LGBM_BoosterLoadModelFromString", text, ctypes.byref(trees), ctypes.byref(handle))
        return handle

    def _count(self) -> int:
        features, outputs = ctypes.c_int(), ctypes.c_int64()
        self._call("LGBM_BoosterGetNumFeature", self._handle, ctypes.byref(features))
        if features.value != len(self.signature.inputs):
            raise CorruptError(f"{FILE} has {features.value} inputs, its signature {len(self.signature.inputs)}")
        self._call("LGBM_BoosterCalcNumPredict", self._handle, 1, _PREDICT_NORMAL, 0, _ALL_ITERATIONS, ctypes.byref(outputs))
        return outputs.value

    def _prepare(self) -> ctypes.c_void_p:
        prepared = ctypes.c_void_p()
        self._call(
            "LGBM_BoosterPredictForMatSingleRowFastInit", self._handle, _PREDICT_NORMAL, 0, _ALL_ITERATIONS, _FLOAT64,
            len(self.signature.inputs), _ONE_THREAD, ctypes.byref(prepared),
        )  # fmt: skip
        return prepared

    def _buffers(self) -> tuple[Any, ctypes.c_int64]:
        found: tuple[Any, ctypes.c_int64] | None = getattr(self._local, "buffers", None)
        if found is None:
            found = self._local.buffers = ((ctypes.c_double * self._outputs)(), ctypes.c_int64())
        return found

    def _call(self, function: str, *arguments: Any) -> None:
        if getattr(self._library, function)(*arguments) != 0:
            said = self._library.LGBM_GetLastError().decode("utf-8", "replace")
            raise UserError("LightGBM refused", why=said)


@cache
def library() -> ctypes.CDLL:
    """LightGBM's shared library, without its Python package. Raises UserError where it is not installed."""
    spec = importlib.util.find_spec("lightgbm")
    if spec is None or not spec.submodule_search_locations:
        raise not_installed("lightgbm", "lightgbm")
    folder = Path(spec.submodule_search_locations[0])
    found = [path for place in ("lib", "bin", ".", "..") for path in sorted((folder / place).glob("lib_lightgbm.*"))]
    if not found:
        raise UserError("LightGBM's shared library is not where its package is", why=f"looked for lib_lightgbm.* under {folder}")
    loaded = ctypes.CDLL(str(found[0]))
    loaded.LGBM_GetLastError.restype = ctypes.c_char_p
    return loaded


def _free(loaded: ctypes.CDLL, prepared: ctypes.c_void_p, handle: ctypes.c_void_p) -> None:
    loaded.LGBM_FastConfigFree(prepared)
    loaded.LGBM_BoosterFree(handle)


def _booster(native: Any) -> Any:
    """The booster in a scikit-learn wrapper, or itself. Raises UserError where it is not trained."""
    if hasattr(native, "model_to_string"):
        return native
    if not hasattr(native, "booster_"):
        raise UserError(f"{type(native).__name__} is not trained", why="it has no booster yet", next="call fit() first")
    return native.booster_


def _classes(native: Any) -> tuple[str, ...]:
    return tuple(str(label) for label in getattr(native, "classes_", ()))


def _with_categories(booster: Any, inputs: Sequence[Field]) -> tuple[Field, ...]:
    """The inputs with the categories that a booster trained on pandas was given."""
    known = iter(booster.pandas_categorical or ())
    result = []
    for field in inputs:
        trained = next(known, None) if field.categories and booster.pandas_categorical else None
        result.append(field if trained is None else msgspec.structs.replace(field, categories=tuple(str(value) for value in trained)))
    cols.text_without_categories(result, "booster")
    return tuple(result)


def _check_names(booster: Any, inputs: Sequence[Field]) -> None:
    trained, given = booster.feature_name(), [field.name.replace(" ", "_") for field in inputs]
    unnamed = [f"Column_{at}" for at in range(len(trained))]
    if trained != given and (trained != unnamed or len(given) != len(trained)):
        raise UserError(
            "the example's columns are not those that the booster was trained on",
            why=f"trained on {', '.join(trained)}; the example has {', '.join(given)}"[:400],
            next="Model(booster, example=x), where x is the frame that it was trained on; of an import: --example FILE",
        )


def _check_categories(booster: Any, inputs: Sequence[Field]) -> None:
    """Refuse an example that knows fewer categories than the booster: its codes would mean something else."""
    infos = booster.dump_model(num_iteration=1)["feature_infos"]
    for field, name in zip(inputs, booster.feature_name(), strict=True):
        highest = int(infos.get(name, {}).get("max_value", -1))
        if field.categories and highest >= len(field.categories):
            raise UserError(
                f"'{field.name}' has {len(field.categories)} categories in the example, and code {highest} in the booster",
                why="it was trained on other codes",
                next="train on Model.codes(frame), and give that frame as the example",
            )


FLAVOUR = LightGBM()
