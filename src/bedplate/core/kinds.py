"""Kinds of artifact and views of them, read from annotations by name.

An annotation is recognised by its top-level package and class name, so nothing heavy is imported: `pl.LazyFrame` is
`polars.LazyFrame`. A return annotation gives the *kind* (what is stored); a parameter's gives the *view* (what is handed over).
"""

from __future__ import annotations

import types
import typing
from typing import Any, Final, Literal

from .calling import optional

Kind = Literal["table", "files", "model", "check", "scalar", "pickle", "service"]
View = Literal[
    "polars", "polars.lazy", "pandas", "arrow", "duckdb", "path", "files", "samples", "features", "model", "check", "scalar", "pickle"
]

KIND_SCHEMA: Final = {"table": 1, "files": 1, "model": 1, "check": 1, "scalar": 1, "pickle": 1, "service": 1}
"""The version of each kind's stored form: part of every cache key (invariant 2)."""

_VIEWS: Final[dict[str, View]] = {
    "polars.LazyFrame": "polars.lazy",
    "polars.DataFrame": "polars",
    "pandas.DataFrame": "pandas",
    "pyarrow.Table": "arrow",
    "arro3.Table": "arrow",
    "duckdb.DuckDBPyRelation": "duckdb",
    "_duckdb.DuckDBPyRelation": "duckdb",
    "pathlib.Path": "path",
    "bedplate.Files": "files",
    "bedplate.Samples": "samples",
    "bedplate.Features": "features",
    "bedplate.Model": "model",
    "bedplate.Check": "check",
    "bedplate.Pickle": "pickle",
}
_KINDS: Final[dict[View, Kind]] = {
    "polars": "table",
    "polars.lazy": "table",
    "pandas": "table",
    "arrow": "table",
    "duckdb": "table",
    "path": "files",
    "files": "files",
    "model": "model",
    "check": "check",
    "pickle": "pickle",
    "scalar": "scalar",
}
READABLE: Final[dict[Kind, frozenset[View]]] = {
    "table": frozenset({"polars", "polars.lazy", "pandas", "arrow", "duckdb", "path"}),
    "files": frozenset({"files", "path", "samples"}),
    "model": frozenset({"model"}),
    "check": frozenset({"check"}),
    "scalar": frozenset({"scalar"}),
    "pickle": frozenset({"pickle"}),
    "service": frozenset({"polars", "polars.lazy", "pandas", "arrow", "duckdb"}),
}
"""Which views a stored kind can be read as; a service is read as the table of its predictions."""

SCALARS: Final = (bool, int, float, str, bytes, list, dict, tuple, set)


class Pickle:
    """`Pickle[T]`: the value is pickled. A server never loads one (invariant 5)."""

    def __class_getitem__(cls, item: Any) -> Any:
        return typing.Annotated[item, cls]


def view_of(annotation: Any) -> View | None:
    """The view that a data annotation asks for; None where it is a scalar or JSON type (asked of the caller)."""
    annotation, _ = optional(annotation)
    if typing.get_origin(annotation) is typing.Annotated and Pickle in typing.get_args(annotation):
        return "pickle"
    if not isinstance(annotation, type):
        return None
    return _VIEWS.get(f"{annotation.__module__.split('.')[0]}.{annotation.__name__}")


def kind_of(annotation: Any) -> Kind | None:
    """What a return annotation says comes out; None where nothing can be made of it."""
    view = view_of(annotation)
    if view is not None:
        return _KINDS.get(view)
    return "scalar" if is_scalar(annotation) else None


def is_scalar(annotation: Any) -> bool:
    """Whether values of this type travel as JSON: numbers, text, lists, mappings, times, structs, unions of them."""
    annotation, _ = optional(annotation)
    if annotation in (None, type(None), Any):
        return True
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return True
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return all(is_scalar(arm) for arm in typing.get_args(annotation)[: 1 if origin is typing.Annotated else None])
    if origin in SCALARS:
        return all(is_scalar(arm) for arm in typing.get_args(annotation) if arm is not Ellipsis)
    if not isinstance(annotation, type):
        return False
    if annotation in SCALARS or annotation.__module__ in ("datetime", "decimal", "uuid", "enum"):
        return True
    return hasattr(annotation, "__struct_fields__") or hasattr(annotation, "__dataclass_fields__")
