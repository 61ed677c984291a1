"""scikit-learn: estimators and pipelines as `model.skops`, an archive of JSON and numpy arrays, never a pickle.

A skops file names the classes that it is made of. Loaded are those that skops itself trusts and those of the packages in `TRUSTED`;
anything else, such as a class of the project, is refused when saving and when loading.

Classifiers predict probabilities: 1-d for two classes (of the second), one column per class for more, as LightGBM does; a classifier
without probabilities, and everything else, gives what its `predict` gives. An estimator that was fitted on a frame is fed a frame
of the same library, any other a numpy matrix.

Limit: skops checks what classes a file asks for, not what their arrays hold; the bytes' digest is checked before they are read.
"""

from __future__ import annotations

import importlib
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import skops.io  # type: ignore[import-untyped]  # it ships no types
from skops.io.exceptions import UnsupportedTypeException  # type: ignore[import-untyped]  # it ships no types

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.model import Field, Model, Predictor, Signature
from bedplate.storage import signatures
from bedplate.storage.flavours import Files, Stored
from bedplate.storage.foreign import Foreign

from . import columns as cols
from .rows import Encoder

FILE = "model.skops"
TRUSTED: Final = ("sklearn.", "scipy.", "numpy.", "lightgbm.", "collections.")
_VOLATILE: Final = ("__id__", "_skops_version")
_PARAM_LENGTH = 200


class SklearnModel:
    """The flavour of scikit-learn."""

    name = "sklearn"

    def signature(self, model: Model) -> Signature:
        inputs = signatures.fields(model.example)
        trained = _feature_names(model.native)
        if trained is not None and trained != [field.name for field in inputs]:
            raise UserError(
                "the example's columns are not those that the estimator was fitted on",
                why=f"fitted on {', '.join(trained)}; the example has {', '.join(field.name for field in inputs)}"[:400],
                next="Model(estimator, example=x), where x is the frame that it was fitted on",
            )
        rows = signatures.rows(model.example)
        columns = {field.name: [row.get(field.name) for row in rows] for field in inputs}
        guess = Signature(inputs, (Field("prediction", "FP64"),))
        answer = Estimator(model.native, guess, signatures.library(model.example)).predict(columns)
        datatype = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL"}.get(answer.dtype.kind, "BYTES")
        return Signature(inputs, (Field("prediction", datatype, tuple(str(label) for label in _classes(model.native))),))

    def save(self, model: Model, folder: Path) -> None:
        path = folder / FILE
        try:
            skops.io.dump(model.native, path)
        except (UnsupportedTypeException, TypeError, AttributeError) as error:
            raise UserError(f"{type(model.native).__name__} cannot be kept without pickle", why=str(error), next=_NEXT) from error
        _trusted(path)

    def digest(self, files: Files) -> str:
        with _opened(files[FILE]) as archive:
            return digests.of_json(_content(json.loads(archive.read("schema.json")), archive))

    def load(self, files: Files, stored: Stored) -> Predictor:
        with _opened(files[FILE]):
            native = _loaded(files[FILE])
        return estimator(native, stored.signature, stored.library)

    def opened(self, asked: Foreign) -> Any:
        """A file of another tool."""
        with _opened(asked.path):
            return _loaded(asked.path)

    def describe(self, model: Model) -> dict[str, Any]:
        native = model.native
        params = {name: _shown(value) for name, value in native.get_params(deep=False).items()}
        return {
            "class": f"{type(native).__module__.split('.')[0]}.{type(native).__name__}",
            "features": getattr(native, "n_features_in_", None),
            "classes": [str(label) for label in _classes(native)],
            "params": params,
        }


