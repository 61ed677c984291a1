"""What the page of runs is asked: an address read into a search, with what is wrong in it said of its field."""

from __future__ import annotations

from typing import Final

import msgspec

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.clauses import Clause, Order
from bedplate.catalog.tracking.overview import Key
from bedplate.catalog.tracking.tracked import Experiment, Stage
from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.interfaces.http.door.endpoint import Asks

MOST_COLUMNS: Final = 30
STAGES: Final[dict[str, tuple[Stage, ...]]] = {"": ("active",), "deleted": ("deleted",), "all": ("active", "deleted")}


class GetRuns(Asks, frozen=True, kw_only=True):
    """A page of the table: which experiments (none: all), filter, order and columns, as `grammar` reads them; whose children."""

    experiment: list[str] = msgspec.field(default_factory=list)
    filter: str = ""
    order: str = ""
    columns: list[str] = msgspec.field(default_factory=list)
    stage: str = ""
    children: str = ""
    parent: str = ""
    token: str = ""


class Wanted(Record, frozen=True, kw_only=True):
    """What was asked, read. `wrong` says what cannot be, by the field's name; `columns` None: whichever are common."""

    experiments: tuple[Experiment, ...]
    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    columns: tuple[Key, ...] | None = None
    stages: tuple[Stage, ...] = ("active",)
    parent: str | None = None
    wrong: dict[str, str] = msgspec.field(default_factory=dict)


def read(asked: GetRuns, seen: list[Experiment]) -> Wanted:
    """The search of an address among the experiments that one may see; what cannot be read is left out of it, and said."""
    wrong: dict[str, str] = {}
    chosen = set(asked.experiment)
    found = tuple(one for one in seen if not chosen or str(one.id) in chosen)
    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    try:
        clauses = grammar.clauses(asked.filter, grammar.RUNS)
    except UserError as error:
        wrong["filter"] = error.what
    try:
        orders = grammar.orders((asked.order,), grammar.RUNS) if asked.order.strip() else ()
    except UserError as error:
        wrong["order"] = error.what
    columns: list[Key] = []
    for name in [name for name in asked.columns if name.strip()][:MOST_COLUMNS]:
        try:
            columns.append(column(name))
        except UserError as error:
            wrong["columns"] = error.what
    shown = tuple(dict.fromkeys(columns)) if asked.columns else None
    parent = asked.parent or (None if asked.children else "")
    stages = STAGES.get(asked.stage, STAGES[""])
    return Wanted(experiments=found, clauses=clauses, orders=orders, columns=shown, stages=stages, parent=parent, wrong=wrong)


def column(name: str) -> Key:
    """What a column of that name shows. Raises UserError."""
    order = grammar.orders((name,), grammar.RUNS)[0]
    return Key(order.entity, order.key)
