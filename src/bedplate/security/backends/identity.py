"""Tokens of identity, read by joserfc: signature by a key of the provider, algorithm by a list, claims by what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

_ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
_LEEWAY_S: Final = 60


def claims(token: str, keys: Mapping[str, Any], *, issuer: str, client: str, nonce: str, now_s: int) -> dict[str, Any]:
    """The claims of a token; `keys` is the provider's set (JWKS). Raises ValueError, saying what is not right."""
    try:
        read = jwt.decode(token, KeySet.import_key_set({"keys": list(keys.get("keys", []))}), algorithms=_ALGORITHMS)
        jwt.JWTClaimsRegistry(
            now=now_s,
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": client},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(read.claims)
    except JoseError as error:
        raise ValueError(str(error)) from None
    if read.claims.get("azp", client) != client:
        raise ValueError("it was made for another client")
    return dict(read.claims)
