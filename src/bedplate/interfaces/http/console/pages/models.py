"""Models: all that one may see, the project's and those that clients registered, with what stands where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from bedplate.catalog.tracking.clauses import Clause
from bedplate.catalog.tracking.registered import RegisteredModel
from bedplate.catalog.tracking.registry_search import Asked
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.judged.verdicts import standing
from bedplate.interfaces.http.console.served.serving import served_by
from bedplate.interfaces.http.console.tables import Column, Link, Table, Value
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, on_server

from .promotion import PRODUCTION

_PAGE: Final = 50
_LONGEST: Final = 250
_COLUMNS: Final = (
    Column("model", "Model"), Column("production", "Production"), Column("verdict", "Its verdict", "state"),
    Column("newest", "Newest"), Column("made", "Made (UTC)", "time"), Column("served_by", "Served by"), Column("aliases", "Other aliases"),
    Column("origin", "Made by"),
)  # fmt: skip


class GetModels(Asks, frozen=True, kw_only=True):
    """A page of the table: models with `q` in their names."""

    q: str = ""
    token: str = ""


def models(desk: Desk, asked: GetModels) -> Reply:
    """The table."""
    wanted = asked.q.strip()[:_LONGEST]
    clauses = (Clause("attribute", "name", "ILIKE", f"%{wanted}%"),) if wanted else ()
    found, token = desk.catalog.tracking.registry_search.models(
        Asked(clauses=clauses, names=desk.sees("model"), limit=_PAGE, token=asked.token)
    )
    serving = served_by(desk)
    shown = Table(
        name="models", columns=_COLUMNS, rows=[_row(desk, one, serving) for one in found],
        more="?" + urlencode({**({"q": wanted} if wanted else {}), "token": token}) if token else "",
        empty=f"No model has '{wanted}' in its name." if wanted else "No models yet: a step that returns a Model makes one.",
        command="" if wanted else "bedplate run",
    )  # fmt: skip
    return page(desk, "models.html", title="Models", at="models", tables=(shown,), wanted=wanted)


def _row(desk: Desk, model: RegisteredModel, serving: Mapping[str, list[str]]) -> tuple[Value, ...]:
    production = model.aliases.get(PRODUCTION)
    newest = max(model.latest, key=lambda one: one.number, default=None)
    judged = production if production is not None else newest.number if newest is not None else None
    others = ", ".join(f"{alias} {number}" for alias, number in model.aliases.items() if alias != PRODUCTION)
    return (
        Link(model.name, path_of("models", model.name)),
        None if production is None else _version(model.name, production),
        None if judged is None else standing(desk.catalog.models.verdicts(model.name, judged)),
        None if newest is None else _version(model.name, newest.number), None if newest is None else newest.created_ms,
        _served(serving.get(model.name, [])), others or None,
        None if newest is None else "the project" if newest.origin == "project" else newest.made_by or "a client",
    )  # fmt: skip


def _served(names: Sequence[str]) -> Value:
    """Who answers with it now: one service leads to its page, several to all of them."""
    if not names:
        return None
    return Link(", ".join(names), path_of("serving", names[0]) if len(names) == 1 else "/serving")


def _version(name: str, number: int) -> Link:
    return Link(f"version {number}", path_of("models", name, str(number)))


ENDPOINTS: Final = (Endpoint("GET", "/models", GetModels, "model.list", on_server, models),)
