"""The columns of a version in words that people use: text, float64, int64. Pure.

A version's `schema` is its kind's own description: of a table our JSON form of each type, of a model its signature in the words of the
Open Inference Protocol. Both are read here without any library of frames.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from .model import Signature

_WORDS: Final = {"String": "text", "Boolean": "bool", "Datetime": "time", "Time": "time of day", "Binary": "bytes", "Categorical": "text"}


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column: its name, its type in words, of a model whether it is taken or given, and the values that are known beforehand."""

    name: str
    type: str
    role: Literal["", "input", "output"] = ""
    categories: tuple[str, ...] = ()


class _Table(msgspec.Struct):
    columns: list[dict[str, Any]]


class _Model(msgspec.Struct):
    signature: Signature


def columns(schema: str) -> tuple[Column, ...]:
    """The columns that a version's schema describes; none where it describes none."""
    try:
        told = msgspec.json.decode(schema, type=_Table)
        return tuple(Column(name=one["name"], type=in_words(one["type"]), categories=_categories(one["type"])) for one in told.columns)
    except (msgspec.MsgspecError, KeyError, TypeError):
        pass
    try:
        signature = msgspec.json.decode(schema, type=_Model).signature
    except msgspec.MsgspecError:
        return ()
    return (
        *(Column(name=one.name, type=one.type, role="input", categories=one.categories) for one in signature.inputs),
        *(Column(name=one.name, type=one.type, role="output", categories=one.categories) for one in signature.outputs),
    )


def in_words(form: Any) -> str:
    """Our JSON form of a column's type as people say it: `list of float64`, `time (us, UTC)`. Raises KeyError for what is no form."""
    if isinstance(form, str):
        return _WORDS.get(form, form.lower())
    match form["type"]:
        case "Datetime":
            return f"time ({form['unit']}, {form['zone']})" if form["zone"] else f"time ({form['unit']})"
        case "Duration":
            return f"duration ({form['unit']})"
        case "Decimal":
            return f"decimal ({form['precision']}, {form['scale']})"
        case "List":
            return f"list of {in_words(form['inner'])}"
        case "Array":
            return f"{form['width']} of {in_words(form['inner'])}"
        case "Map":
            return f"map of {in_words(form['key'])} to {in_words(form['value'])}"
        case "Struct":
            return f"struct ({', '.join(f'{name}: {in_words(inner)}' for name, inner in form['fields'])})"
        case other:
            return _WORDS.get(other, str(other).lower())


def _categories(form: Any) -> tuple[str, ...]:
    return tuple(form["categories"]) if isinstance(form, dict) and form["type"] == "Enum" else ()
