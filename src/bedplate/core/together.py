"""Together: a function that is asked about many rows in one call, in arrays or in a frame, and gives an answer for each of them.

An array is annotated `numpy.ndarray` (float64), `numpy.typing.NDArray[numpy.int64]`, or `Annotated[numpy.ndarray, X]` with the type X that
a row has there: `float | None` is float64 with not-a-number where a row has none, text and everything else an array of objects. A frame
is annotated `Annotated[polars.DataFrame, Row]`, where Row is a TypedDict, dataclass or msgspec Struct with a field for each column. What
is asked of a caller is a row, as of any other function.

It imports nothing of bedplate's, as it goes along into bundles for the edge. Limits: the answer to a row is taken to depend on that row
alone; a frame is one of Polars; its columns hold numbers, text, truth values, times and dates.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import itertools
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec

ROWS: Final = 256
"""The most rows that a function is called with."""
_ARRAY, _FRAME, _SERIES = ("numpy", "ndarray"), "DataFrame", "Series"
_VALUES: Final[dict[str, Any]] = {"float64": float, "int64": int, "bool": bool, "bool_": bool, "str_": str, "object_": Any}
"""The type that a row has in an array, by the name of the array's own."""
_DTYPES: Final[dict[Any, str]] = {float: "float64", int: "int64", bool: "bool"}
_COLUMNS: Final[dict[Any, str]] = {float: "Float64", int: "Int64", bool: "Boolean", str: "String", datetime: "Datetime", date: "Date"}
_TOLD: Final = "numpy.typing.NDArray of float64, int64, bool_, str_ or object_, or Annotated[numpy.ndarray, TYPE_OF_A_ROW]"
_ROW_TOLD: Final = "`rows: Annotated[polars.DataFrame, Row]`, with `class Row(TypedDict)` and a field for each column"
_GAVE: Final = "the service gave"
_EACH: Final = "a function that is asked for many rows at once answers each of them, in their order"
_AS_LONG: Final = "return an array as long as those that the function was given"
Form = Literal["", "array", "frame"]
Raised = type[BaseException] | tuple[type[BaseException], ...]
Wrong = Callable[..., Exception]
"""Makes an error of what it is, `why` and what to do `next`."""
Fields = Iterable[tuple[str, Any, Any]]
"""Parameters, or the fields of a request: name, annotation and default (`msgspec.UNSET`: it has none)."""


class Unfit(TypeError):
    """An annotation that says nothing that a function could be asked with, or answer; `next` is what to write."""

    def __init__(self, what: str, next: str) -> None:
        super().__init__(what)
        self.next = next


def is_said(annotation: Any) -> bool:
    """Whether an annotation says what a row holds."""
    return _said(annotation) is not msgspec.UNSET


def form_of(annotation: Any) -> Form:
    """Whether a parameter so annotated takes many rows: in an array, as a frame of Polars, or (empty) not."""
    arms = [arm for arm in _arms(annotation) if arm is not type(None)]
    top, name = _named(_bare(arms[0] if len(arms) == 1 else annotation))
    if (top, name) == _ARRAY:
        return "array"
    return "frame" if (top, name) == ("polars", _FRAME) else ""


def fields_of(parameters: Fields) -> list[tuple[str, Any, Any]]:
    """What a caller is asked for, by row. Raises Unfit."""
    given = list(parameters)
    forms = {name: form_of(annotation) for name, annotation, _ in given}
    for name, annotation, _ in given:
        if forms[name] and _arms(annotation):
            raise Unfit(f"'{name}' may be None, and what holds many rows may not", "a row may: Annotated[numpy.ndarray, float | None]")
    if set(forms.values()) - {"array"} == set():
        return [(name, _array_value(name, annotation), default) for name, annotation, default in given]
    if "" in forms.values():
        one, many = next(name for name in forms if not forms[name]), next(name for name in forms if forms[name])
        what = f"'{many}' is asked for many rows at once, and '{one}' for one"
        raise Unfit(what, "make all of them arrays, or none; what is the same for all rows is an artifact")
    if len(given) > 1:
        frame = next(name for name in forms if forms[name] == "frame")
        raise Unfit(f"'{frame}' is a frame of requests, and there is more than it", "make the others columns of the frame")
    name, annotation, default = given[0]
    if default is not msgspec.UNSET:
        raise Unfit(f"'{name}' is a frame of requests, which has no default", "give its columns defaults: `class Row(msgspec.Struct)`")
    return _row_fields(name, annotation)


