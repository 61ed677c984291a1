"""Which version serves: decided from the record alone.

* `use("late@7")` and `use("late@production")`: as written.
* A model: `production` if that alias exists; else its head, unless a check gates it. A gated model that was never promoted does
  not serve: its service waits, and says so.
* Anything else (features, tables, scalars): the head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from bedplate.core.records import Version

from .deployment import Waiting
from .service import Wanted

PRODUCTION: Final = "production"

Find = Callable[[str], Version | None]
"""The version that `late`, `late@7` or `late@production` names now; None where there is none."""


class Record(Protocol):
    """What the catalog must answer."""

    def find(self, ref: str) -> Version | None:
        """The version that `late`, `late@7` or `late@production` names now; None where there is none."""
        ...

    def alias(self, model: str, alias: str) -> int | None:
        """The version number that an alias names; None before the first promotion."""
        ...


def choose(wanted: Wanted, record: Record) -> Version | Waiting:
    """The version that a parameter gets, or why it has to wait."""
    name = wanted.artifact
    if wanted.selector:
        found = record.find(f"{name}@{wanted.selector}")
        return found or Waiting(name=name, reason=f"there is no {name}@{wanted.selector}", next=f"bedplate show {name}")
    if wanted.view == "model":
        number = record.alias(name, PRODUCTION)
        if number is not None:
            return record.find(f"{name}@{number}") or Waiting(name=name, reason=f"{name}@{number} is not in the record")
        if wanted.gate:
            return _ungated(name, wanted.gate, record)
    return record.find(name) or _unmade(name)


def _unmade(name: str) -> Waiting:
    return Waiting(name=name, reason=f"{name} has not been made yet", next=f"bedplate run {name}")


def _ungated(name: str, gate: str, record: Record) -> Waiting:
    head = record.find(name)
    if head is None:
        return _unmade(name)
    reason = f"{name} has no production version: its check {gate} has not passed"
    return Waiting(name=name, reason=reason, next=f"bedplate promote {head.ref}")
