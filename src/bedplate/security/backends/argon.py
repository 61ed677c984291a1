"""argon2id, by argon2-cffi: 19 MiB, two passes, one lane (OWASP's least), the salt given."""

from __future__ import annotations

import functools
from typing import Final

from argon2 import Parameters, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import hash_secret, verify_secret

_COST: Final = Parameters(type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=2, memory_cost=19_456, parallelism=1)


def hashed(password: bytes, salt: bytes) -> str:
    """The hash in the PHC form, its parameters and salt in it."""
    return hash_secret(
        password, salt, time_cost=_COST.time_cost, memory_cost=_COST.memory_cost, parallelism=_COST.parallelism,
        hash_len=_COST.hash_len, type=_COST.type, version=_COST.version,
    ).decode()  # fmt: skip


def verified(password: bytes, kept: str) -> bool:
    """Whether `kept` is the hash of this password; for none (an account that is not there) False, after as long."""
    try:
        same = verify_secret((kept or _nobody()).encode(), password, Type.ID)
    except (VerificationError, InvalidHashError):
        return False
    return same and bool(kept)


def outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return extract_parameters(kept) != _COST


@functools.cache
def _nobody() -> str:
    return hashed(b"nobody", bytes(16))
