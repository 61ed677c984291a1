"""Who asks: a token, a name with a password, or a session's cookie, recognised anew in the transaction of each request.

`Authorization: Bearer TOKEN`; `Basic NAME:PASSWORD`, where a token may stand in the place of the password; or the cookie of a session, and
then what changes something must carry the session's own text in X-CSRF-Token. Nothing else gives an identity: no forwarded header, no
address. A password takes some 50 ms to check: that it was right is remembered, by a keyed digest, while the account's hash stays the same.
Every refusal is the same 401.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar

from bedplate.catalog.catalog import Catalog
from bedplate.security import passwords, tokens
from bedplate.security.decide import Actor

from .endpoint import Fault

Value = TypeVar("Value")

COOKIE: Final = "bedplate_session"
CSRF_HEADER: Final = b"x-csrf-token"
_MOST: Final = 1024
_LONGEST: Final = 1024
_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="bedplate"'),)


class Unsure(Exception):
    """Only a slow check can tell whether it is the right password."""


def unknown() -> Fault:
    """Nobody whom this server knows."""
    return Fault("UNAUTHENTICATED", "this server needs a token: set MLFLOW_TRACKING_TOKEN", headers=_CHALLENGE)


class Who:
    """Recognises who asks; `key` is random, and this server's own."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._right: OrderedDict[str, str] = OrderedDict()
        self._met: OrderedDict[str, None] = OrderedDict()

    def has_met(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether these credentials were good lately: then a body is read before they are looked up (again)."""
        return self._mark(headers) in self._met

    def recognise(self, catalog: Catalog, headers: Mapping[bytes, bytes], now: datetime, *, writes: bool, slow: bool) -> Actor:
        """Who it is. Raises Fault 401 for nobody, 403 for a session's change without its text, Unsure where it takes a slow check."""
        said = headers.get(b"authorization")
        actor = self._in_session(catalog, headers, now, writes) if said is None else self._authorised(catalog, said, now, slow)
        if actor is None:
            raise unknown()
        _remember(self._met, self._mark(headers), None)
        return actor

    def _authorised(self, catalog: Catalog, said: bytes, now: datetime, slow: bool) -> Actor | None:
        scheme, _, rest = said.partition(b" ")
        if len(rest) > _LONGEST:
            return None
        if scheme.lower() == b"bearer":
            presented = tokens.read(rest.strip().decode("latin-1"))
            return catalog.credentials.of_token(presented, now) if presented and presented.kind == "token" else None
        if scheme.lower() != b"basic":
            return None
        name, password = _pair(rest)
        presented = tokens.read(password)
        if presented is not None and presented.kind == "token":
            actor = catalog.credentials.of_token(presented, now)
            return actor if actor is not None and hmac.compare_digest(actor.name.encode(), name.encode()) else None
        return self._by_password(catalog, name, password, slow)

    def _by_password(self, catalog: Catalog, name: str, password: str, slow: bool) -> Actor | None:
        account = catalog.accounts.find(name)
        kept = account.password if account is not None and account.active and not account.totp else ""
        mark = tokens.mark(self._key, name, password)
        right = self._right.get(mark)
        if not kept or right is None or not hmac.compare_digest(right.encode(), kept.encode()):
            if not slow:
                raise Unsure
            if not passwords.is_password(password, kept) or not kept:
                return None
            _remember(self._right, mark, kept)
        return Actor(name=name, is_admin=account is not None and account.is_admin, how="password")

    @staticmethod
    def _in_session(catalog: Catalog, headers: Mapping[bytes, bytes], now: datetime, writes: bool) -> Actor | None:
        key = cookie(headers, COOKIE)
        presented = tokens.read(key) if key else None
        session = catalog.credentials.of_session(presented, now) if presented and presented.kind == "session" else None
        if session is None:
            return None
        if writes and not hmac.compare_digest(headers.get(CSRF_HEADER, b""), session.csrf.encode()):
            raise Fault("PERMISSION_DENIED", "what changes something from a page must carry the page's own X-CSRF-Token")
        return session.actor

    def _mark(self, headers: Mapping[bytes, bytes]) -> str:
        said = headers.get(b"authorization", b"") + b"\0" + headers.get(b"cookie", b"")
        return hmac.digest(self._key, said, "sha256").hex()


def cookie(headers: Mapping[bytes, bytes], name: str) -> str:
    """A cookie of the request, empty where there is none or more than one."""
    pairs = (one.strip().partition("=") for one in headers.get(b"cookie", b"").decode("latin-1").split(";"))
    found = [value for said, _, value in pairs if said == name]
    return found[0] if len(found) == 1 else ""


def _pair(rest: bytes) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def _remember(memory: OrderedDict[str, Value], key: str, value: Value) -> None:
    memory[key] = value
    if len(memory) > _MOST:
        memory.popitem(last=False)
