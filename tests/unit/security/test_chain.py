"""The audit chain: whatever is changed, moved, taken out, put in or cut off is found."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from bedplate.security.chain import FIRST, Entry, Head, digest_of, linked, sign, verify

SEED = b"k" * 32


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    before = FIRST
    for number in range(1, length + 1):
        entry = Entry(
            id=number, at=f"2026-11-22T08:00:{number:02d}.000000Z", actor="ann", action="run.delete",
            resource=f"experiment:{number % 3}", outcome="done", data='{"n":1}',
        )  # fmt: skip
        entries.append(linked(entry, before))
        before = entries[-1].digest
    return entries


def signed(entries: list[Entry]) -> Head:
    return sign(Head(entry=entries[-1].id, digest=entries[-1].digest, at="2026-11-22T09:00:00.000000Z"), SEED)


WHOLE = chain(40)
HEAD = signed(WHOLE)


def faults(entries: list[Entry], heads: list[Head] | None = None) -> list[str]:
    return [one.what for one in verify(entries, [HEAD] if heads is None else heads, [HEAD.key])]


def edited(dice: random.Random, entries: list[Entry]) -> list[Entry]:
    at = dice.randrange(len(entries))
    field = dice.choice(["at", "actor", "action", "resource", "outcome", "data", "digest"])
    said = getattr(entries[at], field)
    place = dice.randrange(len(said))
    other = "b" if said[place] == "a" else "a"
    entries[at] = msgspec.structs.replace(entries[at], **{field: said[:place] + other + said[place + 1 :]})
    return entries


def rewritten(dice: random.Random, entries: list[Entry]) -> list[Entry]:
    """Changed with its own digest made right: the next link breaks, and at the end the signed head."""
    at = dice.randrange(len(entries))
    changed = msgspec.structs.replace(entries[at], actor="eve")
    entries[at] = linked(changed, entries[at - 1].digest if at else FIRST)
    return entries


def removed(dice: random.Random, entries: list[Entry]) -> list[Entry]:
    del entries[dice.randrange(len(entries))]
    return entries


def moved(dice: random.Random, entries: list[Entry]) -> list[Entry]:
    first, second = dice.sample(range(len(entries)), 2)
    entries[first], entries[second] = entries[second], entries[first]
    return entries


def doubled(dice: random.Random, entries: list[Entry]) -> list[Entry]:
    at = dice.randrange(len(entries))
    return [*entries[: at + 1], *entries[at:]]


def cut(dice: random.Random, entries: list[Entry]) -> list[Entry]:
    return entries[: dice.randrange(len(entries))]


def chained_anew(dice: random.Random, entries: list[Entry]) -> list[Entry]:
    """One changed and all after it linked again, as who has no key can."""
    at = dice.randrange(len(entries))
    made = entries[:at]
    for entry in entries[at:]:
        changed = msgspec.structs.replace(entry, actor="eve") if entry.id == entries[at].id else entry
        made.append(linked(changed, made[-1].digest if made else FIRST))
    return made


TAMPERING: list[Callable[[random.Random, list[Entry]], list[Entry]]] = [edited, rewritten, removed, moved, doubled, cut, chained_anew]


def test_a_whole_chain_has_no_fault() -> None:
    """With its signed head, and with heads signed earlier."""
    assert faults(WHOLE) == []
    assert faults(WHOLE, [signed(WHOLE[:10]), signed(WHOLE[:1]), HEAD]) == []
    assert faults([], []) == []


def test_a_thousand_tamperings_are_found() -> None:
    """1000 of 1000."""
    dice = random.Random(7)
    missed = [number for number in range(1000) if not faults(TAMPERING[number % len(TAMPERING)](dice, list(WHOLE)))]
    assert missed == []


def test_a_forged_head_is_found() -> None:
    """Signed with another key, or with a signature of something else."""
    other = sign(Head(entry=40, digest=HEAD.digest, at=HEAD.at), b"e" * 32)
    assert faults(WHOLE, [other]) == ["its head is signed with a key that is not known here"]
    assert faults(WHOLE, [msgspec.structs.replace(HEAD, at="2027-01-01T00:00:00.000000Z")]) == ["its head has a wrong signature"]


def test_a_head_noted_elsewhere_shows_a_log_that_was_cut_back_with_its_heads() -> None:
    """What no table of the record can show."""
    kept = WHOLE[:20]
    assert faults(kept, [signed(kept)]) == []
    assert [one.what for one in verify(kept, [signed(kept)], [HEAD.key], [HEAD])] == ["the entry was signed, and is not there"]


@pytest.mark.parametrize("field", ["at", "actor", "action", "resource", "outcome", "data"])
def test_each_field_is_in_the_digest(field: str) -> None:
    """None can be changed unseen."""
    changed = msgspec.structs.replace(WHOLE[0], **{field: "other"})
    assert digest_of(changed, FIRST) != WHOLE[0].digest
