"""What may come next in a filter that somebody is writing: names of keys, comparators, values, `AND`. Pure: it is given who knows the keys.

It reads only the comparison that is being written, as far as the caret; what stands before is taken as it is, right or wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from bedplate.catalog.tracking.grammar import RUNS, spelt
from bedplate.catalog.tracking.overview import What
from bedplate.core.records import Record

Knows = Callable[[What, str], list[str]]
"""The names of a kind that have some text in them."""
MOST: Final = 12
_KINDS: Final[tuple[What, ...]] = ("metric", "param", "tag")
_NAME: Final = r"(?:[A-Za-z_]+\.)?(?:`[^`]*`|\"[^\"]*\"|[\w/:\-][\w./:\-]*)"
_SPLIT: Final = re.compile(r"'(?:[^']|'')*(?:'|\Z)|\"(?:[^\"]|\"\")*(?:\"|\Z)|`[^`]*(?:`|\Z)|(\bAND\b\s*)", re.IGNORECASE)
_KEY: Final = re.compile(r"(?P<entity>[A-Za-z_]+)\.(?P<part>[\w./:\-]*|[`\"][^`\"]*)\Z")
_WORD: Final = re.compile(r"(?P<part>\w*)\Z")
_COMPARATOR: Final = re.compile(rf"(?P<name>{_NAME})\s+(?P<part>[A-Za-z<>=! ]*)\Z")
_VALUE: Final = re.compile(rf"(?P<name>{_NAME})\s*(?:[<>!]?=|[<>])\s*(?P<part>'?[\w ]*)\Z")
_ENDED: Final = r"(?:(?:[<>!]?=|[<>]|I?LIKE)\s*(?:'(?:[^']|'')*'|[+\-\d.eE]+)|(?:NOT\s+)?IN\s*\([^)]*\)|IS\s+(?:NOT\s+)?NULL)"
_WHOLE: Final = re.compile(rf"{_NAME}\s*{_ENDED}\s+\Z", re.IGNORECASE)
_NUMBERS: Final = (">", "<", "=", ">=", "<=", "!=")
_TEXTS: Final = ("=", "!=", "LIKE", "ILIKE", "IN")
_NULLS: Final = ("IS NULL", "IS NOT NULL")
_STATUS: Final = ("'FINISHED'", "'RUNNING'", "'FAILED'", "'KILLED'", "'SCHEDULED'")


class Completion(Record, frozen=True, kw_only=False):
    """What may stand in the place of the text from character `start` on to the caret."""

    start: int
    options: tuple[str, ...] = ()


def completed(text: str, knows: Knows) -> Completion:
    """What may come next after a text."""
    start = _beginning(text)
    tail = text[start:]
    if found := _KEY.match(tail):
        return Completion(start, tuple(f"{name} " for name in _keys(found["entity"], found["part"].lstrip('`"'), knows))[:MOST])
    if found := _WORD.match(tail):
        return Completion(start, tuple(_begun(found["part"], knows))[:MOST])
    if _WHOLE.match(tail):
        return Completion(len(text), ("AND ",))
    if found := _COMPARATOR.match(tail):
        part = found["part"]
        options = tuple(f"{one} " for one in _comparators(found["name"]) if one.startswith(part.upper()))
        if options:
            return Completion(len(text) - len(part), options)
    if found := _VALUE.match(tail):
        part = found["part"]
        known = _STATUS if _entity(found["name"]) == ("attribute", "status") else ()
        return Completion(len(text) - len(part), tuple(f"{one} " for one in known if part.strip("'").upper() in one))
    return Completion(len(text))


def columns(part: str, knows: Knows) -> list[str]:
    """Columns that have some text in them, as people name them."""
    word = part.rpartition(".")[2] if _KEY.match(part) else part
    kinds = [_entity(part)[0]] if _KEY.match(part) else [*_KINDS, "attribute"]
    return [name for kind in kinds for name in _keys(f"{kind}s", word, knows)][:MOST]


def _beginning(text: str) -> int:
    """Where the comparison begins that is being written."""
    start = 0
    for found in _SPLIT.finditer(text):
        if found[1]:
            start = found.end()
    return start + len(text[start:]) - len(text[start:].lstrip())


def _entity(name: str) -> tuple[str, str]:
    before, dot, key = name.partition(".")
    return (str(RUNS.entities.get(before, "")), key) if dot else ("attribute", before)


def _keys(entity: str, part: str, knows: Knows) -> Iterator[str]:
    kind = RUNS.entities.get(entity)
    if kind in ("attribute", "dataset"):
        known = RUNS.fixed[kind] if kind == "dataset" else RUNS.text | RUNS.numbers
        yield from (spelt(kind, key) for key in sorted(known) if part.lower() in key)
    elif kind in _KINDS:
        yield from (spelt(kind, key) for key in knows(kind, part))


def _begun(part: str, knows: Knows) -> Iterator[str]:
    """What a comparison can begin with."""
    yield from (word for word in ("metrics.", "params.", "tags.", "attributes.") if word.startswith(part.lower()))
    for kind in _KINDS:
        yield from (f"{spelt(kind, key)} " for key in knows(kind, part)[: MOST // 4])
    yield from (f"{name} " for name in _keys("attributes", part, knows))


def _comparators(name: str) -> tuple[str, ...]:
    entity, key = _entity(name)
    if entity == "metric" or (entity == "attribute" and key in RUNS.numbers):
        return _NUMBERS
    return (*_TEXTS, *_NULLS) if entity in ("param", "tag") else _TEXTS
