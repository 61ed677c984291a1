"""Model: what a train function returns, and what a consumer receives.

A function returns `Model(booster, example=inputs)`; bedplate finds the flavour from the native object, stores it in the
framework's own open format with its input schema and example, and hands consumers a Model that predicts. A Model in a
function's hands before it is stored has no predictor: in a unit test use `model.native`.

The example may be the whole training table: its first rows are kept as the example, and from a hundred rows on its distribution, and that
of what the model says of it, are kept as the reference that `bedplate watch` finds drift by. Give it: a watch without one can only
compare what is served with itself.

A booster takes numbers, a request carries text: make text columns `Enum` (the categories are then part of the type), train on
`Model.codes(frame)` and `Model.labels(column)`, and the stored model takes the text itself, with equal results.

Numbers are taken as they are sent: a fraction for an input that held whole numbers in training is computed with, never cut off.

An *absent* model (`use("late@production")` before the first promotion) is false: `if champion: ...`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import msgspec

from .errors import UserError


class Field(msgspec.Struct, frozen=True):
    """One input or output column: name, and type as Open Inference Protocol names it (FP64, INT64, BOOL, BYTES).

    `categories` are the values of an input that the model knows, in the order of their codes, or the classes of an output.
    """

    name: str
    datatype: str
    categories: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The type in the words that people use: text, float64, int64, bool."""
        return {"BYTES": "text", "FP32": "float32", "FP64": "float64"}.get(self.datatype, self.datatype.lower())


class Signature(msgspec.Struct, frozen=True):
    """What a model takes and gives, column by column, in order."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """A model that another server has: its address, the variable of the environment that its token is in, the one output to take
    (empty: all), and the most that an answer may take.
    """

    url: str
    token: str = ""
    output: str = ""
    timeout: str = "10 s"


class Predictor(Protocol):
    """A loaded model: the flavour's own code behind one call."""

    signature: Signature

    def predict(self, columns: dict[str, Any]) -> Any:
        """Predict for named columns of equal length (lists or 1-d arrays); returns a 1-d or 2-d array, a row per row."""
        ...


@runtime_checkable
class RowPredictor(Predictor, Protocol):
    """A loaded model that computes on rows of numbers: `predict` is `rows` of `matrix`.

    It may have a `row(mapping)` too, which gives a mapping of plain numbers as such an array at once, and None for any other; a
    `one(mapping)`, which gives the answer for such a mapping at once; and a `stacked(mapping)`, which gives one of arrays of numbers as
    such an array at once, and None for any other.
    """

    def matrix(self, columns: dict[str, Any]) -> Any:
        """The columns as a 2-d array of float64 in the order of the inputs: categories as their codes, missing values as not-a-number."""
        ...

    def rows(self, matrix: Any) -> Any:
        """Predict for such an array, or one of float32."""
        ...


