"""Size: a question as a form, whose address is the question, and the answer with what it rests on.

The form is there at once; the answer is asked for by the page and worked out in a child (`sizing.py`), then both are shown together, what
is wrong beside its field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from bedplate.core.errors import BedplateError
from bedplate.interfaces.http.console.frame import page
from bedplate.interfaces.http.console.sized import size_view as view
from bedplate.interfaces.http.console.sized.size_form import EXAMPLES, KINDS, beside, form, read
from bedplate.interfaces.http.console.sized.sizing import BUSY, answered
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, Reply, missing, on_server
from bedplate.planner.asking.questions import Cost, Question, Site
from bedplate.planner.asking.sizing import Sizing
from bedplate.planner.facts.systems import BYTES
from bedplate.planner.showing.words import OBJECTIVES, goals, offer, title, workload
from bedplate.storage.systems import load_architectures, load_systems

_FIRST: Final = "train"
_TITLE: Final = "Size"


class GetSize(Asks, frozen=True, kw_only=True):
    """The kind of question, and whether it is to be answered now; the fields are those of the question's record, as text."""

    question: str = ""
    now: str = ""
    csv: str = ""


def size(desk: Desk, asked: GetSize) -> Reply:
    """The form; with the answer where it was asked for."""
    kind = asked.question or _FIRST
    if kind not in KINDS:
        raise missing(f"there is no such question; there are: {', '.join(KINDS)}")
    typed = {name: values for name, values in desk.query().items() if name not in ("question", "now", "csv")}
    is_asked = any(value.strip() for values in typed.values() for value in values)
    question, wrong = read(kind, typed) if is_asked else (None, {})
    found, told, is_busy = None, None, False
    if question is not None and (asked.now or asked.csv):
        try:
            found, told, wrong = _answer(question, kind, typed)
        except Fault as fault:
            if fault.code != BUSY or asked.csv:
                raise
            is_busy = True
    facts: dict[str, Any] = _shown(question, found) if question is not None and found is not None else {"found": None}
    tables = view.tables(found) if found is not None else ()
    return page(
        desk, "size.html", title=title(question) if found and question else _TITLE, at="size", tables=tables,
        form=form(kind, typed, wrong), kinds=[(name, one.title) for name, one in KINDS.items()], examples=EXAMPLES, wrong=told,
        waits=question is not None and (is_busy or not asked.now), is_busy=is_busy, known=_known(), is_asked=is_asked, **facts,
    )  # fmt: skip


def _answer(question: Question, kind: str, typed: Mapping[str, Sequence[str]]) -> tuple[Sizing | None, Any, dict[str, str]]:
    """The answer, or what is wrong: as a whole (what, why, next), or with a field. Raises Fault BUSY."""
    try:
        return answered(question), None, {}
    except BedplateError as error:
        field = beside(error, kind, typed)
        said = "; ".join(part for part in (error.what, error.why, f"next: {error.next}" if error.next else "") if part)
        return (None, None, {field: said}) if field else (None, error, {})


def _shown(question: Question, found: Sizing) -> dict[str, Any]:
    best = found.best
    return {
        "found": found, "tiles": view.tiles(best) if best else [], "workload": workload(question), "goals": goals(question),
        "objective": OBJECTIVES.get(found.objective, found.objective), "offer": offer(best) if best else "",
        "breakdowns": list(view.breakdowns(found)), "drawings": list(view.drawings(found)), "plots": list(view.plots(found)),
        "onward": _onward(found), "points": view.points(found), "doubtful": sum(not one.verified for one in found.assumptions),
    }  # fmt: skip


def _onward(found: Sizing) -> list[tuple[str, str]]:
    """What is asked next of the machines that were chosen: words and address."""
    best = found.best
    if best is None or not best.node or not best.n_nodes or isinstance(found.question, Site | Cost):
        return []
    asks = (("House them", "site", "nodes"), ("What they cost by every way of paying", "cost", "count"))
    return [(words, "/size?" + urlencode({"question": kind, "node": best.node, field: best.n_nodes})) for words, kind, field in asks]


def _known() -> dict[str, list[str]]:
    """Names to choose from, by list."""
    systems, models = load_systems(), load_architectures()
    return {
        "models": sorted(models.rows, key=str.lower), "accelerators": sorted({*systems.accelerators, *systems.nodes}, key=str.lower),
        "nodes": sorted(systems.nodes, key=str.lower), "precisions": list(BYTES), "switches": sorted(systems.switches, key=str.lower),
        "providers": sorted({one.provider for one in systems.prices if one.provider}),
    }  # fmt: skip


ENDPOINTS: Final = (Endpoint("GET", "/size", GetSize, "size.ask", on_server, size),)
