"""The second factor: one-time codes, sealed in the record under the server's key, each good for one login."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from bedplate.catalog.accounts import Account
from bedplate.catalog.catalog import Catalog
from bedplate.core.records import Record

_SECRET_BITS: Final = 160


class Begun(Record, frozen=True):
    """A second factor that is not proved yet: the secret, the address that an authenticator app reads, and that as a QR code (an SVG)."""

    secret: str
    address: str
    drawing: str


def begin(account: str, random_bits: Callable[[int], int]) -> Begun:
    """A new secret for an account; nothing is kept yet."""
    secret = base64.b32encode(random_bits(_SECRET_BITS).to_bytes(_SECRET_BITS // 8, "big")).decode()
    address = _backend("totp").address(secret, account)
    return Begun(secret=secret, address=address, drawing=_backend("qr").drawing(address))


def proved(secret: str, code: str, now: datetime) -> int | None:
    """The period of a code that proves the secret; None where it does not."""
    counter: int | None = _backend("totp").counter_of(secret, code, int(now.timestamp()))
    return counter


def sealed(key: bytes, account: str, secret: str, random_bits: Callable[[int], int]) -> str:
    """How the secret is kept: sealed, and bound to the account."""
    kept: str = _backend("sealing").sealed(key, random_bits(96).to_bytes(12, "big"), secret, f"totp {account}")
    return kept


def counter_of(key: bytes, account: Account, code: str, now: datetime) -> int | None:
    """The period of a code of that account; None where it is of none, or the server's key is another than it was sealed with."""
    secret = _backend("sealing").opened(key, account.totp, f"totp {account.name}")
    return None if secret is None else proved(secret, code, now)


def use(catalog: Catalog, key: bytes, account: Account, code: str, now: datetime) -> bool:
    """Use a code: within the transaction of the login. False where it is wrong, or was used before."""
    counter = counter_of(key, account, code, now)
    return counter is not None and catalog.accounts.use_totp(account.name, counter)


def _backend(module: str) -> Any:
    return importlib.import_module(f"bedplate.security.backends.{module}")