class Estimator:
    """A loaded estimator."""

    def __init__(self, native: Any, signature: Signature, library: str) -> None:
        self.signature = signature
        self.native = native
        self._library = library if _fitted_on_a_frame(native) else "rows"
        self._probabilities = hasattr(native, "predict_proba")

    def predict(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """Probabilities for classifiers, else what `predict` gives. Raises UserError for unfit columns or what the estimator refuses."""
        rows = cols.length(self.signature.inputs, columns)
        if not rows:
            return np.empty(0)
        return self._answer(self._matrix({field.name: cols.typed(field, columns[field.name]) for field in self.signature.inputs}))

    def _answer(self, given: Any) -> npt.NDArray[Any]:
        try:
            answer = np.asarray(self.native.predict_proba(given) if self._probabilities else self.native.predict(given))
        except ValueError as error:
            raise UserError(f"{type(self.native).__name__} refused these inputs", why=str(error)) from error
        return answer[:, 1] if self._probabilities and answer.ndim == 2 and answer.shape[1] == 2 else answer

    def _matrix(self, arrays: dict[str, npt.NDArray[Any]]) -> Any:
        if self._library == "polars":
            return pl.DataFrame({name: pl.Series(name, array.tolist()) for name, array in arrays.items()})
        if self._library == "pandas":
            return importlib.import_module("pandas").DataFrame(arrays)
        stacked = list(arrays.values())
        kind = object if any(array.dtype == object for array in stacked) else np.float64
        return np.column_stack([array.astype(kind) for array in stacked])


class Numbers(Estimator):
    """A loaded estimator all of whose inputs are numbers."""

    def __init__(self, native: Any, signature: Signature, library: str) -> None:
        super().__init__(native, signature, library)
        self._encoder = Encoder(signature.inputs)
        self.row, self.numbers, self.stacked = self._encoder.row, self._encoder.numbers, self._encoder.stacked

    def matrix(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """The columns as rows of numbers. Raises UserError for unfit columns."""
        return self._encoder.matrix(columns)

    def rows(self, matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Predict for rows of numbers, as for the columns that they are. Raises UserError where the estimator refuses them."""
        if not len(matrix):
            return np.empty(0)
        if self._library == "rows":
            return self._answer(matrix.astype(np.float64, copy=False))
        return self._answer(self._matrix({field.name: cols.typed(field, matrix[:, at]) for at, field in enumerate(self.signature.inputs)}))


def estimator(native: Any, signature: Signature, library: str) -> Estimator:
    """A predictor of the estimator; one that takes rows where no input is text or a category."""
    numbers = all(field.datatype != "BYTES" and not field.categories for field in signature.inputs)
    return (Numbers if numbers else Estimator)(native, signature, library)


_NEXT = "build it from scikit-learn's own classes, or keep it as Model.of(function, params, example=...)"


def _classes(native: Any) -> Any:
    return getattr(native, "classes_", ())


def _feature_names(native: Any) -> list[str] | None:
    names = getattr(native, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _fitted_on_a_frame(native: Any) -> bool:
    """Whether it, or a step of it, knows the names of columns."""
    return any(_feature_names(part) is not None for part in (native, *(step for _, step in getattr(native, "steps", ()))))


def _loaded(path: Path) -> Any:
    """What the file holds. Raises UserError where one of its classes is not trusted, CorruptError where skops cannot read it."""
    try:
        return skops.io.load(path, trusted=_trusted(path))
    except UserError:
        raise
    except Exception as error:  # skops follows what a broken or forged file says, which may raise anything
        raise CorruptError(f"{path.name} is not a skops archive that can be read", why=str(error)[:300]) from error


def _trusted(path: Path) -> list[str]:
    """The classes in the file beyond those that skops trusts. Raises UserError where one is of no trusted package."""
    unknown: list[str] = skops.io.get_untrusted_types(file=path)
    foreign = [name for name in unknown if not name.startswith(TRUSTED)]
    if foreign:
        raise UserError(
            f"the model is made of {', '.join(foreign)[:300]}",
            why=f"only classes of {', '.join(name.rstrip('.') for name in TRUSTED[:-1])} are loaded from a file",
            next=_NEXT,
        )
    return unknown


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise CorruptError(f"{FILE} is not a skops archive", why="a pickle, or other bytes, are never loaded as a model") from None
    if "schema.json" not in archive.namelist():
        archive.close()
        raise CorruptError(f"{FILE} is not a skops archive", why="it has no schema.json")
    return archive


def _content(node: Any, archive: zipfile.ZipFile) -> Any:
    """A node of the schema without what differs from save to save: object ids, file names, zip timestamps, the order of a set."""
    if isinstance(node, list):
        return [_content(item, archive) for item in node]
    if not isinstance(node, Mapping):
        return node
    loader = node.get("__loader__")
    result = {key: _content(value, archive) for key, value in node.items() if key not in _VOLATILE or isinstance(value, Mapping)}
    if loader and isinstance(node.get("file"), str):
        result["file"] = _member(node["file"], archive)
    if loader == "SetNode":
        result["content"] = sorted(result["content"], key=digests.canonical)
    return result


def _member(name: str, archive: zipfile.ZipFile) -> str:
    """The digest of a file in the archive; of a nested archive (a sparse matrix), that of its parts."""
    if not name.endswith(".npz"):
        return digests.of_bytes(archive.read(name))
    with archive.open(name) as file, zipfile.ZipFile(file) as nested:
        return digests.of_parts((part, digests.of_bytes(nested.read(part))) for part in nested.namelist())


def _shown(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str | None) else repr(value)[:_PARAM_LENGTH]


FLAVOUR = SklearnModel()
