"""What a function is asked and what it answers, as values: the request's type from its parameters, the answer held to its annotation.

It imports nothing of bedplate's, as it goes along into bundles for the edge: a function is asked there exactly as here.
"""

from __future__ import annotations

import collections.abc
import copy
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Final

import msgspec

_INT64: Final = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_STREAMS: Final = frozenset(
    {
        collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator,
        collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator,
    }
)  # fmt: skip

_PLAIN: Final = (bool, int, float, str)
"""Requests of these alone can be in no circle: nobody need look for one in the thousands that wait to be logged."""
Wrong = Callable[..., Exception]
"""Makes an error of what it is, `why` and what to do `next`."""
Fields = Iterable[tuple[str, Any, Any]]
"""The fields of a request: name, annotation and default (`msgspec.UNSET`: it has none)."""


def optional(annotation: Any) -> tuple[Any, bool]:
    """`X | None` -> (X, True); anything else -> (annotation, False)."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [arm for arm in typing.get_args(annotation) if arm is not type(None)]
        if len(rest) == 1 and len(rest) < len(typing.get_args(annotation)):
            return rest[0], True
    return annotation, False


def streamed(returns: Any) -> tuple[Any, bool]:
    """`Iterator[X]`, `AsyncIterator[X]` and their like -> (X, True); anything else -> (returns, False)."""
    if typing.get_origin(returns) in _STREAMS:
        return typing.get_args(returns)[0], True
    return (Any, True) if returns in _STREAMS else (returns, False)


def request_type(name: str, fields: Fields) -> type[msgspec.Struct]:
    """The record that a request to the function `name` is decoded into: these fields and no other, an `int` of 64 bits."""
    made: list[Any] = []
    circular = False
    for field, annotation, default in fields:
        circular = circular or optional(annotation)[0] not in _PLAIN
        bounded = _bounded(annotation)
        if default is msgspec.UNSET:
            made.append((field, bounded))
        elif isinstance(default, list | dict | set):
            made.append((field, bounded, msgspec.field(default_factory=partial(copy.deepcopy, default))))
        else:
            made.append((field, bounded, default))
    title = "".join(word.capitalize() for word in name.split("_"))
    return msgspec.defstruct(title, made, frozen=True, kw_only=True, forbid_unknown_fields=True, module=__name__, gc=circular)


def _bounded(annotation: Any) -> Any:
    inner, is_optional = optional(annotation)
    if inner is not int:
        return annotation
    return _INT64 | None if is_optional else _INT64


def plain(value: Any) -> Any:
    """A value as JSON can say it: numpy and polars values become numbers and lists, what is not finite becomes None."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if hasattr(value, "to_list"):
        return plain(value.to_list())
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def reader(returns: Any, wrong: Wrong) -> Callable[[Any], Any]:
    """How a function's answers are read: plain, and where a scalar is declared, of that type; of a stream the list of its values.

    Not-a-number and infinity are no numbers that JSON can say: they are null where None is declared too (and inside lists and objects).
    What is read raises what `wrong` makes, where the answer is not as declared.
    """
    item, is_stream = streamed(returns)
    if is_stream:
        one = reader(item, wrong)
        return lambda values: [one(value) for value in values]
    inner, is_optional = optional(returns)
    if inner not in (bool, int, float, str):
        return lambda value: msgspec.to_builtins(plain(value), enc_hook=partial(_plainer, wrong))
    declared = f"{inner.__name__} | None" if is_optional else inner.__name__

    def read(value: Any) -> Any:
        if type(value) is inner and (inner is not float or math.isfinite(value)):
            return value
        made = plain(value)
        if type(made) is inner or (made is None and is_optional):
            return made
        if inner is float and type(made) is int:
            return float(made)
        raise wrong(f"the service returned {_typename(value)}, and its annotation says {declared}", next=_declare(inner, value))

    return read


def _plainer(wrong: Wrong, value: Any) -> Any:
    made = plain(value)
    if made is value:
        raise wrong(f"the service returned {_typename(value)} inside its result, which JSON cannot say")
    return made


def _declare(inner: type, value: Any) -> str:
    """What to write where a function may answer so."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        kind = f"{inner.__name__} | None"
        return f"where there may be none: -> {kind}, which is null (of an array: -> Annotated[np.ndarray, {kind}])"
    return "return that, or declare what is returned"


def _typename(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return "None" if value is None else f"a {type(value).__name__}"
