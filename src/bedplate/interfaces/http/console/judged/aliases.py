"""Where a model's aliases stand, how they came there, and what a person may do about it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bedplate.catalog.models import Withdrawal
from bedplate.catalog.promotion import ROLL_OUT
from bedplate.core.records import Promotion, Record
from bedplate.interfaces.http.console.frame import path_of
from bedplate.interfaces.http.console.tables import Column, Link, Table, Value
from bedplate.interfaces.http.door.endpoint import Desk, Resource

_MOST: Final = 200
_COLUMNS: Final = (
    Column("at", "When (UTC)", "time"), Column("alias", "Alias"), Column("version", "To"), Column("before", "From"),
    Column("by", "By"), Column("why", "Why"),
)  # fmt: skip


class Way(Record, frozen=True, kw_only=True):
    """Where a rollback of an alias leads: from which version to which (None: there is none to go to)."""

    alias: str
    now: int
    to: int | None


class Aliases(Record, frozen=True, kw_only=True):
    """Today's aliases, the versions that no verdict may promote, where a rollback of each alias leads, and whether the actor may move them.

    `last` is the newest move of each alias; `over` are those under which a version was tried and is no more.
    """

    now: Mapping[str, int]
    barred: frozenset[int]
    ways: tuple[Way, ...]
    may: bool
    last: Mapping[str, Promotion]
    over: frozenset[str] = frozenset()

    @property
    def seen(self) -> str:
        """What is sent along with a move, so that nobody's is overrun unseen."""
        return msgspec.json.encode(dict(self.now)).decode()

    def named(self, version: int) -> tuple[str, ...]:
        """The aliases that name a version."""
        return tuple(alias for alias, number in self.now.items() if number == version and alias not in self.over)


def aliases_of(desk: Desk, model: str) -> Aliases:
    """The aliases of a model."""
    models = desk.catalog.models
    now = models.aliases(model)
    named = models.named(model)
    ways = tuple(Way(alias=alias, now=number, to=models.rollback_to(model, alias)) for alias, number in named.items())
    last = {move.alias: move for move in models.history(model)}
    may = desk.may("model.promote", Resource("model", model))
    return Aliases(now=now, barred=frozenset(models.barred(model)), ways=ways, may=may, last=last, over=frozenset(now) - named.keys())


def history(desk: Desk, model: str) -> Table:
    """Every move of a model's aliases, the newest first."""
    moves: Sequence[Promotion] = desk.catalog.models.history(model)
    gone: Sequence[Withdrawal] = desk.catalog.models.withdrawn(model)
    recorded = itertools.accumulate((one.at for one in moves), max)  # of two in one moment the clock may say otherwise than the record
    told = [(at, _moved(model, one)) for at, one in zip(recorded, moves, strict=True)] + [(one.at, _taken(model, one)) for one in gone]
    rows = [row for _, row in sorted(told, key=lambda pair: pair[0])[: -_MOST - 1 : -1]]
    return Table(
        name="history", columns=_COLUMNS, rows=rows, empty="No alias was ever given.", command=f"bedplate promote {model}@VERSION"
    )  # fmt: skip


def who(move: Promotion) -> str:
    """Who moved an alias, in words."""
    if move.by == "verdict":
        return "a server, after its roll-out" if move.check == ROLL_OUT else f"the check {move.check}"
    if move.by == "rollback":
        return f"{move.actor}, rolling back" if move.actor else "a server, rolling back"
    return move.actor or "a person"


def _moved(model: str, one: Promotion) -> tuple[Value, ...]:
    return one.at, one.alias, _link(model, one.version), None if one.before is None else _link(model, one.before), who(one), one.reason


def _taken(model: str, one: Withdrawal) -> tuple[Value, ...]:
    return one.at, one.alias, "taken away", _link(model, one.version), one.actor, ""


def _link(model: str, number: int) -> Link:
    return Link(f"version {number}", path_of("models", model, str(number)))
