"""Service: a decorated function as something that can be asked.

Every parameter that is no artifact is a field of the request. The request is one JSON object by those fields; strict types, except
that a whole number is taken for a float. The function is called once per row, with the loaded artifacts and the row's fields.
What comes back is made plain (numpy scalars and arrays become numbers and lists) and held to the return annotation.

A function whose request is arrays, or a frame, is called for many rows at once (`core/together.py`), each of which is asked and answered as
any other's.

A generator (`-> Iterator[X]`, `-> AsyncIterator[X]`) gives its values one by one to who streams, and else as a list.

Limits: a service function is `def`, not `async def`, but for a generator; an `int` field holds 64 bits, as the prediction log does; a
result that is not a finite number is answered and logged as null.
"""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from bedplate.core import calling
from bedplate.core.calling import optional
from bedplate.core.errors import AnswerError, ProjectError
from bedplate.core.kinds import View
from bedplate.core.parameters import Tune
from bedplate.core.records import Record
from bedplate.core.together import ROWS, Fields, Together, Unfit, alone, answer_of, fields_of, form_of

from .listed import gathered

ColumnType = Literal["int", "float", "bool", "text", "time", "date", "json"]
"""How a value is kept in the prediction log; `json` is the JSON text of anything else."""

_COLUMNS: Final[dict[Any, ColumnType]] = {bool: "bool", int: "int", float: "float", str: "text", datetime: "time", date: "date"}

plain = calling.plain
"""A value as JSON can say it."""


class Wanted(Record, frozen=True, kw_only=True):
    """An artifact that a parameter receives: by head, or as `use("late@7")` says.

    `gate` is the check that must promote it before it may serve (empty: none); `optional` says that the function takes None;
    `spec` is how a features table is keyed.
    """

    parameter: str
    artifact: str
    view: View
    selector: str = ""
    gate: str = ""
    optional: bool = False
    spec: dict[str, Any] | None = None


class Asked(Record, frozen=True, kw_only=True):
    """A parameter that the caller gives: its type, and its default (UNSET: it has none)."""

    name: str
    annotation: Any
    default: Any = msgspec.UNSET


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A function ready to be deployed: what it wants, what it asks and what it gives.

    `fixed` are arguments that never change (a Context), `cache_s` is for how long an answer may be given again. Where the function gives
    its values one by one, `stream` is that function, and `function` gathers them. Where it is asked for many rows at once, `many` is that
    function, `together` how it is asked, and `function` asks it for one; `returns` is what a row is answered.
    """

    name: str
    function: Callable[..., Any]
    wanted: tuple[Wanted, ...]
    request: type[msgspec.Struct]
    returns: Any
    fixed: dict[str, Any] = msgspec.field(default_factory=dict)
    doc: str = ""
    p95_s: float | None = None
    cache_s: float | None = None
    stream: Callable[..., Any] | None = None
    many: Callable[..., Any] | None = None
    together: Together | None = None

    @property
    def source(self) -> Callable[..., Any]:
        """The function as the project has it."""
        return self.stream or self.many or self.function

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the request's fields, in order."""
        return self.request.__struct_fields__

    @property
    def most(self) -> int:
        """The most rows that it is called for at once."""
        return 1 if self.together is None else ROWS

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters of the function that a caller gives, in order."""
        return self.fields if self.together is None else self.together.parameters


def service(
    name: str,
    function: Callable[..., Any],
    wanted: Sequence[Wanted],
    asked: Sequence[Asked],
    returns: Any,
    *,
    fixed: Mapping[str, Any] | None = None,
    p95_s: float | None = None,
    cache_s: float | None = None,
) -> Service:
    """A Service of a plain function, or a generator, and its wiring.

    Raises ProjectError for an `async def` that is no generator, and for one that is asked for many rows at once in no way that there is.
    """
    if inspect.iscoroutinefunction(function):
        raise ProjectError(f"{name} is an async function", why="a service is called from a thread or the loop itself", next="write `def`")
    _, is_stream = calling.streamed(returns)
    if not is_stream and (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)):
        why = "who asks has to know that the values come one by one, and what they are"
        raise ProjectError(f"{name} is a generator, and its annotation does not say so", why=why, next="-> Iterator[float]")
    fields = [(one.name, one.annotation, _default(one.default)) for one in asked]
    together = _together(name, fields, returns, is_stream=is_stream)
    return Service(
        name=name,
        function=gathered(function) if is_stream else function if together is None else alone(function, together, AnswerError),
        stream=function if is_stream else None,
        many=None if together is None else function,
        together=together,
        wanted=tuple(wanted),
        request=calling.request_type(name, fields if together is None else fields_of(fields)),
        returns=returns if together is None else answer_of(returns),
        fixed=dict(fixed or {}),
        doc=inspect.getdoc(function) or "",
        p95_s=p95_s,
        cache_s=cache_s,
    )


def _together(name: str, fields: Fields, returns: Any, *, is_stream: bool) -> Together | None:
    """How a function is asked for many rows at once; None of one that is asked for one. Raises ProjectError."""
    if not any(form_of(annotation) for _, annotation, _ in fields):
        return None
    if is_stream:
        why = "a stream is of one row, and it is asked for many at once"
        raise ProjectError(f"{name} gives its values one by one", why=why, next="take numbers and text, or return an array")
    try:
        answer_of(returns)
        return Together(fields)
    except Unfit as unfit:
        raise ProjectError(f"{name}: {unfit}", next=unfit.next) from None


def _default(given: Any) -> Any:
    return given.default if isinstance(given, Tune) else given


def column_type(annotation: Any) -> ColumnType:
    """How values of this annotation are kept in the log."""
    inner, _ = optional(annotation)
    if typing.get_origin(inner) is Annotated:
        inner = typing.get_args(inner)[0]
    if typing.get_origin(inner) is Literal:
        kinds = {type(value) for value in typing.get_args(inner)}
        inner = kinds.pop() if len(kinds) == 1 else Any
    if isinstance(inner, type) and issubclass(inner, enum.Enum):
        inner = str if issubclass(inner, str) else int if issubclass(inner, int) else Any
    return _COLUMNS.get(inner, "json")


def request_columns(request: type[msgspec.Struct]) -> dict[str, ColumnType]:
    """The log's columns for a request, by field."""
    return {field.encode_name: column_type(field.type) for field in msgspec.structs.fields(request)}


def reader(returns: Any) -> Callable[[Any], Any]:
    """How a service's results are read: plain, and where a scalar is declared, of that type. It raises AnswerError.

    Not-a-number and infinity are no numbers that JSON can say: they are null where None is declared too (and inside lists and objects).
    """
    return calling.reader(returns, AnswerError)
