"""Tokens and session keys: opaque, made of 256 random bits, kept only as a digest.

`bpt_<id>_<secret>` is a token, `bps_<id>_<secret>` a session's key: the id is public and finds the row, the secret is 32 bytes.
What is kept is the SHA-256 of the whole text: 256 random bits need no slow hash, and a reader of the record can make nothing of it.
Compared in constant time. A text of another form is refused before anything is looked up: no JWT, no key id, nothing to parse.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final, Literal

from bedplate.core.records import Record

TokenKind = Literal["token", "session"]
_PREFIX: Final[dict[TokenKind, str]] = {"token": "bpt", "session": "bps"}
_FORM: Final = re.compile(r"(bpt|bps)_([0-9a-f]{16})_([A-Za-z0-9_-]{43})\Z")
_NOBODYS: Final = hashlib.sha256(b"nobody's").hexdigest()


class Minted(Record, frozen=True):
    """A new credential: its text (shown once), its public id, and the digest that is kept."""

    text: str
    id: str
    digest: str


class Presented(Record, frozen=True):
    """A credential as it came: of the right form, not yet known to be anyone's."""

    kind: TokenKind
    id: str
    digest: str


def mint(kind: TokenKind, random_bits: Callable[[int], int]) -> Minted:
    """A new token or session key; `random_bits(n)` gives n random bits from the system."""
    id = f"{random_bits(64):016x}"
    secret = base64.urlsafe_b64encode(random_bits(256).to_bytes(32, "big")).decode().rstrip("=")
    text = f"{_PREFIX[kind]}_{id}_{secret}"
    return Minted(text=text, id=id, digest=digest_of(text))


def read(text: str) -> Presented | None:
    """A credential from its text; None where it has not the form of one."""
    found = _FORM.match(text)
    if found is None:
        return None
    return Presented(kind="token" if found[1] == "bpt" else "session", id=found[2], digest=digest_of(text))


def digest_of(text: str) -> str:
    """What is kept of a credential."""
    return hashlib.sha256(text.encode()).hexdigest()


def matches(presented: Presented, kept: str | None) -> bool:
    """Whether a credential is the one of which `kept` is the digest; as long for one that nobody has (None)."""
    same = hmac.compare_digest(presented.digest, kept or _NOBODYS)
    return same and kept is not None


def mark(key: bytes, *parts: str) -> str:
    """A keyed digest of texts, to bind one to another (a form to a browser, a password to the memory of its check)."""
    said = b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in parts)
    return hmac.new(key, said, hashlib.sha256).hexdigest()
