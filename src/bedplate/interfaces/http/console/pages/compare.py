"""Compare: runs beside each other, by their values, curves, code and data. `/compare?runs=ID,ID,...`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from bedplate.catalog.tracking.compared import KeyedStep
from bedplate.catalog.tracking.tracked import RunDetail
from bedplate.interfaces.http.console.comparing import causes, curves, plots, values
from bedplate.interfaces.http.console.frame import page
from bedplate.interfaces.http.console.one_run.curves import SYSTEM
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, Reply, on_server

MOST_RUNS: Final = 200
_MOST_CHARTS: Final = 12
_MOST_ATTEMPTS: Final = 2_000
_LAID: Final = 2
"""Charts of curves where none are chosen; of more than a few runs, one."""
_FEW: Final = 24
Facts = Sequence[values.Fact]


class GetCompare(Asks, frozen=True, kw_only=True):
    """Which runs, which of their metrics as curves and along what, what is plotted against what, and which run the others are told from."""

    runs: str = ""
    metric: list[str] = msgspec.field(default_factory=list)
    x: Literal["step", "time", "relative"] = "step"
    log: str = ""
    across: str = ""
    up: str = ""
    axes: list[str] = msgspec.field(default_factory=list)
    base: str = ""
    first: int = 0


class GetCurve(Asks, frozen=True, kw_only=True):
    """One chart of curves, or a stretch of it."""

    runs: str = ""
    key: str = ""
    x: Literal["step", "time", "relative"] = "step"
    log: str = ""
    first: float | None = None
    last: float | None = None


def compare(desk: Desk, asked: GetCompare) -> Reply:
    """The page."""
    details = _details(desk, asked.runs)
    wanted = _ids(asked.runs)
    if len(details) < 1:
        return page(desk, "compare.html", title="Compare", at="runs", details=(), wanted=len(wanted))
    steps = desk.catalog.tracking.compared.steps([detail.run.id for detail in details])
    called, facts = values.names(details), values.facts(values.with_steps(details, steps, _made(desk, steps)))
    base = next((place for place, detail in enumerate(details) if detail.run.id == asked.base), 0)
    first = min(max(asked.first, 0), len(details) - 1) // values.COLUMNS * values.COLUMNS
    takes_all = "csv" in desk.query()
    shown = facts if takes_all else facts[: values.MOST_KEYS]
    tables = (
        values.table(details, shown, 0 if takes_all else first, len(details) if takes_all else values.COLUMNS),
        causes.origins(desk, details, called), causes.differences(steps, details, called, base), causes.data(desk, steps, details, called),
    )  # fmt: skip
    return page(
        desk, "compare.html", title=f"Compare {len(details)} runs", at="runs", tables=tables, details=details, called=called, asked=asked,
        wanted=len(wanted), of_steps=causes.of_steps(steps, details), base=base, first=first, columns=values.COLUMNS, facts=shown,
        differing=sum(fact.differs for fact in facts), keys=len(facts), **_drawn(desk, asked, details, called, facts),
    )  # fmt: skip


def _made(desk: Desk, steps: Mapping[str, Sequence[KeyedStep]]) -> dict[str, RunDetail]:
    """The attempts that stand for the steps."""
    wanted = {step.result for some in steps.values() for step in some if step.result}
    return {detail.run.id: detail for detail in _seen(desk, sorted(wanted)[:_MOST_ATTEMPTS])}


def _drawn(desk: Desk, asked: GetCompare, details: Sequence[RunDetail], called: Sequence[str], facts: Facts) -> dict[str, Any]:
    """The charts, and what there is to choose for each."""
    ids = [detail.run.id for detail in details]
    curved = sorted(desk.catalog.tracking.compared.curved(ids), key=lambda key: key.startswith(SYSTEM))
    laid = [key for key in asked.metric if key in curved][:_MOST_CHARTS] or curved[: _LAID if len(ids) <= _FEW else 1]
    numeric = plots.numeric(facts)
    across, up = plots.chosen(numeric, asked.across, "param"), plots.chosen(numeric, asked.up, "metric")
    along = plots.axes(facts, asked.axes)
    scatter = plots.scatter(called, across, up) if across and up else None
    parallel = plots.parallel(details, called, along, whole="csv" in desk.query())
    sources = [(key, curves.address(ids, curves.Stretch(key=key, along=asked.x, is_log=bool(asked.log)))) for key in laid]
    return {
        "curved": curved[:100], "laid": laid, "sources": sources, "charts": tuple(one for one in (scatter, parallel) if one),
        "axes": [plots.name(fact) for fact in along], "numeric": [plots.name(fact) for fact in numeric][:100],
        "keyed": [plots.name(fact) for fact in facts][:100], "across": plots.name(across) if across else "",
        "up": plots.name(up) if up else "",
    }  # fmt: skip


def curve(desk: Desk, asked: GetCurve) -> Reply:
    """A chart of curves as JSON, or as CSV with `csv=`."""
    details = _details(desk, asked.runs)
    stretch = curves.Stretch(key=asked.key, along=asked.x, is_log=bool(asked.log), first=asked.first, last=asked.last)
    drawn = curves.chart(desk, details, values.names(details), stretch)
    if "csv" in desk.query():
        named = (b"content-disposition", b'attachment; filename="compare-curve.csv"')
        return Reply(body=drawn.csv(), media_type="text/csv; charset=utf-8", headers=(named,))
    return Reply(body=msgspec.json.encode(drawn), media_type="application/json", headers=((b"cache-control", b"no-store"),))


def _ids(asked: str) -> list[str]:
    found = list(dict.fromkeys(one.strip() for one in asked.split(",") if one.strip()))
    if len(found) > MOST_RUNS:
        raise Fault("INVALID_PARAMETER_VALUE", f"At most {MOST_RUNS} runs are compared at once: choose fewer")
    return found


def _details(desk: Desk, asked: str) -> list[RunDetail]:
    return _seen(desk, _ids(asked))


def _seen(desk: Desk, ids: Sequence[str]) -> list[RunDetail]:
    """The runs that one may see, of these, in that order."""
    seen = desk.sees("experiment")
    found = desk.catalog.tracking.details.of(ids)
    return [detail for detail in found if seen is None or str(detail.run.experiment) in seen]


ENDPOINTS: Final = (
    Endpoint("GET", "/compare", GetCompare, "experiment.list", on_server, compare),
    Endpoint("GET", "/compare/curve", GetCurve, "experiment.list", on_server, curve),
)
