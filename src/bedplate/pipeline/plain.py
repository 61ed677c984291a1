"""NumPy's numbers as Python's own, exactly, wherever they lie in a result: in mappings, lists, tuples, NamedTuples and sets.

NumPy is not imported for it: its scalars are known by their module. What Python has no equal number for (a long double beyond a float, a
time finer than a microsecond) is refused and not rounded. Limits: the fields of records and dataclasses are left as they are.
"""

from __future__ import annotations

from typing import Any

from bedplate.core.errors import UserError


def plain(value: Any, place: str) -> Any:
    """The value with Python's numbers; `place` says for an error where it lies. Raises UserError for a number that has no equal."""
    match value:
        case dict():
            return {plain(key, f"a key of {place}"): plain(item, f"{place}[{key!r}]") for key, item in value.items()}
        case list():
            return [plain(item, f"{place}[{at}]") for at, item in enumerate(value)]
        case tuple():
            items = [plain(item, f"{place}[{at}]") for at, item in enumerate(value)]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        case set() | frozenset():
            return type(value)(plain(item, f"an item of {place}") for item in value)
    return _number(value, place) if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value


def _number(value: Any, place: str) -> Any:
    """One of NumPy's scalars, or an array of no dimension."""
    found = value.item()
    if value.dtype.kind in "mM" and isinstance(found, int):  # finer than Python's times: whole microseconds still have an equal
        coarse = value.astype(f"{value.dtype.kind}8[us]")
        found = coarse.item() if coarse == value else value
    elif type(found).__module__ == "numpy" and found.dtype.kind == "f" and float(found) == found:
        found = float(found)
    if type(found).__module__ == "numpy":
        raise UserError(
            f"{place} is {value!r}, which Python has no equal number for",
            why=f"a {value.dtype} is finer than what is kept, and nothing is rounded without being asked",
            next="round it yourself: float(x), or x.astype('datetime64[us]')",
        )
    return found
