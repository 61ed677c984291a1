"""Wholes: whole numbers that a client writes as `3.0` or `3e2`; JSON Schema counts them as integers, as OpenAPI says to clients.

Looked at only when a body was refused, so that who writes integers as such pays nothing.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_LARGEST: Final = 2.0**63


def with_wholes(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """What a body says, with each whole number as an integer. Raises what the decoder does, of a body that is JSON."""
    return decoder.decode(msgspec.json.encode(_whole(msgspec.json.decode(body))))


def _whole(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _LARGEST else value
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    return value