def answer_of(annotation: Any) -> Any:
    """What a row is answered, where the function's return annotation says what many are. Raises Unfit."""
    bare, said = _bare(annotation), _said(annotation)
    top, name = _named(bare)
    if annotation is Any or top == "inspect":  # no annotation
        return Any
    if (top, name) == _ARRAY:
        return _array_value("return", annotation)
    arms = typing.get_args(bare)
    if name in (_FRAME, _SERIES) and top in ("polars", "pandas"):
        return said if said is not msgspec.UNSET else dict[str, Any] if name == _FRAME else Any
    if bare is list or typing.get_origin(bare) is list:
        return arms[0] if arms else Any
    if bare is dict or typing.get_origin(bare) is dict:
        return types.GenericAlias(dict, (str, answer_of(arms[1]) if arms else Any))
    raise Unfit("a function that is asked for many rows at once answers them all", "-> numpy.ndarray, list[X], or dict[str, numpy.ndarray]")


class Together:
    """How one function is asked for many rows: by its `parameters`; `names` are the fields of a row, in order. Raises Unfit."""

    def __init__(self, parameters: Fields) -> None:
        given = list(parameters)
        fields = fields_of(given)
        self.names = tuple(name for name, _, _ in fields)
        self.form = form_of(given[0][1])
        self.parameters = tuple(name for name, _, _ in given)
        self._library: Any = importlib.import_module("numpy" if self.form == "array" else "polars")
        kind = _array_kind if self.form == "array" else _column_kind
        self._kinds = [kind(annotation) for _, annotation, _ in fields]
        self.is_plain = all(made == "float64" and not _may_lack(one) for made, (_, one, _) in zip(self._kinds, fields, strict=True))

    def given(self, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
        """The arguments for rows, at least one, each with its values in the order of `names`."""
        if self.form == "frame":
            return {self.parameters[0]: self._frame(rows)}
        if self.is_plain:
            return self.given_matrix(self.matrix(rows))
        return {
            name: self._array(kind, values) for name, kind, values in zip(self.names, self._kinds, zip(*rows, strict=True), strict=True)
        }

    def matrix(self, rows: Sequence[tuple[Any, ...]]) -> Any:
        """Rows of numbers as float64, a row per row, where `is_plain`: all that is asked is arrays of them, and none may be missing."""
        flat = self._library.fromiter(itertools.chain.from_iterable(rows), self._library.float64, len(rows) * len(self.names))
        return flat.reshape(-1, len(self.names))

    def given_matrix(self, matrix: Any) -> dict[str, Any]:
        """The arguments for such rows."""
        return dict(zip(self.names, self._library.ascontiguousarray(matrix.T), strict=True))

    def _array(self, kind: str, values: tuple[Any, ...]) -> Any:
        if kind == "object":
            return self._library.fromiter(values, object, len(values))
        return self._library.array(values, kind)

    def _frame(self, rows: Sequence[tuple[Any, ...]]) -> Any:
        polars, series = self._library, []
        for name, kind, values in zip(self.names, self._kinds, zip(*rows, strict=True), strict=True):
            told = polars.Datetime("us", "UTC") if kind == "Datetime" else getattr(polars, kind)
            series.append(polars.Series(name, [*map(_in_utc, values)] if kind == "Datetime" else values, told))
        return polars.DataFrame(series)


def alone(function: Callable[..., Any], together: Together, wrong: Wrong) -> Callable[..., Any]:
    """A function that is asked for many rows as one that is asked for one, by the fields of a row."""

    @functools.wraps(function)
    def ask(**named: Any) -> Any:
        row = tuple([named.pop(name) for name in together.names])
        return answers(function(**named, **together.given([row])), 1, wrong)[0]

    return ask


def answers(made: Any, count: int, wrong: Wrong) -> list[Any]:
    """The answer to each of `count` rows, in what a function made of them. Raises what `wrong` makes."""
    if isinstance(made, Mapping) or hasattr(made, "columns"):
        columns = {str(name): _listed(made[name], count, f"the column '{name}' of its answer has", wrong) for name in _columns(made)}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)] or _listed(
            [], count, _GAVE, wrong
        )
    return _listed(made, count, _GAVE, wrong)


def apart(
    call: Callable[[Sequence[Any]], Sequence[Any]], rows: Sequence[Any], most: int = ROWS, raised: Raised = KeyboardInterrupt
) -> list[Any]:
    """What `call` gives for rows, at most so many at once; where it raises, for each alone, and what it raised in the place of an answer.

    What is `raised` of it is raised at once.
    """
    found: list[Any] = []
    for at in range(0, len(rows), most):
        some = rows[at : at + most]
        try:
            found.extend(call(some))
        except raised:
            raise
        except BaseException as error:  # a project's function may raise anything, SystemExit too; the other rows are answered
            found.extend([error] if len(some) == 1 else (one for row in some for one in apart(call, [row], raised=raised)))
    return found


def _columns(made: Any) -> list[Any]:
    return list(made) if isinstance(made, Mapping) else list(made.columns)


