"""Passwords: which are good enough, how they are kept (argon2id), and names of accounts.

A good one has 12 to 256 characters, does not hold the account's name, and is not easily guessed: 3 of 4 by zxcvbn, which knows common
passwords, names, keyboard rows and dates. There is no default password, and an account without one cannot log in with any.
"""

from __future__ import annotations

import importlib
import re
from typing import Any, Final

from bedplate.core.errors import UserError

SHORTEST: Final = 12
LONGEST: Final = 256
STRONG: Final = 3
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}\Z")


def check_name(name: str) -> None:
    """Raise UserError for what cannot be an account's name."""
    if not _NAME.match(name):
        raise UserError(
            f"{name!r} cannot be an account's name",
            why="letters, digits and . _ @ + - are taken, 128 at most, the first a letter or digit",
            next="choose another name",
        )


def check_password(password: str, name: str) -> None:
    """Raise UserError for a password that is not good enough for that account; the message does not repeat it."""
    problem = _problem(password, name)
    if problem:
        raise UserError(
            "the password is not good enough",
            why=problem,
            next=f"take {SHORTEST} characters or more that nobody would guess: four words drawn by dice will do",
        )


def _problem(password: str, name: str) -> str:
    if len(password) < SHORTEST:
        return f"it has fewer than {SHORTEST} characters"
    if len(password) > LONGEST:
        return f"it has more than {LONGEST} characters"
    if not password.isprintable():
        return "it has characters that cannot be printed"
    if len(name) > 3 and name.casefold() in password.casefold():
        return "it holds the account's name"
    score, why = _backend("strength").strength(password, name)
    return "" if score >= STRONG else (why or "it is easily guessed")


def hashed(password: str, salt: bytes) -> str:
    """How a password is kept; `salt` is 16 random bytes. Takes some 50 ms of a processor and 19 MiB."""
    kept: str = _backend("argon").hashed(password.encode(), salt)
    return kept


def is_password(password: str, kept: str) -> bool:
    """Whether `kept` is of this password. Where nothing is kept it takes as long, and the answer is no."""
    same: bool = _backend("argon").verified(password.encode(), kept)
    return same


def is_outdated(kept: str) -> bool:
    """Whether a kept password was made with weaker parameters than today's, and should be kept anew at the next login."""
    outdated: bool = _backend("argon").outdated(kept)
    return outdated


def _backend(module: str) -> Any:
    return importlib.import_module(f"bedplate.security.backends.{module}")
