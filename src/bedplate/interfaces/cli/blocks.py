"""Small drawings out of block characters: bars and lines of bars, as text of a fixed width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_RISING: Final = "▁▂▃▄▅▆▇█"
_EIGHTHS: Final = "▏▎▍▌▋▊▉█"


def bar(value: float, most: float, width: int, tick: float | None = None) -> str:
    """`value` of `most` as a bar of `width` cells to the eighth of a cell, with a line at `tick`; beyond `most` it ends in an arrow."""
    if most <= 0:
        return " " * width
    eighths = round(max(0.0, min(value, most)) / most * width * 8)
    whole, rest = divmod(eighths, 8)
    cells = list("█" * whole + (_EIGHTHS[rest - 1] if rest else "") + " " * width)[:width]
    if tick is not None and tick <= most:
        at = min(int(tick / most * width), width - 1)
        cells[at] = "┃" if cells[at] == "█" else "│"
    if value > most:
        cells[-1] = "▶"
    return "".join(cells)


def sparkline(values: Sequence[float], width: int = 0) -> str:
    """A column per value, as tall as its share of the largest; a value above zero is always seen. At most `width` columns (0: all)."""
    if width and len(values) > width:
        edges = [len(values) * i // width for i in range(width + 1)]
        values = [sum(values[a:b]) for a, b in pairwise(edges)]
    most = max(values, default=0.0)
    if most <= 0:
        return "·" * len(values)
    return "".join(_RISING[min(int(value / most * 8), 7)] if value > 0 else "·" for value in values)
