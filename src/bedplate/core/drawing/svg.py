"""The strokes that charts are made of: numbers in user units in, SVG markup out; every text is escaped.

Colours are the classes of the page's style sheet. A chart scales with its width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape


def ticks(most: float, least: float = 0.0) -> list[float]:
    """Zero and a few round steps to at least `most`; no step is below `least`."""
    raw = max(most, least, 1e-12) / 3
    unit = 10 ** math.floor(math.log10(raw))
    step = max(next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw * (1 - 1e-9)), least)
    return [step * i for i in range(math.ceil(max(most, least) / step * (1 - 1e-9)) + 1)]


def decades(low: float, high: float, most: int = 7) -> list[float]:
    """1, 2 and 5 of each power of ten in [`low`, `high`], thinned to about `most`."""
    if not 0 < low <= high:
        return []
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [m * 10.0**e for e in powers for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    return every[:: max(1, math.ceil(len(every) / most))]


def scale(a: float, b: float, low: float, high: float) -> Callable[[float], float]:
    """Values from `a` to `b` become places from `low` to `high`."""
    factor = (high - low) / (b - a) if b != a else 0.0
    return lambda value: low + (value - a) * factor


def rect(x: float, y: float, wide: float, tall: float, style: str) -> str:
    """A bar."""
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{max(tall, 0):.1f}" rx="1"/>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line."""
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def circle(x: float, y: float, radius: float, style: str) -> str:
    """A dot."""
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    """Words; `anchor` is start, middle or end."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def told(title: str, *parts: str) -> str:
    """Parts with words that show when they are pointed at."""
    return f"<g><title>{escape(title)}</title>{''.join(parts)}</g>"


def linked(href: str, *parts: str) -> str:
    """Parts that lead somewhere."""
    return f'<a href="{escape(href)}">{"".join(parts)}</a>'


def drawing(wide: float, tall: float, parts: Sequence[str], label: str, role: str = "img") -> str:
    """The whole chart; `label` is read out to who does not see it. `role` is group where something in it can be followed."""
    return f'<svg viewBox="0 0 {wide:g} {tall:g}" role="{role}" aria-label="{escape(label)}">{"".join(parts)}</svg>'
