"""Shelf: how one kind of artifact is kept. The store finds the shelf by kind and does nothing else by kind.

Obligations of a shelf:
- `save` has every byte on disk (temporary name, fsync, rename, fsync of the folder) before it returns; a save that fails leaves nothing
  that a reader could see. Equal content gives an equal digest, on any machine and at any time.
- `load` reads committed bytes only and never hands out what a consumer could change for the next one.
- `missing` is cheap (a `stat` each) and imports nothing heavy: it is asked for every cache hit.
- `keeps` names every file that the version needs. What no kept version names is collected by `gc`, so a name left out is data lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec

from bedplate.core.features import FeatureSpec
from bedplate.core.kinds import Kind, View
from bedplate.core.records import Draft, Record, Version


class Save(Record, frozen=True, kw_only=True):
    """What is to be kept: `value` as kind `kind`, under the artifact's name, by an attempt.

    `prior` is the version that the catalog pins now: an equal digest makes no new bytes, and with `append` the rows of `value` are added
    after its rows. `part`: the value is one part of an artifact made `each=`, put together with the others later (`Store.combine`).
    `spec` is checked for a features table, `expects` (a pandera model or schema) for any table. `meta` is put into the draft's.
    """

    kind: Kind
    artifact: str
    value: Any
    attempt: str
    prior: Version | None = None
    append: bool = False
    part: bool = False
    spec: FeatureSpec | None = None
    expects: Any = None
    meta: dict[str, Any] = msgspec.field(default_factory=dict)


class Shelf(Protocol):
    """Keeps the versions of one kind."""

    def save(self, request: Save) -> Draft:
        """Put the value on disk and say what it is. Raises UserError for a value that cannot be kept, StoreError for a bad disk."""
        ...

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """The version as `view`. Raises StoreError where bytes are gone, CorruptError where they are not what was written."""
        ...

    def missing(self, version: Draft) -> list[str]:
        """Which of the version's bytes are gone, by path relative to the store; empty where it is whole."""
        ...

    def verify(self, version: Draft) -> None:
        """Read everything and compute the digest again. Raises CorruptError or StoreError."""
        ...

    def keeps(self, version: Draft) -> Iterable[str]:
        """Every file that the version needs, by path relative to the store."""
        ...


@runtime_checkable
class Parted(Protocol):
    """A shelf whose kind has a form for all parts of an artifact made `each=` at once."""

    def combine(self, artifact: str, parts: Mapping[str, Version], attempt: str) -> Draft:
        """One version of all parts, whose digest is that of the sorted (key, part digest) list. Raises UserError where they do not fit."""
        ...

    def keys(self, version: Draft) -> tuple[str, ...]:
        """The keys that a consumer with `each=` of this artifact runs for. Raises UserError where it has none."""
        ...
