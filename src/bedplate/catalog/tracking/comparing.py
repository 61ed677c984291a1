"""Fragments of SQL for clauses: comparisons of texts and numbers, and what begins an index entry. Values are bound, always."""

from __future__ import annotations

from typing import Final

from bedplate.core.errors import UserError

from .clauses import Clause
from .pages import Values

CLIPPED: Final = 100
"""Characters of a value that the indexes of params and tags hold."""
LONGEST_PATTERN: Final = 10_000
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def compared(column: str, clause: Clause, values: Values) -> str:
    """A column compared as a clause says. ILIKE takes the letters A to Z as equal to a to z, and no others. Raises UserError."""
    given = clause.value
    if isinstance(given, tuple):
        return f"{column} {clause.comparator} ({values.listed(given)})"
    if clause.comparator in ("LIKE", "ILIKE") and isinstance(given, str):
        if len(given) > LONGEST_PATTERN:
            raise UserError(f"'filter' has a pattern that exceeds the maximum length of {LONGEST_PATTERN} characters")
        pattern = given.replace("\\", "\\\\")
        if clause.comparator == "LIKE":
            return f"{column} LIKE {values.bind(pattern)} ESCAPE '\\'"
        return f"lower({column}) LIKE {values.bind(pattern.translate(_LOWER))} ESCAPE '\\'"
    return f"{column} {clause.comparator} {values.bind(given)}"


def lowered(part: str) -> str:
    """A pattern for texts in small letters that have a part in them."""
    escaped = part.translate(_LOWER).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def equal_by_index(column: str, clause: Clause, values: Values) -> str:
    """The same for `=` and IN, so that an index over the beginnings of values finds it: alone, where values are shorter."""
    given = clause.value if isinstance(clause.value, tuple) else (str(clause.value),)
    beginnings = sorted({one[:CLIPPED] for one in given})
    begins = f"substr({column}, 1, {CLIPPED}) IN ({values.listed(beginnings)})"
    if all(len(one) < CLIPPED for one in given):
        return begins
    return f"{begins} AND {column} IN ({values.listed(given)})"


def after(keys: list[tuple[str, bool, int | float | str]], values: Values) -> str:
    """That a row comes after a place, by (expression, whether it falls, value) of each sort key; the first is said twice, for an index."""
    (expression, falls, value), *rest = keys
    mark = values.bind(value)
    beyond = f"{expression} {'<' if falls else '>'} {mark}"
    if not rest:
        return beyond
    return f"({expression} {'<=' if falls else '>='} {mark} AND ({beyond} OR ({expression} = {mark} AND {after(rest, values)})))"
