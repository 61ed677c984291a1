"""XGBoost: boosters as `model.ubj`, the library's own binary JSON, predicted by XGBoost itself.

Text becomes the code of its category before the library sees it: categories come from the example's Enum columns (train on
`Model.codes(frame)`, or give XGBoost the Polars frame itself). A category never seen in training is missing.

A wrapper of scikit-learn's kind is kept as it predicts: after early stopping with the rounds up to the best one. A bare booster is kept
whole, because its own `predict` uses every round.

Limit: boosters trained on pandas categories are taken only where the example has the same categories in the same order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.model import Field, Model, Predictor, Signature
from bedplate.storage import signatures
from bedplate.storage.flavours import Files, Stored
from bedplate.storage.foreign import Foreign

from . import columns as cols
from . import xgboost_trees
from .rows import Encoder

FILE = "model.ubj"
_TOP_FEATURES = 20


class XGBoost:
    """The flavour: XGBoost's `Booster` and its scikit-learn wrappers."""

    name = "xgboost"

    def signature(self, model: Model) -> Signature:
        booster = _booster(model.native)
        inputs = signatures.fields(model.example)
        cols.text_without_categories(inputs, "booster")
        _check_names(booster, inputs)
        return Signature(inputs, (Field("prediction", "FP64", _classes(model.native)),))

    def save(self, model: Model, folder: Path) -> None:
        _booster(model.native).save_model(folder / FILE)

    def digest(self, files: Files) -> str:
        return digests.of_file(files[FILE])

    def load(self, files: Files, stored: Stored) -> Predictor:
        booster = read(files[FILE])
        if stored.listing:
            xgboost_trees.check(bytes(booster.save_raw("json")))
        return Trees(booster, stored.signature)

    def opened(self, asked: Foreign) -> Any:
        """A file of another tool."""
        booster = read(asked.path)
        xgboost_trees.check(bytes(booster.save_raw("json")))
        return booster

    def describe(self, model: Model) -> dict[str, Any]:
        booster = _booster(model.native)
        learner = json.loads(booster.save_config())["learner"]
        gains = sorted(_gains(booster).items(), key=lambda pair: -pair[1])
        return {
            "class": f"{type(model.native).__module__.split('.')[0]}.{type(model.native).__name__}",
            "trees": booster.num_boosted_rounds(),
            "features": booster.num_features(),
            "classes": list(_classes(model.native)),
            "params": {"booster": learner["gradient_booster"]["name"], "objective": learner["objective"]["name"]},
            "gain": {name: round(gain, 6) for name, gain in gains[:_TOP_FEATURES]},
        }


class Trees:
    """A loaded booster; XGBoost's in-place prediction may be called from several threads."""

    def __init__(self, booster: xgboost.Booster, signature: Signature) -> None:
        if booster.num_features() != len(signature.inputs):
            raise CorruptError(f"{FILE} has {booster.num_features()} inputs, its signature {len(signature.inputs)}")
        self.signature = signature
        self.native = booster
        self._encoder = Encoder(signature.inputs)
        self.row, self.numbers, self.stacked = self._encoder.row, self._encoder.numbers, self._encoder.stacked

    def predict(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """Probabilities, classes' probabilities or values, as `Booster.predict` gives them. Raises UserError for unfit columns."""
        return self.rows(self._encoder.matrix(columns))

    def matrix(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """The columns as rows of numbers. Raises UserError for unfit columns."""
        return self._encoder.matrix(columns)

    def rows(self, matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Predict for rows of numbers. Raises UserError where XGBoost refuses them."""
        if not len(matrix):
            return np.empty(0)
        try:
            return np.asarray(self.native.inplace_predict(matrix, validate_features=False), dtype=np.float64)
        except (xgboost.core.XGBoostError, ValueError) as error:
            raise UserError("XGBoost refused these inputs", why=str(error).strip().splitlines()[0]) from error


def read(path: Path) -> xgboost.Booster:
    """The booster in a file (UBJSON or JSON). Raises CorruptError for what is none."""
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(path.read_bytes()))
    except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
        raise CorruptError(f"{path.name} is not an XGBoost model", why=str(error).strip().splitlines()[0][:200]) from None
    return booster


def _booster(native: Any) -> Any:
    """The booster that predicts as `native` does. Raises UserError where it is not trained."""
    if isinstance(native, xgboost.Booster):
        return native
    try:
        booster = native.get_booster()
    except Exception as error:  # scikit-learn's NotFittedError, which is not ours to import
        raise UserError(f"{type(native).__name__} is not trained", why="it has no booster yet", next="call fit() first") from error
    best = getattr(native, "best_iteration", None)
    return booster if best is None else booster[: best + 1]


def _classes(native: Any) -> tuple[str, ...]:
    return tuple(str(label) for label in getattr(native, "classes_", ()))


def _gains(booster: Any) -> dict[str, float]:
    """How much each input gained, where the booster is made of trees."""
    try:
        return {name: float(np.mean(gain)) for name, gain in booster.get_score(importance_type="total_gain").items()}
    except xgboost.core.XGBoostError:
        return {}


def _check_names(booster: Any, inputs: tuple[Field, ...]) -> None:
    """Raises UserError where the example's columns are not those that the booster was trained on, by name or number."""
    given = [field.name for field in inputs]
    trained = booster.feature_names or [f"input {at + 1}" for at in range(booster.num_features())]
    if (booster.feature_names and trained != given) or len(trained) != len(given):
        raise UserError(
            "the example's columns are not those that the booster was trained on",
            why=f"trained on {', '.join(trained)}; the example has {', '.join(given)}"[:400],
            next="Model(booster, example=x), where x is the frame that it was trained on; of an import: --example FILE",
        )


FLAVOUR = XGBoost()
