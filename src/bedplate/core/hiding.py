"""Hiding secrets: what a step printed or raised, without the secrets that it was given.

A secret is found as it is, as `repr` and JSON write it, percent-encoded, and in base64 (both alphabets, encoded by itself), also where
it arrives in pieces. `****` stands in its place. Limits: a secret of fewer than four characters is left, as it would blot out ordinary
text; so is one that was changed in any other way (reversed, cut, encoded together with other text), and results that a step returns.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable
from typing import Final

from .parameters import Secret

MASK: Final = b"****"
LEAST: Final = 4


def spellings(secret: Secret) -> set[bytes]:
    """The bytes that a secret is known by; none for one that is too short."""
    text = secret.reveal()
    if len(text) < LEAST:
        return set()
    raw = text.encode("utf-8", "surrogateescape")
    encoded = {base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"=")}
    written = {repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    quoted = {urllib.parse.quote(raw, safe=""), urllib.parse.quote(raw), urllib.parse.quote_plus(raw)}
    return {raw, *encoded, *(one.encode("utf-8", "surrogateescape") for one in written | quoted)}


class Hider:
    """Takes bytes in pieces and gives them back with every known spelling masked.

    What may be the beginning of a secret is held until the next piece or `end` tells.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._known = sorted({form for secret in secrets for form in spellings(secret)}, key=lambda form: (-len(form), form))
        self._pattern = re.compile(b"|".join(re.escape(form) for form in self._known)) if self._known else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The next piece, masked, as far as it is certain."""
        if self._pattern is None:
            return data
        data, start, found = self._held + data, 0, []
        for match in self._pattern.finditer(data):
            if match.end() == len(data) and self._begins(match.group()):
                break
            found += [data[start : match.start()], MASK]
            start = match.end()
        rest = data[start:]
        longest = min(len(rest), len(self._known[0]) - 1)
        held = next((size for size in range(longest, 0, -1) if self._begins(rest[-size:])), 0)
        self._held = rest[len(rest) - held :]
        return b"".join([*found, rest[: len(rest) - held]])

    def end(self) -> bytes:
        """What was held, masked where it is a whole secret."""
        held, self._held = self._held, b""
        return self._pattern.sub(MASK, held) if self._pattern else held

    def _begins(self, data: bytes) -> bool:
        """Whether a longer spelling begins with this."""
        return any(len(form) > len(data) and form.startswith(data) for form in self._known)


def hidden(text: str, secrets: Iterable[Secret]) -> str:
    """The text with every known spelling masked."""
    hider = Hider(secrets)
    return (hider.feed(text.encode("utf-8", "surrogatepass")) + hider.end()).decode("utf-8", "surrogatepass")
