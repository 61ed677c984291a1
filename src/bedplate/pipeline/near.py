"""Near misses: names within an edit distance of two."""

from __future__ import annotations

from collections.abc import Iterable

_FAR = 3


def distance(one: str, other: str, limit: int = _FAR) -> int:
    """How many letters to add, drop, change or swap with the neighbour; `limit` where it is that or more."""
    if abs(len(one) - len(other)) >= limit:
        return limit
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row, older = row, [i], before
        for j, b in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) >= limit:
            return limit
        before = above
    return min(row[-1], limit)


def nearest(name: str, names: Iterable[str]) -> str:
    """The nearest of `names` at a distance of two or less, and of less than half the longer name; else empty."""
    found = [(distance(name, other), other) for other in names if abs(len(name) - len(other)) < _FAR]
    close = [(far, other) for far, other in found if far < _FAR and 2 * far < max(len(name), len(other))]
    return min(close)[1] if close else ""
