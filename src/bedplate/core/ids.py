"""Identifiers: sortable by time, made from a given time and given randomness.

`r-0mf3k9s2-7q4d`: a letter for what it names (r run, a attempt, p prediction), eight base-32 digits of
milliseconds, then random digits. Sorting ids sorts by creation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_OF_BYTES = bytes(ord(_DIGITS[byte & 31]) for byte in range(256))
_ENDING = 6
NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")


def of_30_bits(number: int) -> str:
    """A number of at most 30 bits as six digits."""
    return f"{_PAIRS[number >> 20]}{_PAIRS[number >> 10 & 1023]}{_PAIRS[number & 1023]}"


def new_id(letter: str, at: datetime, random_bits: Callable[[int], int]) -> str:
    """A new identifier; `random_bits(n)` returns n random bits (`random.SystemRandom().getrandbits`)."""
    return ended(letter, at, of_30_bits(random_bits(30)))


def ended(letter: str, at: datetime, ending: str) -> str:
    """An identifier with the random digits `ending`."""
    return f"{letter}-{_of_ms(int(at.timestamp() * 1000))}-{ending}"


def endings(count: int, random_bits: Callable[[int], int]) -> list[str]:
    """The random digits of so many identifiers, drawn at once: each draw asks the machine."""
    length = count * _ENDING
    drawn = random_bits(8 * length).to_bytes(length, "big").translate(_OF_BYTES).decode()
    return [drawn[at : at + _ENDING] for at in range(0, length, _ENDING)]


@lru_cache(maxsize=8)
def _of_ms(ms: int) -> str:
    """A time as nine digits; a busy server asks for the same millisecond again and again."""
    return f"{_DIGITS[ms >> 40]}{_PAIRS[ms >> 30 & 1023]}{_PAIRS[ms >> 20 & 1023]}{_PAIRS[ms >> 10 & 1023]}{_PAIRS[ms & 1023]}"
