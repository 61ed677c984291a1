"""Checks of passwords: as long for a name that nobody has, few at once, and slower for who guesses.

Who fails five times from one address waits before the next try, twice as long each time, up to a minute; others, and who is remembered or
has a token, are not held up. A hash that was made with weaker parameters is made anew when its password comes by.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from bedplate.catalog.accounts import Account
from bedplate.catalog.catalog import Catalog
from bedplate.security import passwords

from .endpoint import Fault
from .throttle import Throttle

AT_ONCE: Final = 2
"""Each check takes 19 MiB and a processor."""
_FREE_TRIES: Final = 5
_LONGEST_NAME: Final = 300


class Checks:
    """Checks passwords of accounts; `random_bits(n)` gives n random bits."""

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self._random_bits = random_bits
        self._throttle = Throttle(_FREE_TRIES)
        self._few = threading.BoundedSemaphore(AT_ONCE)

    def check(self, catalog: Catalog, name: str, password: str, peer: str, now: datetime) -> Account | None:
        """The account of that name where the password is right; None else, after as long. Raises Fault 429 for too many guesses.

        Call `right` once all else that was asked (a second factor) was right too.
        """
        account = catalog.accounts.find(name)
        kept = account.password if account is not None and account.active else ""
        with self._few:
            wait = self._throttle.begin(_key(name, peer), now.timestamp())
            if wait > 0:
                raise Fault("RESOURCE_EXHAUSTED", "too many wrong passwords: wait", headers=((b"retry-after", b"%d" % (int(wait) + 1)),))
            fits = passwords.is_password(password[: passwords.LONGEST + 1], kept)
        if not fits or account is None:
            return None
        if passwords.is_outdated(kept):
            catalog.accounts.rehash(name, self.hashed(password), now)
        return account

    def right(self, name: str, peer: str) -> None:
        """All that was asked was right: nothing is held against that name from there."""
        self._throttle.right(_key(name, peer))

    def hashed(self, password: str) -> str:
        """How a password is kept."""
        with self._few:
            return passwords.hashed(password, self._random_bits(128).to_bytes(16, "big"))


def _key(name: str, peer: str) -> str:
    """Whose guesses are counted together. No account has so long a name; ten thousand of them would be kept."""
    return f"{name[:_LONGEST_NAME]}\0{peer}"
