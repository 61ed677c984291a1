"""A drawing as data: boxes and lines with labels in units of their own, for the terminal and the page to draw as they can."""

from __future__ import annotations

from bedplate.core.records import Record


class Box(Record, frozen=True, kw_only=True):
    """A rectangle from (x, y), its upper left corner. `kind` decides the look; `count` things stand for one box."""

    x: float
    y: float
    w: float
    h: float
    label: str
    kind: str
    count: int = 1


class Line(Record, frozen=True, kw_only=True):
    """A line between two points; `count` cables run along it."""

    x1: float
    y1: float
    x2: float
    y2: float
    label: str = ""
    count: int = 1


class Drawing(Record, frozen=True, kw_only=True):
    """Boxes over lines, on a sheet of `width` by `height`."""

    name: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...] = ()
    note: str = ""
