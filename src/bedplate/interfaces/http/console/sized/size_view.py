"""An answer of `size` as the tables and drawings of a page. The drawings are our own SVG: every text in it was escaped as it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from markupsafe import Markup

from bedplate.core.records import Record
from bedplate.interfaces.http.console.tables import Column, State, Table, Value
from bedplate.planner.asking.sizing import Breakdown, Design, Sizing
from bedplate.planner.showing import charts
from bedplate.planner.showing.percentiles import HEADS, rows, unplayed
from bedplate.planner.showing.words import label, laid_out, layout, news, offer, ordered, part_label, ranged, target, unit_of, written

_TILES: Final = (
    "time_s", "cost_usd", "accelerators", "power_w", "carbon_kg", "usd_per_month", "usd_per_million_tokens", "ttft_p99_s", "tpot_p99_s",
    "latency_p99_s", "usd_per_thousand_items", "mfu",
)  # fmt: skip
_MOST_TILES: Final = 6
_PLANE: Final = ("time_s", "cost_usd", "energy_kwh", "power_w")


class Drawn(Record, frozen=True, kw_only=True):
    """A drawing with its words; `parts` are (place of the fill, letter, words, value, share) of a bar, `name` is of its table."""

    name: str
    title: str
    about: str = ""
    svg: Markup
    parts: tuple[tuple[int, str, str, str, str], ...] = ()


class Point(Record, frozen=True, kw_only=True):
    """A design of the front, to be looked at: its number, words, and its quantities."""

    number: int
    name: str
    offer: str
    layout: str
    quantities: tuple[tuple[str, str, str], ...]
    is_best: bool


def tiles(best: Design) -> list[tuple[str, str, str]]:
    """The figures that stand out: words, value, range."""
    names = [name for name in _TILES if news(name, best)][:_MOST_TILES]
    return [(label(name, best), written(name, best.quantities[name].value), ranged(name, best.quantities[name])) for name in names]


def tables(found: Sizing) -> tuple[Table, ...]:
    """Everything that is numbers, to be shown and taken away."""
    made = [_figures(found), _options(found), _front(found), _swings(found), _assumptions(found), _weeks(found), _times(found)]
    made += [_parts(one) for one in (found.best.breakdowns if found.best else ())]
    return tuple(made)


def _figures(found: Sizing) -> Table:
    best, second = found.best, found.runner_up
    columns = [Column("quantity", "Figure"), Column("choice", "The choice"), Column("choice_range", "8 times in 10")]
    if second is not None:
        columns += [Column("second", "The runner-up"), Column("second_range", "8 times in 10")]
    columns.append(Column("basis", "Rests on"))
    shown: list[tuple[Value, ...]] = []
    for name in ordered(best) if best else ():
        cells = [cell for design in (best, second) if design is not None for cell in _cells(name, design)]
        shown.append((label(name, best), *cells, best.quantities[name].basis if best else ""))
    entries = [dict(laid_out(design)) for design in (best, second) if design is not None]
    for name in dict.fromkeys(key for one in entries for key in one):
        shown.append((name, *(cell for one in entries for cell in (one.get(name, ""), "")), "layout"))
    return Table(name="numbers", columns=tuple(columns), rows=shown)


def _cells(name: str, design: Design) -> tuple[str, str]:
    found = design.quantities.get(name)
    return ("", "") if found is None else (written(name, found.value), ranged(name, found))


def _options(found: Sizing) -> Table:
    names = [n for n in ("time_s", "cost_usd", "power_w", "carbon_kg") if any(news(n, d) for d in found.options)]
    columns = (Column("design", "Design"), Column("provider", "From"), Column("term", "Pay"),
               *(_column(n, found.options[0]) for n in names), Column("standing", ""))  # fmt: skip
    shown = [(d.name, d.provider, d.term, *(_amount(n, d) for n in names), _standing(d, found)) for d in found.options]
    return Table(name="options", columns=columns, rows=shown)


def _column(name: str, design: Design | None = None) -> Column:
    """A quantity's column: of money a number, of all else the words that name its unit."""
    return Column(name, label(name, design).capitalize(), "usd" if name == "cost_usd" else "text")


def _amount(name: str, design: Design) -> Value:
    found = design.quantities.get(name)
    return None if found is None else found.value if name == "cost_usd" else written(name, found.value)


def _standing(design: Design, found: Sizing) -> Value:
    if charts.same(design, found.best):
        return State("the choice", "good")
    return (
        unplayed(design, found)
        if design.feasible
        else State(f"breaks {design.lost.split(':')[0]}" if design.lost else "breaks a limit", "warn")
    )


def _front(found: Sizing) -> Table:
    """In numbers of the units that the keys name: it is taken away, and drawn on the page."""
    names = [n for n in _PLANE if any(n in d.quantities for d in found.front)]
    columns = (Column("design", "Design"), Column("offer", "Offer"), *(Column(n, label(n), "number") for n in names))
    shown = [(d.name, offer(d), *(d.quantities[n].value if n in d.quantities else None for n in names)) for d in found.front]
    return Table(name="front", columns=columns, rows=shown)


def _swings(found: Sizing) -> Table:
    name = target(found)
    columns = (Column("assumption", "Assumption"), Column("from", "From"), Column("to", "To"),
               Column("low", f"{label(name).capitalize()} then"), Column("high", "to"))  # fmt: skip
    shown = [(s.name, s.low_input, s.high_input, written(name, s.low), written(name, s.high)) for s in found.sensitivities]
    return Table(name="sensitivities", columns=columns, rows=shown)


