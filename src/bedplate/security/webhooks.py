"""How what is sent to a webhook is signed, and when it is tried again. Pure.

A signature is over `ID.TIME.BODY` with HMAC-SHA256 under the webhook's secret, as the protocol of trackers and Standard Webhooks have it;
the first calls its headers X-MLflow-..., the second webhook-.... A secret `whsec_...` is the base64 of its bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

PAUSES_S: Final = (5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200)
"""After each try that failed, how long until the next; after the last it is given up: about a day."""
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_BASE64: Final = "whsec_"


def headers(event: str, delivery: str, at_s: int, body: str, secret: str) -> dict[str, str]:
    """The headers of a delivery; `event` in capitals is one of the protocol of trackers, any other a CloudEvent."""
    is_theirs = event == event.upper()
    names = ("X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature") if is_theirs else _STANDARD
    media_type = "application/json" if is_theirs else "application/cloudevents+json; charset=utf-8"
    found = {"Content-Type": media_type, names[0]: delivery, names[1]: str(at_s)}
    return {**found, names[2]: signature(secret, delivery, at_s, body)} if secret else found


_STANDARD: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


def signature(secret: str, delivery: str, at_s: int, body: str) -> str:
    """`v1,` and the signature in base64."""
    digest = hmac.new(_key(secret), f"{delivery}.{at_s}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def again_in(tries: int, status: int | None, spread: float) -> float | None:
    """Seconds until the next try of what was tried `tries` times, None to give up.

    `status` is the answer's, None where there was none; `spread` in [0, 1) moves each pause by up to a fifth, so that not all come at once.
    """
    if (status is not None and status not in _AGAIN) or tries > len(PAUSES_S):
        return None
    return PAUSES_S[tries - 1] * (1 + spread / 5)


def _key(secret: str) -> bytes:
    if secret.startswith(_BASE64):
        try:
            return base64.b64decode(secret.removeprefix(_BASE64), validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()