def _listed(values: Any, count: int, what: str, wrong: Wrong) -> list[Any]:
    for name in ("tolist", "to_list"):
        if hasattr(values, name):
            values = getattr(values, name)()
            break
    if not isinstance(values, list | tuple):
        raise wrong(f"{what} one value for {_some(count, 'row')} ({type(values).__name__})", why=_EACH, next=_AS_LONG)
    if len(values) != count:
        raise wrong(f"{what} {_some(len(values), 'answer')} for {_some(count, 'row')}", why=_EACH, next=_AS_LONG)
    return list(values)


def _some(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _array_value(name: str, annotation: Any) -> Any:
    """The type that a row has in an array. Raises Unfit."""
    if (said := _said(annotation)) is not msgspec.UNSET:
        return said
    arms = typing.get_args(_bare(annotation))
    if not arms:
        return float
    scalar = typing.get_args(arms[-1])
    known = _VALUES.get(getattr(scalar[0] if scalar else None, "__name__", ""), msgspec.UNSET)
    if known is msgspec.UNSET or form_of(annotation) != "array":
        raise Unfit(f"'{name}' is an array of what no request has", f"it takes {_TOLD}")
    return known


def _row_fields(name: str, annotation: Any) -> list[tuple[str, Any, Any]]:
    """The fields of a frame's row. Raises Unfit."""
    row = _said(annotation)
    if row is msgspec.UNSET:
        raise Unfit(f"'{name}' is a frame of requests, and nothing says what a row holds", _ROW_TOLD)
    if typing.is_typeddict(row):
        defaults: dict[str, Any] = {}
    elif dataclasses.is_dataclass(row) and isinstance(row, type):
        defaults = {one.name: _default(one) for one in dataclasses.fields(row)}
    elif hasattr(row, "__struct_fields__"):
        defaults = {one.name: _default(one, msgspec.NODEFAULT) for one in msgspec.structs.fields(row)}
    else:
        raise Unfit(f"'{name}' is a frame of requests, and {row} is no row", _ROW_TOLD)
    hints = typing.get_type_hints(row, include_extras=True)
    fields = [(field, kind, defaults.get(field, msgspec.UNSET)) for field, kind in hints.items()]
    for field, kind, _ in fields:
        if typing.get_origin(kind) is typing.NotRequired or field in getattr(row, "__optional_keys__", ()):
            raise Unfit(f"'{name}': a row may lack '{field}'", "give it a default: a dataclass, or a msgspec.Struct")
        if _plain(kind) not in _COLUMNS:
            raise Unfit(
                f"the column '{field}' of '{name}' is no number, text, truth value, time or date", "take an array of objects for it"
            )
    if not fields:
        raise Unfit(f"'{name}' is a frame of requests, and its row has no columns", _ROW_TOLD)
    return fields


def _default(field: Any, missing: Any = dataclasses.MISSING) -> Any:
    """The default of a field; UNSET where it has none."""
    if field.default is not missing:
        return field.default
    return msgspec.UNSET if field.default_factory is missing else field.default_factory()


def _bare(annotation: Any) -> Any:
    """An annotation without what `Annotated` says beside it."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def _said(annotation: Any) -> Any:
    """What `Annotated` says beside an annotation; UNSET where nothing."""
    return typing.get_args(annotation)[1] if typing.get_origin(annotation) is Annotated else msgspec.UNSET


def _named(annotation: Any) -> tuple[str, str]:
    """The package and the name of a class, or of what an alias is of."""
    kind = typing.get_origin(annotation) or annotation
    return getattr(kind, "__module__", "").partition(".")[0], getattr(kind, "__name__", "")


def _arms(annotation: Any) -> tuple[Any, ...]:
    """The types of a union; none of anything else."""
    return typing.get_args(annotation) if typing.get_origin(annotation) in (typing.Union, types.UnionType) else ()


def _plain(kind: Any) -> Any:
    """The type of a column's values: without None, bounds, and the words of a Literal."""
    kind = _bare(kind)
    if arms := _arms(kind):
        rest = [arm for arm in arms if arm is not type(None)]
        return _plain(rest[0]) if len(rest) == 1 else kind
    if typing.get_origin(kind) is Literal:
        kinds = {type(value) for value in typing.get_args(kind)}
        return kinds.pop() if len(kinds) == 1 else kind
    return kind


def _may_lack(kind: Any) -> bool:
    """Whether a row may have None there."""
    return type(None) in _arms(_bare(kind))


def _array_kind(kind: Any) -> str:
    plain = _plain(kind)
    return "object" if _may_lack(kind) and plain is not float else _DTYPES.get(plain, "object")


def _column_kind(kind: Any) -> str:
    return _COLUMNS[_plain(kind)]


def _in_utc(value: Any) -> Any:
    """A time in UTC; one without a zone is taken to be, as in the prediction log."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value
