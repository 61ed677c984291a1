"""A model's file that another tool wrote, read as what its library has in hand: by its ending, never by unpickling.

Each flavour's module has `opened(path, asked)`, which gives the native object, loaded like a file of the store: with the same refusals.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

import msgspec

from bedplate.core.errors import UserError
from bedplate.core.model import Field, Model
from bedplate.core.records import Record, Version

from . import flavours
from .models import stored_of

ENDINGS: Final = {
    ".onnx": "onnx", ".txt": "lightgbm", ".ubj": "xgboost", ".json": "xgboost", ".skops": "sklearn", ".pt2": "torch",
    ".safetensors": "torch",
}  # fmt: skip
"""Ending -> flavour."""
_PICKLES: Final = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".bin")


class Foreign(Record, frozen=True, kw_only=True):
    """A file to read as a model, or (`url`) one that another server has. For weights without a class, `of` is that class
    (`module:Class`), `arguments` what it is made with.
    """

    path: Path = Path()
    url: str = ""
    of: str = ""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)


def model_of(asked: Foreign, example: Any) -> Model:
    """The model in a file, with an example of its inputs. Raises UserError for an ending of no flavour, or a file that is not there."""
    if asked.url:
        return Model.at(asked.url, example=example)
    path = asked.path
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    name = ENDINGS.get(path.suffix.lower())
    if name is None:
        why = "a pickle runs code when it is loaded" if path.suffix.lower() in _PICKLES else f"known endings: {', '.join(ENDINGS)}"
        raise UserError(
            f"{path.name} is no form of model that can be read", why=why, next="save it in its framework's own open format, or as ONNX"
        )
    reader: Any = flavours.find(name)
    return Model(reader.opened(asked), flavour=name, example=example, arguments=asked.arguments)


def example_of(version: Version) -> Any:
    """The rows of a stored model's example as a frame, with the categories that it knows."""
    stored = stored_of(version)
    return importlib.import_module(".backends.foreign_example", __package__).frame(stored.signature.inputs, stored.example)


def fitted(example: Any, inputs: tuple[Field, ...]) -> Any:
    """The columns of an example that another model takes, in its order and with its categories. Raises UserError where one is missing."""
    return importlib.import_module(".backends.foreign_example", __package__).fitted(example, inputs)
