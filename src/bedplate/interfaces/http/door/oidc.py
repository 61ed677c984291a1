"""Login at a provider of identity (OpenID Connect): authorization code with PKCE, bound to the browser that began it.

What was begun travels sealed in a cookie of the browser, so that any server with the same key can end it; a state counts once on each.
The provider is asked through the one guarded client, and its keys are asked for again where a token names one that is not known, once a
minute at most. A subject is linked to an account by an admin; with `oidc_accounts = any` the first login makes an account of a free name.
"""

from __future__ import annotations

import base64
import hmac
import importlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.config import NONE, Config
from bedplate.core.errors import Refused, UserError, WorldError
from bedplate.core.extras import load
from bedplate.core.records import Record
from bedplate.network.guard import networks
from bedplate.security.identity import Attempt, Identity, Provider, asked_of, identified

from .endpoint import Fault

BACK: Final = "/login/oidc/back"
_MOST_BYTES: Final = 1 << 20
_TIME_S: Final = 10.0
_KNOWN_S: Final = 3600.0
_AGAIN_S: Final = 60.0
_MOST_USED: Final = 10_000
_BOUND: Final = "login with OpenID Connect"
_attempts = msgspec.json.Decoder(Attempt)
Told = TypeVar("Told", bound=msgspec.Struct)


class Settings(Record, frozen=True):
    """Which provider, as whom (`secret` empty: a public client), and whether a first login makes an account."""

    issuer: str
    client: str
    secret: str = ""
    makes_accounts: bool = False


