"""Charts: series of numbers with their units, which a page draws, and `?csv=NAME` gives away.

A browser gets the numbers as JSON inside the page and draws them (`assets/charts.js`). A chart with a `source` asks that address again for
the stretch that is zoomed into: `source` with `first=` and `last=` added answers with the JSON of a chart. Not-a-number is null.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from bedplate.core.records import Record

from .tables import harmless

Draws = Literal["line", "scatter", "bars", "parallel", "spans", "grouped", "overlaid"]


class Axis(Record, frozen=True, kw_only=False):
    """What lies along an axis: its words with the unit, and whether it is a time (seconds since the epoch), logarithmic or whole."""

    label: str
    shape: Literal["number", "time", "log", "whole"] = "number"


class Series(Record, frozen=True, kw_only=False):
    """One line, cloud or row of bars: `x` and `y` of equal length. `words` names points or bars, `href` leads to what it is about.

    `marks` has each value drawn as a mark across its bar, as a bound is.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    words: Sequence[str] = ()
    href: str = ""
    marks: bool = False


class Chart(Record, frozen=True):
    """Series over two axes, with a `note` below. `spans` draws bars from x to y, one row for each word.

    `grouped` draws for each word the bars of all series below each other, `overlaid` two distributions over the same bins, named by words;
    both are drawn by `assets/bars.js`, which a page loads before `charts.js`.

    `parallel` is drawn by `assets/parallel.js`, loaded so too: each series is a line over the axes that its `words` name; on an axis that
    `levels` has words for, y counts them.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    draws: Draws = "line"
    source: str = ""
    live: bool = False
    note: str = ""
    levels: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)

    def json(self) -> str:
        """The chart for a script: no text in it can end the element that it stands in."""
        told = msgspec.json.encode(msgspec.to_builtins(self)).decode()
        return told.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    def csv(self) -> bytes:
        """The numbers as CSV: series, word, x, y."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["series", "word", harmless(self.x.label), harmless(self.y.label)])
        for one in self.series:
            label, words = harmless(one.label), [harmless(word) for word in one.words]
            for at, (x, y) in enumerate(zip(one.x, one.y, strict=True)):
                writer.writerow([label, words[at] if at < len(words) else "", x, "" if y is None else y])
        return out.getvalue().encode("utf-8", "replace")


def finite(values: Sequence[float]) -> list[float | None]:
    """Numbers as a chart can have them: what is infinite or none leaves a gap."""
    return [value if math.isfinite(value) else None for value in values]
