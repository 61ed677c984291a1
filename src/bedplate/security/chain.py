"""The audit chain: each entry's digest is over the entry and the digest before it, and the newest is signed now and then.

An entry that was edited, taken out, put in or moved breaks the chain where it stood; a chain that ends before its newest signed head was
cut off. Entries hold text and whole numbers only, as JSON with sorted keys and no spaces, so that other programs can do the sum too.
Limits: who has the signing key can write another chain; an anchor outside of this machine (a head noted elsewhere) shows that too.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from bedplate.core.digests import canonical
from bedplate.core.records import Record

FIRST: Final = hashlib.sha256(b"bedplate audit 1").hexdigest()
"""What stands before the first entry."""


class Entry(Record, frozen=True):
    """One act: when (text, UTC), who, what, on what, how it ended (`done`, `refused`), and more as JSON text; `digest` closes it."""

    id: int
    at: str
    actor: str
    action: str
    resource: str
    outcome: str
    data: str = "{}"
    digest: str = ""


class Head(Record, frozen=True):
    """The chain's end as it was signed: which entry, its digest, when, the signature and the public key (hex)."""

    entry: int
    digest: str
    at: str
    signature: str = ""
    key: str = ""


class Finding(Record, frozen=True):
    """Something that is not as it was written: at which entry, and what."""

    entry: int
    what: str


def digest_of(entry: Entry, before: str) -> str:
    """The digest of an entry, given the one before it."""
    said = {name: value for name, value in msgspec.structs.asdict(entry).items() if name != "digest"}
    return hashlib.sha256(canonical({**said, "before": before})).hexdigest()


def linked(entry: Entry, before: str) -> Entry:
    """The entry with its digest."""
    return msgspec.structs.replace(entry, digest=digest_of(entry, before))


def sign(head: Head, seed: bytes) -> Head:
    """The head, signed with a key of 32 bytes."""
    sealing = _sealing()
    named = msgspec.structs.replace(head, key=sealing.public_of(seed))
    return msgspec.structs.replace(named, signature=sealing.signed(seed, _message(named)))


def verify(entries: Iterable[Entry], heads: Sequence[Head], keys: Iterable[str], pinned: Sequence[Head] = ()) -> list[Finding]:
    """What is wrong with a chain, in the order of the entries; empty where it is whole.

    `heads` are those kept beside it, of which each must be signed with one of `keys`; `pinned` are heads known from elsewhere.
    """
    trusted = frozenset(keys)
    found = [Finding(entry=head.entry, what=wrong) for head in heads if (wrong := _head_fault(head, trusted))]
    expected: dict[int, list[str]] = {}
    for head in (*heads, *pinned):
        expected.setdefault(head.entry, []).append(head.digest)
    before, last = FIRST, 0
    for entry in entries:
        found += _entry_faults(entry, before, last, expected.pop(entry.id, []))
        before, last = entry.digest, entry.id
    found += [Finding(entry=number, what="the entry was signed, and is not there") for number in expected]
    return sorted(found, key=lambda one: one.entry)


def _entry_faults(entry: Entry, before: str, last: int, signed: Iterable[str]) -> list[Finding]:
    found = []
    if entry.id != last + 1:
        found.append(Finding(entry=last + 1, what="entries are missing before this one, or stand twice"))
    if not _same(digest_of(entry, before), entry.digest):
        found.append(Finding(entry=entry.id, what="the entry, or what stood before it, was changed"))
    if not all(_same(one, entry.digest) for one in signed):
        found.append(Finding(entry=entry.id, what="the entry is not the one that was signed"))
    return found


def _head_fault(head: Head, trusted: frozenset[str]) -> str:
    if head.key not in trusted:
        return "its head is signed with a key that is not known here"
    return "" if _sealing().is_signed(head.key, _message(head), head.signature) else "its head has a wrong signature"


def _message(head: Head) -> bytes:
    return canonical({"at": head.at, "digest": head.digest, "entry": head.entry, "key": head.key, "of": "bedplate audit 1"})


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _sealing() -> Any:
    return importlib.import_module("bedplate.security.backends.sealing")