class Asks(Protocol):
    """The guarded client, as far as it is needed here."""

    def ask(
        self, method: str, url: str, limits: Any, token: str = "", *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Any]:
        """An answer with status and body in pieces."""
        ...


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class Oidc:
    """One provider. `client` is the guarded client; `limits(bytes, seconds)` makes what it takes for an answer."""

    def __init__(self, settings: Settings, client: Asks, limits: Any, key: bytes) -> None:
        self.settings = settings
        self._client = client
        self._limits = limits(size_bytes=_MOST_BYTES, time_s=_TIME_S)
        self._key = key
        self._lock = threading.Lock()
        self._provider: tuple[float, Provider] | None = None
        self._keys: tuple[float, _Keys] | None = None
        self._used: OrderedDict[str, None] = OrderedDict()

    def address(self, attempt: Attempt, now_s: int) -> str:
        """Where the browser is sent. Raises WorldError where the provider cannot be asked, Refused for one that is another."""
        place = self._discovered(now_s).authorization_endpoint
        return f"{place}{'&' if '?' in place else '?'}{urlencode(asked_of(self.settings.client, attempt))}"

    def sealed(self, attempt: Attempt, nonce: bytes) -> str:
        """An attempt as the browser keeps it."""
        kept: str = _sealing().sealed(self._key, nonce, msgspec.json.encode(attempt).decode(), _BOUND)
        return kept

    def back(self, kept: str, query: Mapping[str, list[str]], now: datetime) -> tuple[Attempt, Identity]:
        """Who came back, and from which attempt. Raises Fault 400 or 401 for one that was not begun here, or is not right."""
        now_s = int(now.timestamp())
        attempt = self._attempt(kept, query, now_s)
        provider = self._discovered(now_s)
        issuer = _single(query, "iss") if "iss" in query else provider.issuer
        if issuer != provider.issuer:
            raise _refused("the answer is another provider's")
        token = self._exchanged(provider, _single(query, "code"), attempt)
        try:
            return attempt, self._identified(token, provider, attempt, now_s)
        except Refused as error:
            raise Fault("UNAUTHENTICATED", f"{error.what}: {error.why}") from None

    def _attempt(self, kept: str, query: Mapping[str, list[str]], now_s: int) -> Attempt:
        text = _sealing().opened(self._key, kept, _BOUND)
        if text is None:
            raise _refused("no login was begun in this browser")
        attempt = _attempts.decode(text)
        state = _single(query, "state")
        if not hmac.compare_digest(state.encode(), attempt.state.encode()):
            raise _refused("the login that came back is not the one that was begun")
        if now_s > attempt.until_s:
            raise _refused("the login took too long")
        with self._lock:
            if attempt.state in self._used:
                raise _refused("this login came back before")
            self._used[attempt.state] = None
            if len(self._used) > _MOST_USED:
                self._used.popitem(last=False)
        if "error" in query:
            raise Fault("UNAUTHENTICATED", "the provider let nobody in")
        return attempt

    def _identified(self, token: str, provider: Provider, attempt: Attempt, now_s: int) -> Identity:
        known = self._keys
        keys = self._fetched_keys(provider, now_s) if known is None or now_s - known[0] > _KNOWN_S else known[1]
        try:
            return identified(token, {"keys": keys.keys}, provider, self.settings.client, attempt, now_s)
        except Refused:
            if self._keys is None or now_s - self._keys[0] < _AGAIN_S:
                raise
        keys = self._fetched_keys(provider, now_s)
        return identified(token, {"keys": keys.keys}, provider, self.settings.client, attempt, now_s)

    def _discovered(self, now_s: int) -> Provider:
        known = self._provider
        if known is not None and now_s - known[0] < _KNOWN_S:
            return known[1]
        found = self._asked("GET", f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration", Provider)
        if found.issuer != self.settings.issuer:
            raise Refused(f"{self.settings.issuer} calls itself {found.issuer}", next="set oidc_issuer to what it calls itself")
        self._provider = (now_s, found)
        return found

    def _fetched_keys(self, provider: Provider, now_s: int) -> _Keys:
        keys = self._asked("GET", provider.jwks_uri, _Keys)
        self._keys = (now_s, keys)
        return keys

    def _exchanged(self, provider: Provider, code: str, attempt: Attempt) -> str:
        """The token of identity for a code. Raises Fault 401 where the provider gives none."""
        sent = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": attempt.redirect,
            "client_id": self.settings.client, "code_verifier": attempt.verifier,
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self.settings.secret:
            pair = f"{quote(self.settings.client, safe='')}:{quote(self.settings.secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            return self._asked("POST", provider.token_endpoint, _Tokens, urlencode(sent).encode(), headers).id_token
        except UserError:
            raise Fault("UNAUTHENTICATED", "the provider does not know this login") from None

    def _asked(self, method: str, url: str, kind: type[Told], body: bytes = b"", headers: Mapping[str, str] | None = None) -> Told:
        with self._client.ask(method, url, self._limits, body=body, headers=headers) as answer:
            said = b"".join(answer.body)
            if 400 <= answer.status < 500:
                raise UserError(f"the provider answered {answer.status}")
            if answer.status != 200:
                raise WorldError(f"the provider answered {answer.status}", why=url)
        try:
            return msgspec.json.decode(said, type=kind)
        except msgspec.DecodeError as error:
            raise WorldError("the provider's answer cannot be read", why=f"{error} ({url})") from None


def _single(query: Mapping[str, list[str]], name: str) -> str:
    found = query.get(name, [])
    if len(found) != 1 or not found[0]:
        raise _refused(f"the answer must have one {name}")
    return found[0]


def _refused(what: str) -> Fault:
    return Fault("BAD_REQUEST", f"{what}: log in again")


def _sealing() -> Any:
    return importlib.import_module("bedplate.security.backends.sealing")


def provider_of(config: Config, clock: Clock, key: bytes) -> Oidc | None:
    """The provider that the settings name; None where they name none. Raises UserError where they do not fit together."""
    issuer, client = config["oidc_issuer"], config["oidc_client"]
    if issuer == NONE:
        return None
    if client == NONE:
        raise UserError("oidc_issuer is set, and oidc_client is not", why="the provider asks who wants to know", next="set oidc_client")
    module = load("bedplate.network.backends.client", _BOUND, "oidc")
    secret = "" if config["oidc_secret"] == NONE else config["oidc_secret"]
    settings = Settings(issuer=issuer, client=client, secret=secret, makes_accounts=config["oidc_accounts"] == "any")
    return Oidc(settings, module.Client(clock, networks(config["allow_networks"])), module.Limits, key)
