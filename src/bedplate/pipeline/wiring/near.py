"""Near misses: names within an edit distance of two, found among ten thousand without comparing each with each."""

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


class Near:
    """Finds the nearest of many names; each question is answered once."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_length: dict[int, list[tuple[int, str]]] = {}
        for name in names:
            self._by_length.setdefault(len(name), []).append((_letters(name), name))
        self._known: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """The nearest name at a distance of two or less, and of less than half the longer name; else empty."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> str:
        letters = _letters(name)
        best = (_FAR, "")
        for length in range(len(name) - 2, len(name) + 3):
            limit = min(_FAR, (max(length, len(name)) + 1) // 2)
            for other_letters, other in self._by_length.get(length, ()):
                # One edit changes two letters of the set at most.
                if (letters ^ other_letters).bit_count() <= 2 * (limit - 1):
                    far = distance(name, other, limit)
                    if far < limit:
                        best = min(best, (far, other))
        return best[1]


def _letters(name: str) -> int:
    mask = 0
    for letter in name:
        mask |= 1 << (ord(letter) & 63)
    return mask
