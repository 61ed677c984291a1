"""Rule: which requests a new version gets, and for how long it is tried.

A rule is written as it is kept: `5 % for 30 min by carrier where origin=JFK`. A request's key is a field of it (`carrier`) or a header
(`header:x-user`); the same key always gets the same answer, in every process, on every machine and after every restart, and who was in
at 5 % is in at 20 %. Without `by` each request is drawn for itself.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, Literal

from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.core.units import seconds, share

Way = Literal["canary", "shadow"]
CANARY: Final = "canary"
SHADOW: Final = "shadow"
WAYS: Final[tuple[Way, ...]] = ("canary", "shadow")
"""The aliases under which a version is tried: asked instead of production, or beside it."""
HEADER: Final = "header:"

_KEY: Final = r"(?:header:)?[A-Za-z_][A-Za-z0-9_.-]*"
_RULE: Final = re.compile(
    r"(?P<share>[0-9.]+ %)(?: for (?P<time>[0-9.]+ [a-z]+))?(?: within (?P<within>[0-9.e+-]+))?"
    rf"(?: by (?P<by>{_KEY}))?(?: where (?P<where>{_KEY})=(?P<value>.*))?\Z",
    re.S,
)
_UNITS: Final = ((86400.0, "day"), (3600.0, "h"), (60.0, "min"))


class Rule(Record, frozen=True, kw_only=True):
    """`share` of the requests (0 to 1), for `time_s` seconds (0: until somebody decides), drawn `by` a key, `where` a key has `value`.

    `within`: how far a shadow's numbers may be from production's (0: nobody looks).
    """

    share: float
    time_s: float = 0.0
    within: float = 0.0
    by: str = ""
    where: str = ""
    value: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of a request that decide."""
        return tuple(name for name in (self.by, self.where) if name)

    @property
    def text(self) -> str:
        """The rule as it is written."""
        parts = [f"{round(self.share * 100, 6):.9g} %"]
        if self.time_s:
            parts.append(f"for {_duration(self.time_s)}")
        if self.within:
            parts.append(f"within {self.within!r}")
        if self.by:
            parts.append(f"by {self.by}")
        if self.where:
            parts.append(f"where {self.where}={self.value}")
        return " ".join(parts)

    def takes(self, salt: str, key: str, value: str = "") -> bool:
        """Whether a request belongs to the new version: `key` is what it is drawn by, `value` what it has where the rule looks.

        `salt` names the version, so that it is not always the same users who try what is new.
        """
        return (not self.where or value == self.value) and drawn(salt, key) < self.share


def drawn(salt: str, key: str) -> float:
    """A number from 0 up to 1 that depends on both texts alone, evenly spread over keys."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, person=blake2b(salt.encode(), digest_size=16).digest()).digest()
    return (int.from_bytes(digest) >> 11) / 2.0**53


def asked(part: str, time: str = "", within: float = 0.0, by: str = "", where: str = "") -> Rule:
    """A rule from what a person asked for. Raises UserError for what is no share, duration or key."""
    name, equals, value = where.partition("=")
    by, name = _lower(by), _lower(name)
    for key in (by, name):
        if key and not re.fullmatch(_KEY, key):
            raise UserError(f"'{key}' is no field and no header", next="name a field of the request, or header:NAME")
    if where and not equals:
        raise UserError(f"'{where}' says no value", next=f"write --where '{where}=VALUE'")
    size = share(part.replace(" ", ""))
    if not size:
        raise UserError("a roll-out to no request tries nothing", why=f"the share is '{part}'", next="write --canary '5 %'")
    return Rule(share=round(size, 8), time_s=seconds(time) if time else 0.0, within=within, by=by, where=name, value=value)


def read(text: str) -> Rule | None:
    """The rule that a text is; None where it is none."""
    found = _RULE.match(text)
    if found is None:
        return None
    try:
        size = round(share(found["share"].replace(" ", "")), 8)
        time_s = seconds(found["time"]) if found["time"] else 0.0
        within = float(found["within"] or 0)
    except (UserError, ValueError):
        return None
    by, where, value = (found[name] or "" for name in ("by", "where", "value"))
    return Rule(share=size, time_s=time_s, within=within, by=by, where=where, value=value)


def _lower(key: str) -> str:
    """Headers are the same in any case; fields are not."""
    return key.lower() if key.lower().startswith(HEADER) else key


def _duration(time_s: float) -> str:
    for size, unit in _UNITS:
        if time_s >= size and time_s % size == 0:
            return f"{time_s / size:.12g} {unit}"
    return f"{time_s:.12f}".rstrip("0").rstrip(".") + " s"
