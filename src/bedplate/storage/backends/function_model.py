"""A project's own model: parameters as JSON and numpy arrays, and a function of the project that predicts with them.

`params.json` holds the parameters, each array in it replaced by `{"$array": "0.npy"}` naming a `.npy` file beside it; `function.json`
names the function and the digest of its code (`storage.function_code`).

Nothing stored is ever run: loading imports the project's function by its name, and refuses where it is gone or has changed since, as
the predictions would no longer be those that were validated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.model import Field, Model, Predictor, Signature
from bedplate.storage import function_code, signatures
from bedplate.storage.flavours import Files, Stored

from . import columns as cols

PARAMS, FUNCTION = "params.json", "function.json"
_MARK = "$array"


class FunctionModel:
    """The flavour of `Model.of(function, params)`."""

    name = "function"

    def signature(self, model: Model) -> Signature:
        function_code.named(model.function)
        inputs = signatures.fields(model.example)
        output = _answer(model.function, model.native, inputs, _example_columns(inputs, model.example))
        return Signature(inputs, (Field("prediction", _DATATYPES.get(output.dtype.kind, "BYTES")),))

    def save(self, model: Model, folder: Path) -> None:
        arrays: list[npt.NDArray[Any]] = []
        text = json.dumps(_plain("params", model.native, arrays), sort_keys=True, allow_nan=False, ensure_ascii=False)
        (folder / PARAMS).write_text(text, encoding="utf-8")
        for at, array in enumerate(arrays):
            np.save(folder / f"{at}.npy", array, allow_pickle=False)
        (folder / FUNCTION).write_bytes(digests.canonical(function_code.named(model.function)))

    def digest(self, files: Files) -> str:
        return digests.of_parts((name, digests.of_file(path)) for name, path in files.items())

    def load(self, files: Files, stored: Stored) -> Predictor:
        function = function_code.found(msgspec.json.decode(files[FUNCTION].read_bytes(), type=function_code.Named))
        params = _filled(json.loads(files[PARAMS].read_text(encoding="utf-8")), files)
        return Called(function, params, stored.signature)

    def functions(self, model: Model) -> tuple[Callable[..., Any], ...]:
        """What of the project's code the model needs."""
        return (model.function,) if model.function else ()

    def describe(self, model: Model) -> dict[str, Any]:
        arrays: list[npt.NDArray[Any]] = []
        params = _plain("params", model.native, arrays)
        return {
            "function": str(function_code.named(model.function)),
            "arrays": {f"{at}.npy": [str(array.dtype), *array.shape] for at, array in enumerate(arrays)},
            "params": {k: v for k, v in params.items() if isinstance(v, str | int | float | bool)},
        }


class Called:
    """Predicts by calling the project's function."""

    def __init__(self, function: Callable[..., Any], params: Any, signature: Signature) -> None:
        self.signature = signature
        self.functions = (function,)
        self.native = params

    def predict(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """What the function returns for the columns. Raises UserError for unfit columns or a result of another length."""
        return _answer(self.functions[0], self.native, self.signature.inputs, columns)


_DATATYPES = {"b": "BOOL", "i": "INT64", "u": "INT64", "f": "FP64"}


def _answer(function: Any, params: Any, inputs: tuple[Field, ...], columns: dict[str, Any]) -> npt.NDArray[Any]:
    rows = cols.length(inputs, columns)
    answer = np.asarray(function(params, {field.name: cols.typed(field, columns[field.name]) for field in inputs}))
    if answer.ndim not in (1, 2) or len(answer) != rows:
        shape = " x ".join(str(size) for size in answer.shape) or "one value"
        raise UserError(
            f"{function.__qualname__} returned {shape} for {rows} rows",
            why="it gets columns, and answers with an array that has an item for each row",
            next=f"return np.full({rows}, value) for a constant" if answer.ndim == 0 else "",
        )
    return answer


def _example_columns(inputs: tuple[Field, ...], example: Any) -> dict[str, Any]:
    rows = signatures.rows(example)
    return {field.name: [row.get(field.name) for row in rows] for field in inputs}


def _plain(path: str, value: Any, arrays: list[npt.NDArray[Any]]) -> Any:
    """`value` as JSON; arrays are moved to `arrays` and marked. Raises UserError, with the path, for what JSON does not know."""
    match value:
        case np.ndarray():
            if value.dtype.hasobject:
                raise _unfit(path, "an array of objects", "np.array(..., dtype=str) for text")
            arrays.append(np.ascontiguousarray(value))
            return {_MARK: f"{len(arrays) - 1}.npy"}
        case np.generic():
            return _plain(path, value.item(), arrays)
        case float() if not math.isfinite(value):
            raise _unfit(path, str(value), "put it into an array: np.array([...])")
        case bool() | int() | float() | str() | None:
            return value
        case dict():
            if not all(isinstance(key, str) for key in value) or _MARK in value:
                raise _unfit(path, "a mapping with other keys than text", "{str(key): value}")
            return {key: _plain(f"{path}[{key!r}]", value[key], arrays) for key in sorted(value)}
        case list() | tuple():
            return [_plain(f"{path}[{at}]", item, arrays) for at, item in enumerate(value)]
        case _:
            raise _unfit(path, f"a {type(value).__name__}", "numbers, text, lists, mappings and numpy arrays")


def _unfit(path: str, what: str, next_: str) -> UserError:
    return UserError(f"{path} is {what}", why="a model's parameters are kept as JSON and numpy arrays, nothing is pickled", next=next_)


def _filled(value: Any, files: Files) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_MARK}:
            return _array(value[_MARK], files)
        return {key: _filled(item, files) for key, item in value.items()}
    return [_filled(item, files) for item in value] if isinstance(value, list) else value


def _array(name: str, files: Files) -> npt.NDArray[Any]:
    try:
        array = np.load(files[name], allow_pickle=False)
    except (KeyError, ValueError) as error:
        raise CorruptError(f"array {name} of the model cannot be read", why=str(error)) from None
    array.flags.writeable = False
    return np.asarray(array)


FLAVOUR = FunctionModel()
