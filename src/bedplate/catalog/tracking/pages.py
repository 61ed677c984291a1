"""Page tokens and the ground that composed searches stand on.

A token says after what the next page begins: the sort keys of the last thing shown, so that a page costs the same wherever it lies, and
what comes or goes meanwhile shifts nothing. It carries a digest over the search it belongs to and over itself: one that was changed, or is
of another search, is refused. It gives no rights: what is behind it is asked for anew.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec

from bedplate.catalog.database import Value
from bedplate.core.digests import of_bytes
from bedplate.core.errors import UserError

LONGEST: Final = 100_000
_INT64: Final = range(-(2**63), 2**63)
One = TypeVar("One")
Types = type[int] | type[float] | type[str]
Place = tuple[int | float | str, ...]


class Values:
    """The values of one composed query, each under a name of its own."""

    def __init__(self) -> None:
        self.given: dict[str, Value] = {}

    def bind(self, value: Value) -> str:
        """The mark that stands for a value."""
        name = f"v{len(self.given)}"
        self.given[name] = value
        return f":{name}"

    def listed(self, values: Sequence[Value]) -> str:
        """The marks of several, with commas between."""
        return ", ".join(self.bind(value) for value in values)


def chunks(values: Sequence[One], size: int) -> Iterator[Sequence[One]]:
    """A list in pieces of at most so many."""
    return (values[start : start + size] for start in range(0, len(values), size))


def token(search: Any, phase: int, place: Place) -> str:
    """The token of the page after a place of a phase; `search` is anything with a JSON form."""
    kept = [phase, *(one.hex() if isinstance(one, float) else one for one in place)]
    body = msgspec.json.encode([_digest(search, kept), *kept])
    return base64.urlsafe_b64encode(body).decode()


def place(given: str, search: Any, types: Sequence[Sequence[Types]]) -> tuple[int, Place | None]:
    """The phase and the place of a token, the beginning of an empty one; `types` are those of a place in each phase.

    Raises UserError for a token that this search never gave.
    """
    if not given:
        return 0, None
    try:
        if len(given) > LONGEST:
            raise ValueError
        digest, phase, *kept = msgspec.json.decode(base64.b64decode(given, altchars=b"-_", validate=True), type=list[int | str])
        if digest != _digest(search, [phase, *kept]) or not isinstance(phase, int) or not 0 <= phase < len(types):
            raise ValueError
        return phase, tuple(_read(one, type) for one, type in zip(kept, types[phase], strict=True))
    except (ValueError, binascii.Error, msgspec.DecodeError, UnicodeError):
        raise UserError("Invalid 'page_token': this search gave no such token") from None


def _read(kept: int | str, type: Types) -> int | float | str:
    if type is float and isinstance(kept, str):
        return float.fromhex(kept)
    if type is float or not isinstance(kept, type) or (isinstance(kept, int) and kept not in _INT64):
        raise ValueError
    return kept


def _digest(search: Any, kept: Sequence[int | float | str]) -> str:
    return of_bytes(msgspec.json.encode([search, kept])).removeprefix("sha256:")[:24]
