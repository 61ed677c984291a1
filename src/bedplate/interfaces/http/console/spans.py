"""How far back a page about a service looks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

SPANS: Final[dict[str, tuple[str, float | None]]] = {
    "hour": ("1 hour", 3600.0), "day": ("24 hours", 86_400.0), "week": ("7 days", 7 * 86_400.0), "month": ("30 days", 30 * 86_400.0),
    "all": ("all", None),
}  # fmt: skip
"""A word for the address: what people read, and seconds (None: ever)."""


def chosen(asked: str, last: datetime | None, now: datetime) -> str:
    """The span asked for; without one, the shortest that holds the newest prediction (`last`)."""
    if asked in SPANS:
        return asked
    if last is None:
        return "hour"
    age_s = (now - last).total_seconds()
    return next(word for word, (_, seconds) in SPANS.items() if seconds is None or age_s <= seconds)


def since(span: str, now: datetime) -> datetime | None:
    """Where a span begins; None for ever."""
    seconds = SPANS[span][1]
    return None if seconds is None else now - timedelta(seconds=seconds)