class Model:
    """A trained model of any framework.

    `native` is the framework's object, of a loaded model too where that predicts (scikit-learn, the params of a `Model.of`; LightGBM's
    library predicts without it, so there it is None); `example` a frame (best the training table itself), or a list of row mappings, of
    inputs in the order the model takes them; `metrics` what is known of it; `ref` its identity once stored (`late@7`); `function` what
    predicts for a `Model.of`; `arguments` what the class of a PyTorch module is made with.
    """

    def __init__(
        self,
        native: Any = None,
        *,
        example: Any = None,
        metrics: dict[str, float] | None = None,
        flavour: str = "",
        predictor: Predictor | None = None,
        ref: str = "",
        function: Callable[..., Any] | None = None,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        self.native = native
        self.arguments = arguments or {}
        self.function = function
        self.example = example
        self.metrics = metrics or {}
        self.flavour = flavour
        self.ref = ref
        self._predictor = predictor

    @classmethod
    def of(cls, function: Callable[..., Any], params: Mapping[str, Any], *, example: Any, metrics: dict[str, float] | None = None) -> Model:
        """A model of the project's own: `function(params, columns)` returns an array with an item for each row.

        `params` is JSON with numpy arrays in it; `columns` maps each input to a 1-d array. `function` is a plain function of the
        project: it is stored by name and imported where the model is used, its code is never stored.
        """
        return cls(params, example=example, metrics=metrics, flavour="function", function=function)

    @classmethod
    def at(
        cls, url: str, *, example: Any = None, token: str = "", output: str = "", timeout: str = "10 s",
        metrics: dict[str, float] | None = None,
    ) -> Model:  # fmt: skip
        """A model that another server has, by the Open Inference Protocol: `http://HOST/v2/models/NAME`, over gRPC `grpc://HOST:PORT/NAME`
        (`grpcs://` behind TLS), or `.../versions/3` of it.

        Its inputs and outputs are those that the server says; `example` names the columns of an input that is a matrix. `token` names a
        variable of the environment that is sent as a bearer token, `output` is the one to take where it gives several that do not go
        together, `timeout` the most that an answer may take, tries included. Addresses that are not public need the setting
        `allow_networks`.
        """
        native = Remote(url=url, token=token, output=output, timeout=timeout)
        return cls(native, example=example, metrics=metrics, flavour="remote")

    @staticmethod
    def codes(frame: Any) -> Any:
        """A Polars frame as the numbers that a booster trains on: Enum columns become the position in their categories, nulls stay.

        Raises UserError for text and Categorical columns, whose codes would differ from frame to frame, and for what is no number.
        """
        frame = frame.collect() if hasattr(frame, "collect") else frame
        columns = {name: _codes(name, frame.get_column(name)) for name in frame.columns}
        return frame.with_columns(**columns)

    @staticmethod
    def labels(column: Any) -> Any:
        """A column of labels to train on, as an array. Raises UserError where some are missing: a trainer may take them for zeros."""
        values = column.to_numpy() if hasattr(column, "to_numpy") else column
        items = values.tolist() if hasattr(values, "tolist") else list(values)
        missing = sum(1 for item in items if _is_missing(item))
        if missing:
            raise UserError(
                f"{missing} of {len(items)} labels are missing{f' in {column.name!r}' if hasattr(column, 'name') else ''}",
                why="a model would learn from them as if they were known",
                next="leave those rows out before training: frame.drop_nulls(...), and drop_nans(...) for numbers",
            )
        return values

    def __bool__(self) -> bool:
        return self.native is not None or self._predictor is not None

    def __repr__(self) -> str:
        return f"Model({self.ref or type(self.native).__name__})"

    @property
    def signature(self) -> Signature:
        """Inputs and outputs of a stored model. Raises UserError before it is stored."""
        return self._loaded().signature

    @property
    def predictor(self) -> Predictor:
        """What predicts, of a stored model. Raises UserError before it is stored."""
        return self._loaded()

    @property
    def is_remote(self) -> bool:
        """Whether another server has it, so that whoever asks it waits."""
        return bool(getattr(self._predictor, "is_remote", False))

    def asked_by(self, predictor: Predictor) -> Model:
        """The same model, asked in another way."""
        other = copy.copy(self)
        other._predictor = predictor
        return other

    def predict(self, rows: Any) -> Any:
        """Predict for a frame, a mapping of columns (or of scalars, the same in each row), a list of row mappings or one row mapping.

        Returns a 1-d array (n rows), or 2-d (n rows, k classes) where the framework does; for one row mapping of
        scalars, its single value. Raises UserError before the model is stored or where inputs are missing.
        """
        predictor = self._loaded()
        if type(rows) is dict:
            if (quickest := getattr(predictor, "one", None)) is not None and (made := quickest(rows)) is not None:
                return made
            if (quick := getattr(predictor, "row", None)) is not None and (row := quick(rows)) is not None:
                return cast("RowPredictor", predictor).rows(row)[0]
            if (stack := getattr(predictor, "stacked", None)) is not None and (matrix := stack(rows)) is not None:
                return cast("RowPredictor", predictor).rows(matrix)
        columns, one = as_columns(rows, [field.name for field in predictor.signature.inputs])
        result = predictor.predict(columns)
        return result[0] if one else result

    def _loaded(self) -> Predictor:
        if self._predictor is None:
            if self.native is None:
                raise UserError(
                    f"there is no model {self.ref or ''}".rstrip(),
                    why="nothing has been promoted to that alias yet",
                    next="test it first: `if champion:`",
                )
            raise UserError("this Model is not stored yet", why="a consumer reads committed bytes", next="use model.native here")
        return self._predictor


_SCALARS = (str, int, float, bool, type(None))  # a tuple: four times as fast as a union, once per input of every request


def as_columns(rows: Any, names: list[str]) -> tuple[dict[str, Any], bool]:
    """Named columns of `rows`, and whether it was one row mapping of scalars; a scalar beside columns is the same in each row.

    Raises UserError for missing names.
    """
    if hasattr(rows, "collect"):
        rows = rows.collect()
    one = False
    if isinstance(rows, list):
        columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in names if all(name in r for r in rows)}
    elif isinstance(rows, dict):
        one = all(isinstance(rows.get(name), _SCALARS) for name in names)
        given = {name: rows[name] for name in names if name in rows}
        lengths = [] if one else [len(values) for values in given.values() if not _is_scalar(values)]
        count = lengths[0] if lengths else 1
        columns = {name: [values] for name, values in given.items()} if one else {name: _column(given[name], count) for name in given}
        one = one or not lengths
    else:
        columns = {name: rows[name] for name in names if name in list(rows.columns)}
    missing = [name for name in names if name not in columns]
    if missing:
        raise UserError(f"the model needs {', '.join(missing)}", why="these inputs are not among the columns given")
    return columns, one


def _is_scalar(value: Any) -> bool:
    return isinstance(value, _SCALARS) or not hasattr(value, "__len__") or getattr(value, "shape", None) == ()


def _column(value: Any, count: int) -> Any:
    """A column as it is given; a scalar as often as there are rows."""
    if not _is_scalar(value):
        return value
    return [value.item() if hasattr(value, "item") else value] * count


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ in ("NAType", "NaTType")


_NUMBERS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64")


def _codes(name: str, column: Any) -> Any:
    dtype = type(column.dtype).__name__
    if dtype in ("Enum", "Boolean"):
        return column.to_physical().cast(int)
    if dtype not in _NUMBERS:
        raise UserError(
            f"column '{name}' is {column.dtype}, and a booster takes numbers",
            why="a text column's codes would differ from frame to frame" if dtype in ("String", "Categorical") else "",
            next=f'frame.cast({{"{name}": pl.Enum([...])}}) with every value it may have'
            if dtype in ("String", "Categorical")
            else f"make '{name}' a number, or leave it out",
        )
    return column
