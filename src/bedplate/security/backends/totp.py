"""One-time codes (RFC 6238), by pyotp: six digits, thirty seconds, one period before and after for clocks that differ."""

from __future__ import annotations

import hmac
from typing import Final

import pyotp

PERIOD_S: Final = 30


def address(secret: str, account: str) -> str:
    """The `otpauth://` address that an authenticator app reads."""
    return pyotp.TOTP(secret, name=account, issuer="bedplate").provisioning_uri()


def counter_of(secret: str, code: str, at_s: int) -> int | None:
    """The period that a code is of, now or one beside it; None where it is of none. Who uses it keeps it: a code counts once."""
    made, now = pyotp.TOTP(secret), at_s // PERIOD_S
    found = [counter for counter in (now - 1, now, now + 1) if hmac.compare_digest(made.generate_otp(counter).encode(), code.encode())]
    return found[-1] if found else None
