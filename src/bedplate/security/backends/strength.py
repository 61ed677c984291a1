"""How easily a password is guessed, by zxcvbn: 0 (at once) to 4 (hardly), and why. Only the first 72 characters are looked at."""

from __future__ import annotations

import importlib
from typing import Final

_ZXCVBN: Final = importlib.import_module("zxcvbn").zxcvbn
_MOST: Final = 72
"""zxcvbn takes quadratic time, and refuses more."""


def strength(password: str, *known: str) -> tuple[int, str]:
    """The score, and what is weak about it (may be empty); `known` are words that an attacker tries first."""
    found = _ZXCVBN(password[:_MOST], user_inputs=["bedplate", *known])
    return int(found["score"]), str(found["feedback"]["warning"]).lower().rstrip(".")