def _assumptions(found: Sizing) -> Table:
    columns = (Column("figure", "Figure"), Column("value", "Value"), Column("source", "Source"), Column("date", "As of"),
               Column("standing", "", "state"))  # fmt: skip
    shown = [
        (one.name, one.value, one.source, one.as_of, State("checked", "good") if one.verified else State("unverified", "warn"))
        for one in found.assumptions
    ]
    return Table(name="assumptions", columns=columns, rows=shown)


def _weeks(found: Sizing) -> Table:
    columns = (Column("milestone", "Milestone"), Column("start_week", "Begins in week", "number"), Column("weeks", "Weeks", "number"))
    return Table(name="timeline", columns=columns, rows=[(one.name, one.start_week, one.weeks) for one in found.timeline])


def _times(found: Sizing) -> Table:
    columns = tuple(Column(f"c{at}", head) for at, head in enumerate(HEADS))
    simulated = found.best.simulated if found.best else None
    return Table(name="percentiles", columns=columns, rows=list(rows(simulated)) if simulated else [])


def _parts(one: Breakdown) -> Table:
    columns = (Column("part", "Part"), Column("value", one.unit, "number"), Column("share", "Share", "number"))
    shown = [(part_label(one.name, part.name), part.value, part.value / (one.total or 1.0)) for part in one.parts]
    return Table(name=_named(one), columns=columns, rows=shown)


def _named(one: Breakdown) -> str:
    return "parts-" + one.name.replace(" ", "-")


def breakdowns(found: Sizing) -> Iterator[Drawn]:
    """The step, the memory, the money: each one bar of its parts, or columns where they are many."""
    for one in found.best.breakdowns if found.best else ():
        if not one.parts or one.total <= 0:
            continue
        write, many = unit_of(one.unit), len(one.parts) > charts.MOST_PARTS
        parts = tuple(
            (at % charts.FILLS, charts.letter(at), part_label(one.name, part.name), write(part.value), f"{part.value / one.total:.1%}")
            for at, part in enumerate(one.parts)
        )
        svg = charts.columns(one) if many else charts.stacked(one)
        yield Drawn(name=_named(one), title=f"{one.name.capitalize()}: {write(one.total)}", svg=Markup(svg), parts=() if many else parts)


def drawings(found: Sizing) -> Iterator[Drawn]:
    """The rack and the fabric; else the machines by their layout."""
    for one in found.drawings:
        yield Drawn(name=one.name.replace(" ", "-"), title=one.name.capitalize(), about=one.note, svg=Markup(charts.sketch(one)))
    best = found.best
    if not found.drawings and best is not None and (svg := charts.machines(best)):
        yield Drawn(name="machines", title="The machines", about=f"{offer(best)}: {layout(best)}", svg=Markup(svg))


def plots(found: Sizing) -> Iterator[Drawn]:
    """The front, or the ways as bars; what it hangs on; the time line."""
    designs, name = charts.shown_of(found.front, found.best), target(found)
    axes = charts.plane(designs)
    ways = [one for one in found.options if name in one.quantities][: charts.MOST_BARS]
    if axes is not None:
        across, up, size = axes
        about = (
            f"What no other design beats in time, money and energy at once{f'; a larger dot takes more: {label(size)}' if size else ''}."
        )
        svg = Markup(charts.front(designs, found.best, axes, "#design-"))
        yield Drawn(
            name="front", title=f"{label(up).capitalize()} against {label(across)}", about=f"{about} Click a point: its design.", svg=svg
        )
    elif len(ways) > 1:
        about = "The whisker is the range that should hold 8 times in 10."
        yield Drawn(
            name="options", title=f"{label(name).capitalize()} of each way", about=about, svg=Markup(charts.bars(ways, name, found.best))
        )
    if found.sensitivities:
        yield _tornado(found, name)
    if found.timeline:
        yield Drawn(name="timeline", title="Time line", about="In weeks from the decision.", svg=Markup(charts.timeline(found.timeline)))


def _tornado(found: Sizing, name: str) -> Drawn:
    best, shown = found.best, found.sensitivities[: charts.MOST_BARS]
    ends = [value for one in shown for value in (one.low, one.high)]
    now = best.quantities[name].value if best and name in best.quantities else None
    inside = now is not None and min(ends) <= now <= max(ends)
    about = f"The {label(name)} when one assumption at a time is low or high{'; the dashed line is the choice' if inside else ''}."
    return Drawn(
        name="sensitivities", title="What it hangs on", about=about, svg=Markup(charts.tornado(shown, name, now if inside else None))
    )


def points(found: Sizing) -> list[Point]:
    """The designs of the front, by the numbers of their dots."""
    designs = charts.shown_of(found.front, found.best)
    return [_point(at, design, found) for at, design in enumerate(designs, 1)] if charts.plane(designs) else []


def _point(at: int, design: Design, found: Sizing) -> Point:
    names: Sequence[str] = [name for name in ordered(design) if news(name, design)]
    told = tuple(
        (label(name, design), written(name, design.quantities[name].value), ranged(name, design.quantities[name])) for name in names
    )
    return Point(
        number=at, name=design.name, offer=offer(design), layout=layout(design), quantities=told, is_best=charts.same(design, found.best)
    )  # fmt: skip
