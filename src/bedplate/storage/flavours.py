"""Flavours: how a model of one framework is kept in that framework's own open format. The table of them, and which owns an object.

A flavour is found by the module of the native object's class, before anything is imported: whoever holds a booster has imported
LightGBM, and nobody else needs it. Each flavour's module is loaded by name when a model of it is saved or loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol, cast

import msgspec

from bedplate.core.errors import UserError
from bedplate.core.model import Model, Predictor, Signature
from bedplate.core.records import Record

from .far import Ask

Files = Mapping[str, Path]
"""A stored model's files: the name that the flavour gave each, and where it lies now."""


class File(Record, frozen=True, kw_only=True):
    """One file of a stored model: the digest of its bytes and their number."""

    digest: str
    size: int


class Stored(Record, frozen=True, kw_only=True):
    """Everything about a stored model but its bytes: this is a model version's schema, and the blob that its uri names.

    `library` is what its example was (`polars`, `pandas`, `rows`); `example` the first rows of it; `reference` is the blob of its
    `sketch.Reference`, where the example was the training table; `code` the digest of each part of the project's code that the function
    of a `Model.of` reaches.
    """

    version: int = 1
    flavour: str
    library: str
    signature: Signature
    files: dict[str, File] = msgspec.field(default_factory=dict)
    example: list[dict[str, Any]] = msgspec.field(default_factory=list)
    reference: File | None = None
    code: dict[str, str] = msgspec.field(default_factory=dict)
    listing: dict[str, File] = msgspec.field(default_factory=dict)


class Flavour(Protocol):
    """One framework. Files are in its own open format; nothing is ever pickled, and no stored code is run.

    A flavour whose models need code of the project has also `functions(model)`, which gives it, and its predictors have `functions`. One
    whose models other servers have is `is_told` what they take, and has `reaching(ask)`, which gives it with what reaches those.
    """

    name: str

    def signature(self, model: Model) -> Signature:
        """What the model takes and gives. Raises UserError where the example does not fit the native object."""
        ...

    def save(self, model: Model, folder: Path) -> None:
        """Write the model's files into an empty folder. Raises UserError for what cannot be kept without pickle."""
        ...

    def digest(self, files: Files) -> str:
        """The digest of the parameters and text in the files: equal models give equal digests, whenever they were saved."""
        ...

    def load(self, files: Files, stored: Stored) -> Predictor:
        """A predictor. Raises UserError where its library or function is not there, or the file asks for what is not allowed."""
        ...

    def describe(self, model: Model) -> dict[str, Any]:
        """What a person wants to know of it, as JSON: parameters, number of trees, classes."""
        ...


MODULES: Final = {
    "lightgbm": "lightgbm_model", "xgboost": "xgboost_model", "sklearn": "sklearn_model", "torch": "torch_model", "onnx": "onnx_model",
    "function": "function_model", "remote": "remote_model",
}  # fmt: skip
"""Flavour -> its module in `backends/`; all but the last two are also the packages whose objects they own."""


def flavour_of(model: Model) -> str:
    """The flavour of a model: as its author says, else by the home of its native object's class. Raises UserError."""
    if model.flavour in MODULES:
        return model.flavour
    if model.flavour:
        raise UserError(f"no flavour '{model.flavour}'", why=f"flavours are {', '.join(MODULES)}")
    for base in type(model.native).__mro__:
        home = base.__module__.split(".")[0]
        if home in MODULES and home not in ("function", "remote"):
            return home
    raise UserError(
        f"no flavour keeps a {type(model.native).__module__}.{type(model.native).__qualname__}",
        why=f"flavours are {', '.join(MODULES)}; nothing is pickled",
        next="Model.of(function, params, example=...) keeps a model of your own as numbers and a function",
    )


def find(name: str, ask: Ask | None = None) -> Flavour:
    """The flavour itself; `ask` is what reaches other servers. Raises UserError where its library is not installed."""
    module = MODULES.get(name)
    if module is None:
        raise UserError(f"no flavour '{name}'", why=f"this bedplate knows {', '.join(MODULES)}", next="pip install --upgrade bedplate")
    try:
        loaded = importlib.import_module(f"{__package__}.backends.{module}")
    except ModuleNotFoundError as error:
        raise not_installed(name, error.name or name) from error
    flavour: Flavour = loaded.FLAVOUR
    reaching = getattr(flavour, "reaching", None)
    return flavour if reaching is None else cast("Flavour", reaching(ask))


def not_installed(flavour: str, package: str) -> UserError:
    """The error for a flavour whose library is missing."""
    return UserError(f"a {flavour} model needs the package {package}", why="it is not installed", next=f"pip install 'bedplate[{flavour}]'")
