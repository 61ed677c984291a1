"""Whether a provider's token of identity (OpenID Connect) says who somebody is; and what an attempt to log in there is bound to.

The algorithms are pinned (never `none`, never a shared secret); issuer, audience, expiry, time of issue and nonce must be there and right.
A login is bound to the browser that began it by `state`, to its token by `nonce`, to its code by PKCE (S256).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from bedplate.core.errors import Refused
from bedplate.core.extras import load
from bedplate.core.records import Record


class Attempt(Record, frozen=True):
    """A login that was begun at a provider; kept sealed with the browser until it comes back. `until_s` is when it is given up."""

    state: str
    nonce: str
    verifier: str
    redirect: str
    next: str
    until_s: int


class Provider(Record, frozen=True):
    """A provider as it describes itself: where browsers are sent, where codes are exchanged, where its keys are."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class Identity(Record, frozen=True):
    """Who the provider says it is: `subject` is the issuer and its own id for them, `name` what they may be called."""

    subject: str
    name: str = ""


def begin(redirect: str, next: str, now_s: int, random_bits: Callable[[int], int], lasts_s: int = 600) -> Attempt:
    """A new attempt, of fresh random texts."""
    state, nonce, verifier = (_text(random_bits(256)) for _ in range(3))
    return Attempt(state=state, nonce=nonce, verifier=verifier, redirect=redirect, next=next, until_s=now_s + lasts_s)


def asked_of(client: str, attempt: Attempt) -> dict[str, str]:
    """What the browser asks at the provider's authorization endpoint."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).decode().rstrip("=")
    return {
        "response_type": "code", "client_id": client, "redirect_uri": attempt.redirect, "scope": "openid profile email",
        "state": attempt.state, "nonce": attempt.nonce, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip


def identified(token: str, keys: Mapping[str, Any], provider: Provider, client: str, attempt: Attempt, now_s: int) -> Identity:
    """Who a token of identity speaks of. Raises Refused where anything about it is not right."""
    try:
        backend = load("bedplate.security.backends.identity", "login with OpenID Connect", "oidc")
        claims = backend.claims(token, keys, issuer=provider.issuer, client=client, nonce=attempt.nonce, now_s=now_s)
    except ValueError as error:
        raise Refused("the provider's token is not taken", why=str(error), next="log in again") from None
    name = next((str(claims[key]) for key in ("preferred_username", "email", "name") if claims.get(key)), "")
    return Identity(subject=f"{provider.issuer}#{claims['sub']}", name=name)


def _text(bits: int) -> str:
    return base64.urlsafe_b64encode(bits.to_bytes(32, "big")).decode().rstrip("=")
