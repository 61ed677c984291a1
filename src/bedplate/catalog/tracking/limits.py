"""What clients may send: names and lengths, each refusal naming its field.

Values may be longer than the protocol's own limits (6,000 for a param, 8,000 for a tag), which its server meets by cutting them off: here
they stay whole, and one that is too long is refused. Names may be in every script; only control characters are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bedplate.core.errors import UserError

from .tracked import Dataset, Named, Point

LONGEST_KEY: Final = 250
LONGEST_VALUE: Final = 65_535
LONGEST_NAME: Final = 500
MOST_METRICS: Final = 1_000
MOST_PARAMS: Final = 100
MOST_TAGS: Final = 100
MOST_TOGETHER: Final = 1_000
MOST_DATASETS: Final = 1_000
LONGEST_DATASET_NAME: Final = 500
LONGEST_DATASET_DIGEST: Final = 36
LONGEST_SCHEMA: Final = 1_048_575
LONGEST_SOURCE: Final = 65_535
LONGEST_PROFILE: Final = 16_777_215
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**63 - 1


def named(field: str, one: Named) -> Named:
    """A param or tag, checked; `field` is where it stands in what was sent. Raises UserError."""
    key(f"{field}.key" if field else "key", one.key)
    length(f"{field}.value" if field else "value", one.value, LONGEST_VALUE)
    return Named(one.key, text(one.value)) if "\0" in one.value else one


def key(field: str, given: str, longest: int = LONGEST_KEY) -> str:
    """The name of something. Raises UserError."""
    if not given.strip():
        raise UserError(f"Missing value for required parameter '{field}'.")
    length(field, given, longest)
    if _CONTROL.search(given):
        raise UserError(f"Invalid value for parameter '{field}' supplied: names have no control characters")
    return given


def length(field: str, given: str, longest: int) -> None:
    """Raises UserError for a text that is too long."""
    if len(given) > longest:
        raise UserError(f"'{field}' exceeds the maximum length of {longest} characters")


def text(given: str) -> str:
    """A text as both engines can keep it: without NUL."""
    return given.replace("\0", "\ufffd")


def points(field: str, given: Sequence[Point]) -> None:
    """Points, checked, each name once. Raises UserError."""
    fit: set[str] = set()
    for place, one in enumerate(given):
        if one.key not in fit or not 0 <= one.timestamp <= _HIGHEST or not _LOWEST <= one.step <= _HIGHEST:
            point(f"{field}[{place}]", one)
            fit.add(one.key)


def point(field: str, given: Point) -> None:
    """A point, checked. Raises UserError."""
    before = f"{field}." if field else ""
    key(f"{before}key", given.key)
    if not 0 <= given.timestamp <= _HIGHEST:
        raise UserError(f"Invalid value for parameter '{before}timestamp' supplied: a nonnegative 64-bit integer is needed")
    if not _LOWEST <= given.step <= _HIGHEST:
        raise UserError(f"Invalid value for parameter '{before}step' supplied: a 64-bit integer is needed")


def many(field: str, given: Sequence[object], most: int) -> None:
    """Raises UserError for a list that is too long."""
    if len(given) > most:
        raise UserError(f"A batch logging request can contain at most {most} {field}. Got {len(given)} {field}. Please split up {field}.")


def dataset(field: str, given: Dataset) -> Dataset:
    """A dataset, checked. Raises UserError."""
    key(f"{field}.name", given.name, LONGEST_DATASET_NAME)
    key(f"{field}.digest", given.digest, LONGEST_DATASET_DIGEST)
    key(f"{field}.source_type", given.source_type)
    length(f"{field}.source", given.source, LONGEST_SOURCE)
    length(f"{field}.schema", given.schema, LONGEST_SCHEMA)
    length(f"{field}.profile", given.profile, LONGEST_PROFILE)
    return given
