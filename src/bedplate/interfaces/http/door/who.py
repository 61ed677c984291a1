"""Who asks: a token, a name with a password, or a session's cookie, recognised anew in the transaction of each request.

`Authorization: Bearer TOKEN`; `Basic NAME:PASSWORD`, where a token may stand in the place of the password; or the cookie of a session, and
then what changes something must carry the session's own text in X-CSRF-Token. Nothing else gives an identity: no forwarded header, no
address. A password takes some 50 ms to check: that it was right is remembered for five minutes, by a keyed digest, beside the very hash
that it fitted, so that a changed one counts no more at once. Every refusal is the same 401. The cookie's name is the server's own: browsers
tell ports of one host apart in no other way. Limits: an account with a second factor comes in by a token or a session, not by Basic.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from bedplate.catalog.catalog import Catalog
from bedplate.security import tokens
from bedplate.security.decide import Actor

from .checking import Checks
from .endpoint import Fault

Value = TypeVar("Value")

CSRF_HEADER: Final = b"x-csrf-token"
_MOST: Final = 1024
_LONGEST: Final = 1024
_REMEMBERED: Final = timedelta(minutes=5)
_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="bedplate"'),)


class Unsure(Exception):
    """Only a slow check can tell whether it is the right password."""


def unknown() -> Fault:
    """Nobody whom this server knows."""
    return Fault(
        "UNAUTHENTICATED",
        "this server needs a token that counts: send Authorization: Bearer TOKEN (MLflow's clients: set MLFLOW_TRACKING_TOKEN); "
        "in a browser, log in at /login",
        headers=_CHALLENGE,
    )


class _Fitted(NamedTuple):
    kept: str
    until: datetime


class Who:
    """Recognises who asks; `key` is random, and this state's own."""

    def __init__(self, key: bytes, checks: Checks) -> None:
        self.cookie = f"bedplate_{hashlib.sha256(b'cookie' + key).hexdigest()[:8]}"
        self._key = key
        self._checks = checks
        self._right: OrderedDict[str, _Fitted] = OrderedDict()
        self._met: OrderedDict[str, None] = OrderedDict()

    def has_met(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether these credentials were good lately: then a body is read before they are looked up (again)."""
        return self._mark(headers) in self._met

    def meet(self, catalog: Catalog, headers: Mapping[bytes, bytes], now: datetime, peer: str) -> None:
        """See who it is, in a thread that may take its time, and remember that these credentials are good. Raises as `recognise`."""
        self.recognise(catalog, headers, now, writes=False, slow=True, peer=peer)
        _remember(self._met, self._mark(headers), None)

    def proves(self, catalog: Catalog, name: str, password: str, now: datetime, peer: str) -> bool:
        """Whether that is the password of a name; takes some 50 ms. Raises Fault 429 for who guessed too often."""
        if self._checks.check(catalog, name, password, peer, now) is None:
            return False
        self._checks.right(name, peer)
        return True

    def recognise(
        self, catalog: Catalog, headers: Mapping[bytes, bytes], now: datetime, *, writes: bool, slow: bool, peer: str = ""
    ) -> Actor:
        """Who it is; `peer` is the address that asks.

        Raises Fault 401 for nobody, 403 for a session's change without its text, 429 for who guessed too often, Unsure where it takes a
        slow check.
        """
        said = headers.get(b"authorization")
        if said is None:
            actor = self._in_session(catalog, headers, now, writes)
        else:
            actor = self._authorised(catalog, said, now, peer if slow else None)
        if actor is None:
            raise unknown()
        return actor

    def _authorised(self, catalog: Catalog, said: bytes, now: datetime, peer: str | None) -> Actor | None:
        scheme, _, rest = said.partition(b" ")
        if len(rest) > _LONGEST:
            return None
        if scheme.lower() == b"bearer":
            return self._by_text(catalog, rest.strip().decode("latin-1"), now)
        if scheme.lower() != b"basic":
            return None
        name, password = _pair(rest)
        if tokens.read(password) is not None:
            actor = self._by_text(catalog, password, now)
            return actor if actor is not None and hmac.compare_digest(actor.name.encode(), name.encode()) else None
        return self._by_password(catalog, name, password, now, peer)

    @staticmethod
    def _by_text(catalog: Catalog, text: str, now: datetime) -> Actor | None:
        """Whose token or session's key it is; anything of another form is nobody's, and is not looked up."""
        presented = tokens.read(text)
        if presented is None:
            return None
        if presented.kind == "token":
            return catalog.credentials.of_token(presented, now)
        session = catalog.credentials.of_session(presented, now)
        return None if session is None else session.actor

    def _by_password(self, catalog: Catalog, name: str, password: str, now: datetime, peer: str | None) -> Actor | None:
        mark = tokens.mark(self._key, name, password)
        account = catalog.accounts.find(name)
        kept = account.password if account is not None and account.active else ""
        right = self._right.get(mark)
        if right is None or now > right.until or not kept or not hmac.compare_digest(right.kept.encode(), kept.encode()):
            if peer is None:
                raise Unsure
            account = self._checks.check(catalog, name, password, peer, now)
            if account is None or account.totp:
                return None
            self._checks.right(name, peer)
            _remember(self._right, mark, _Fitted(account.password, now + _REMEMBERED))
        if account is None or account.totp:
            return None
        return Actor(name=name, is_admin=account.is_admin, how="password")

    def csrf(self, catalog: Catalog, headers: Mapping[bytes, bytes], now: datetime) -> str:
        """The text of the session of this cookie; empty where it counts for nothing, or where somebody comes by other means."""
        if b"authorization" in headers:
            return ""
        presented = tokens.read(cookie(headers, self.cookie))
        session = catalog.credentials.of_session(presented, now) if presented and presented.kind == "session" else None
        return "" if session is None else session.csrf

    def _in_session(self, catalog: Catalog, headers: Mapping[bytes, bytes], now: datetime, writes: bool) -> Actor | None:
        presented = tokens.read(cookie(headers, self.cookie))
        session = catalog.credentials.of_session(presented, now) if presented and presented.kind == "session" else None
        if presented is None or session is None:
            return None
        if writes and not hmac.compare_digest(headers.get(CSRF_HEADER, b""), session.csrf.encode()):
            raise Fault("PERMISSION_DENIED", "what changes something from a page must carry the page's own X-CSRF-Token")
        if session.stale:
            catalog.credentials.note_seen(presented.digest, now)
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
