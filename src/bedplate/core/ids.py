"""Identifiers: sortable by time, made from a given time and given randomness.

`r-0mf3k9s2-7q4d`: a letter for what it names (r run, a attempt, p prediction), eight base-32 digits of
milliseconds, then random digits. Sorting ids sorts by creation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")


def base32(number: int, width: int) -> str:
    """`number` in Crockford's base 32, at least `width` digits."""
    digits = ""
    while number:
        number, rest = divmod(number, 32)
        digits = _DIGITS[rest] + digits
    return digits.rjust(width, "0")


def new_id(letter: str, at: datetime, random_bits: Callable[[int], int]) -> str:
    """A new identifier; `random_bits(n)` returns n random bits (`random.SystemRandom().getrandbits`)."""
    ms, chance = int(at.timestamp() * 1000), random_bits(30)
    time = f"{_DIGITS[ms >> 40]}{_PAIRS[ms >> 30 & 1023]}{_PAIRS[ms >> 20 & 1023]}{_PAIRS[ms >> 10 & 1023]}{_PAIRS[ms & 1023]}"
    return f"{letter}-{time}-{_PAIRS[chance >> 20]}{_PAIRS[chance >> 10 & 1023]}{_PAIRS[chance & 1023]}"
