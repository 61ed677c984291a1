"""Quantities with units: durations, bytes, power, energy, money.

`"20 ms"`, `"1 day"`, `"2 GB"`, `"5 USD/month"` are read here and nowhere else. Numbers inside the program are
plain floats in base units named in the field (`_s` seconds, `_bytes`, `_joules`); money is `Money`, exact.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

import msgspec

from .errors import UserError

_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*\Z")
_SECONDS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0,
    "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0, "week": 604800.0, "month": 2629800.0,
}  # fmt: skip
_BYTES = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


GIB = 2.0**30
"""Bytes of a GiB. Vendors' GB of on-package memory are GiB (an 80 GB H100 reports 81559 MiB, a 180 GB B200 183359 MiB, a 192 GB MI300X
196592 MiB)."""
_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_WATTS = {"w": 1.0, "kw": 1e3, "mw": 1e6, "gw": 1e9}
_COUNT = re.compile(r"\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([A-Za-z]?)\s*\Z")


class Money(msgspec.Struct, frozen=True, order=True):
    """An exact amount of one currency (ISO 4217 code)."""

    amount: Decimal
    currency: str = "USD"

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"


class Budget(msgspec.Struct, frozen=True):
    """Money for a period: `5 USD/month`. `period_s` is the period in seconds."""

    money: Money
    period_s: float


def seconds(text: str) -> float:
    """Read a duration: `"20 ms"`, `"1 day"`, `"2 hours"`. Raises UserError."""
    return _read(text, _SECONDS, "a duration", "'20 ms', '5 min' or '1 day'")


def byte_count(text: str) -> int:
    """Read a size in bytes: `"512 MB"` (10^6) or `"2 GiB"` (2^30). Raises UserError."""
    return int(_read(text, {k: float(v) for k, v in _BYTES.items()}, "a size", "'512 MB' or '2 GiB'"))


def money(text: str) -> Money:
    """Read money: `"5 USD"`. Raises UserError."""
    match = _NUMBER.match(text)
    if not match or len(match[2]) != 3:
        raise UserError(f"'{text}' is not money", why="write an amount and a currency code", next="'5 USD'")
    return Money(Decimal(match[1]), match[2].upper())


def budget(text: str) -> Budget:
    """Read a budget: `"5 USD/month"`. Raises UserError."""
    amount, _, period = text.partition("/")
    if not period:
        raise UserError(f"'{text}' is not a budget", why="a budget has a period", next="'5 USD/month'")
    return Budget(money(amount), seconds(f"1 {period.strip()}"))


def count(text: str) -> float:
    """Read a number of things: `"2T"`, `"70B"`, `"1.5M"`, `"4096"`. Raises UserError."""
    match = _COUNT.match(text)
    factor = _COUNTS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise UserError(f"'{text}' is not a count", why="a number, and K, M, B or T behind it if need be", next="write '2T' or '4096'")
    return float(match[1]) * factor


def watts(text: str) -> float:
    """Read a power: `"2 MW"`, `"700 W"`. Raises UserError."""
    return _read(text, _WATTS, "a power", "'2 MW' or '30 kW'")


def per_second(text: str) -> float:
    """Read a rate: `"40/s"`, `"1000/min"`, `"2M/day"`. Raises UserError."""
    amount, _, period = text.partition("/")
    if not period:
        raise UserError(f"'{text}' is not a rate", why="a rate is so many in a time", next="write '40/s' or '1000/min'")
    return count(amount) / seconds(f"1 {period.strip()}")


def dollars(text: str) -> float:
    """`500000`, `2M`, `2M USD`, `$2M` in US dollars. Raises UserError for another text."""
    return count(text.upper().removesuffix("USD").strip().removeprefix("$"))


def pixels(text: str) -> tuple[int, int]:
    """`1280x720`: width, height. Raises UserError for another text."""
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() for side in sides):
        raise UserError(f"'{text}' is no size of a picture", next="write 1280x720: width, then height")
    return int(sides[0]), int(sides[1])


def share(text: str) -> float:
    """Read a share: `"60%"` or `"0.6"`. Raises UserError."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        meant = f"{text.strip()}%" if 1 < value <= 100 and not text.strip().endswith("%") else "60%"
        raise UserError(f"'{text}' is not a share", why="it is none of 0 to 1 or 0% to 100%", next=f"write '{meant}'")
    return value


def show_count(value: float) -> str:
    """A number of things for people: three digits and T, B, M or k."""
    for name, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"


def show_watts(value: float) -> str:
    """A power for people."""
    for name, size in (("GW", 1e9), ("MW", 1e6), ("kW", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} W"


def show_usd(value: float) -> str:
    """US dollars for people: three digits above a thousand; of less than a cent the first two that are not zero."""
    if 0 < value < 0.01:
        return f"${value:.2g}" if value >= 1e-6 else "$0.00"
    if value >= 1e15:
        return f"${value:.2e}"
    for name, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"${value / size:.3g}{name}"
    return f"${value:.2f}"


def show_days(value: float) -> str:
    """A long duration for people: days above two, else as `show_seconds`."""
    return f"{value / 86400:.1f} days" if value >= 2 * 86400 else show_seconds(value)


def dollars_per_hour(text: str) -> float:
    """Read the price of a target in dollars: `"3.2 USD/hour"`. Raises UserError for anything else, infinite prices among it."""
    amount, _, period = text.partition("/")
    match = _NUMBER.match(amount)
    found = float(match[1]) if match and match[2].upper() == "USD" and period.strip().lower() in ("hour", "h") else math.inf
    if not math.isfinite(found):
        raise UserError(f"'{text}' is not a price", why="an amount of USD for an hour is needed", next="write '3.2 USD/hour'")
    return found


def show_seconds(value: float) -> str:
    """A duration for people."""
    if value < 1e-3:
        return f"{value * 1e6:.0f} us"
    if value < 1:
        return f"{value * 1e3:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    if value < 7200:
        return f"{value / 60:.1f} min"
    return f"{value / 3600:.1f} h"


def show_number(value: float) -> str:
    """Four digits; of what is larger all before the point: `0.9231`, `1,458`, `11,572`."""
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e15 else f"{value:.4g}"


def show_bytes(value: float) -> str:
    """A size for people, in powers of ten."""
    for name, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.1f} {name}"
    return f"{value:.0f} B"


def show_joules(value: float) -> str:
    """Energy for people: joules below 360 J, else watt-hours."""
    for name, size in (("MWh", 3.6e9), ("kWh", 3.6e6), ("Wh", 3.6e3)):
        if value >= size * (0.1 if name == "Wh" else 1):
            return f"{value / size:.2g} {name}" if value < size else f"{value / size:.1f} {name}"
    return f"{value:.0f} J" if value >= 10 else f"{value:.1f} J"


def _read(text: str, table: dict[str, float], what: str, example: str) -> float:
    match = _NUMBER.match(text)
    unit = match[2].lower() if match else ""
    factor = table.get(unit, table.get(unit.removesuffix("s")))
    if match is None or factor is None:
        raise UserError(f"'{text}' is not {what}", why="a number and a unit are needed", next=f"write {example}")
    return float(match[1]) * factor
