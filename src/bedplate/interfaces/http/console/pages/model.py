"""One model: its versions, what checks said of them, its aliases with their whole history, and who serves it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from urllib.parse import urlencode

from bedplate.catalog.tracking.clauses import Clause, Order
from bedplate.catalog.tracking.registered import ModelVersion
from bedplate.catalog.tracking.registry_search import Asked
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.frame import page, path_of
from bedplate.interfaces.http.console.judged.aliases import Aliases, aliases_of, history
from bedplate.interfaces.http.console.judged.verdicts import Judged, judged, standing
from bedplate.interfaces.http.console.served.serving import Serving, held_by, served
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Value
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, Resource

_PAGE: Final = 50
_MOST_LINES: Final = 8
_COLUMNS: Final = (
    Column("version", "Version"), Column("aliases", "Named"), Column("verdict", "Verdict", "state"), Column("served", "Served by"),
    Column("made", "Made (UTC)", "time"), Column("by", "By"), Column("compare", "Compare"), Column("note", "Note", "state"),
)  # fmt: skip


class GetModel(Asks, frozen=True, kw_only=True):
    """A model, and a page of its versions."""

    name: str
    token: str = ""


def on_model(_desk: Desk, asked: GetModel) -> Resource:
    """The model."""
    return Resource("model", asked.name)


def model(desk: Desk, asked: GetModel) -> Reply:
    """The page. Raises NotFound."""
    found = desk.catalog.tracking.registry.get(asked.name)
    versions, token = desk.catalog.tracking.registry_search.versions(
        Asked(
            clauses=(Clause("attribute", "name", "=", asked.name),), orders=(Order("attribute", "version_number", True),),
            limit=_PAGE, token=asked.token,
        )
    )  # fmt: skip
    aliases, serving = aliases_of(desk, asked.name), [one for one in served(desk) if asked.name in one.service.models]
    verdicts = {one.number: judged(desk.catalog, asked.name, one.number) for one in versions}
    before = {one.number: older.number for one, older in pairwise(versions)}
    rows = [_row(one, verdicts[one.number], before.get(one.number), aliases, serving) for one in versions]
    shown = Table(
        name="versions", columns=_COLUMNS, rows=rows, more="?" + urlencode({"token": token}) if token else "", empty="No version yet.",
        command=f"bedplate run {asked.name}",
    )  # fmt: skip
    table, figures = _figures(versions, verdicts)
    newest = versions[0] if versions else None
    return page(
        desk, "model.html", title=asked.name, at="models", tables=(shown, history(desk, asked.name), table),
        charts=figures, figures=figures, model=found, aliases=aliases, serving=serving, newest=newest,
        newest_state=None if newest is None else standing([one.verdict for one in verdicts[newest.number]]),
    )  # fmt: skip


def _row(
    one: ModelVersion, verdicts: Sequence[Judged], before: int | None, aliases: Aliases, serving: Sequence[Serving]
) -> tuple[Value, ...]:
    """A row of the table."""
    barred = one.number in aliases.barred
    compare = Link(f"with version {before}", f"{_path(one.name, one.number)}?against={before}") if before is not None else None
    unserved = State("cannot be served", "warn") if one.cannot_serve else None
    return (
        Link(f"version {one.number}", _path(one.name, one.number)), ", ".join(aliases.named(one.number)) or None,
        standing([judged.verdict for judged in verdicts]), ", ".join(held_by(serving, one.name, one.number)) or None, one.created_ms,
        "the project" if one.origin == "project" else one.made_by or "a client", compare,
        State("barred", "bad") if barred else unserved,
    )  # fmt: skip


def _figures(versions: Sequence[ModelVersion], verdicts: dict[int, list[Judged]]) -> tuple[Table, list[Chart]]:
    """What checks measured, version by version: where it became worse. A chart for each figure, as no two have the same scale."""
    points: dict[str, dict[int, float]] = {}
    for one in versions:
        for mine in verdicts[one.number]:
            for label, value in (mine.check.figures() if mine.check is not None else {}).items():
                points.setdefault(label, {})[one.number] = value
    labels = list(points)[:_MOST_LINES]
    rows: list[tuple[Value, ...]] = [
        (Link(f"version {one.number}", _path(one.name, one.number)), *(points[label].get(one.number) for label in labels))
        for one in versions if verdicts[one.number]
    ]  # fmt: skip
    columns = Column("version", "Version"), *(Column(label, label, "number") for label in labels)
    table = Table(name="figures", columns=columns, rows=rows, empty="No check judged a version yet.")
    many = [(label, sorted(points[label].items())) for label in labels if len(points[label]) > 1]
    return table, [_figure(place, label, at) for place, (label, at) in enumerate(many)]


def _figure(place: int, label: str, at: Sequence[tuple[int, float]]) -> Chart:
    line = Series(label=label, x=[float(number) for number, _ in at], y=[value for _, value in at])
    return Chart(name=f"figure-{place}", title=label, x=Axis(label="version", shape="whole"), y=Axis(label="value"), series=[line])


def _path(name: str, number: int) -> str:
    return path_of("models", name, str(number))


ENDPOINTS: Final = (Endpoint("GET", "/models/{name}", GetModel, "model.read", on_model, model),)
