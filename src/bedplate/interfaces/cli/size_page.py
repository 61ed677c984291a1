"""The answer to a sizing question as one self-contained page: no script, no font, no link outside; for screen, telephone and paper.

Choices: the recommendation and its reasons come first, then what it rests on; every chart has a table of the same figures beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from bedplate.core.drawing.page import page, section, table, tile, tiles
from bedplate.core.errors import UserError
from bedplate.planner.asking.sizing import Assumption, Breakdown, Design, Sizing
from bedplate.planner.showing import charts
from bedplate.planner.showing.percentiles import percentiles, unplayed
from bedplate.planner.showing.words import (
    OBJECTIVES,
    goals,
    label,
    layout,
    news,
    offer,
    ordered,
    part_label,
    ranged,
    target,
    title,
    unit_of,
    workload,
    written,
)

CSS = Path(__file__).with_name("size_page.css")
TILES = (
    "time_s",
    "cost_usd",
    "accelerators",
    "power_w",
    "carbon_kg",
    "usd_per_month",
    "usd_per_useful_accel_hour",
    "usd_per_million_tokens",
    "ttft_p99_s",
    "tpot_p99_s",
    "latency_p99_s",
    "usd_per_thousand_items",
    "mfu",
    "input_stall",
)
MOST_TILES = 6


def write_page(found: Sizing, path: Path) -> None:
    """Write the page. Raises UserError where that cannot be done."""
    try:
        path.write_text(sizing_page(found), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path} cannot be written", why=error.strerror or str(error), next="--html FILE, in a folder that is there"
        ) from None


def sizing_page(found: Sizing) -> str:
    """The whole HTML page."""
    best = found.best
    chosen = [_refused(found)]
    if best is not None:
        chosen = [_tiles(best), _choice(found), _numbers(found), percentiles(found), _breakdowns(best.breakdowns), _machines(found)]
    rest = [_pair(_front(found), _tornado(found)), _timeline(found), _options(found), _assumptions(found.assumptions), _foot()]
    return page(title(found.question), [_head(found), *chosen, *rest], CSS)


def _head(found: Sizing) -> str:
    said = [f"{escape(name)} {escape(value)}" for name, value in goals(found.question)]
    asked = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in workload(found.question))
    limits = "; ".join(said) or "no limit was set"
    return f'<header><h1>{escape(title(found.question))}</h1><p class="soft">Limits: {limits}</p><dl>{asked}</dl></header>'


def _tiles(best: Design) -> str:
    names = [name for name in TILES if news(name, best)][:MOST_TILES]
    made = [tile(written(n, best.quantities[n].value), escape(label(n, best)), escape(ranged(n, best.quantities[n]))) for n in names]
    return tiles(*made)


def _choice(found: Sizing) -> str:
    best = found.best
    assert best is not None
    items = [f"<li class=calm>{escape(reason)}</li>" for reason in found.reasons]
    if found.binding is not None:
        bound = found.binding
        more = f"{bound.relaxed[:1].upper()}{bound.relaxed[1:]}." if bound.relaxed else ""
        items.append(f'<li class="binds"><b>What binds: {escape(bound.constraint)}</b>, {escape(bound.limit)}. {escape(more)}</li>')
    items += [f"<li><b>Note:</b> {escape(warning)}</li>" for warning in found.warnings]
    about = f"{escape(offer(best))}. Looked for: {escape(OBJECTIVES.get(found.objective, found.objective))}, of {found.searched:,} designs."
    return section(f"The choice: {escape(best.name)}", about, f'<ul class="findings">{"".join(items)}</ul>')


def _refused(found: Sizing) -> str:
    items = "".join(f'<li class="bad">{escape(one)}</li>' for one in found.conflict)
    about = f"These cannot be met together; {found.searched:,} designs were looked at."
    return f"<br>{section('No design keeps to every limit', about, f'<ul class=findings>{items}</ul>')}"


def _numbers(found: Sizing) -> str:
    best, second = found.best, found.runner_up
    assert best is not None
    names = ordered(best)
    rows = [
        [escape(label(n, best)), _cell(n, best), *([_cell(n, second)] if second else []), escape(best.quantities[n].basis)] for n in names
    ]
    if best.layout:
        rows.append(["layout", escape(layout(best)), *([escape(layout(second))] if second else []), ""])
    rows.append(["offer", escape(offer(best)), *([escape(offer(second))] if second else []), ""])
    heads = ["", "the choice", *([f"the runner-up: {escape(second.name)}"] if second else []), "what it rests on"]
    lost = f" The runner-up lost: {escape(second.lost)}." if second else ""
    about = f"A range is meant to hold the true value 8 times in 10; docs/reference/accuracy.md says how often it did.{lost}"
    return section("In numbers", about, f'<div class="wrap">{table(heads, rows)}</div>')


def _cell(name: str, design: Design) -> str:
    found = design.quantities.get(name)
    if found is None:
        return ""
    inside = ranged(name, found)
    return escape(written(name, found.value)) + (f'<span class="range">{escape(inside)}</span>' if inside else "")


def _breakdowns(given: Sequence[Breakdown]) -> str:
    return _pair(*(_breakdown(one) for one in given if one.parts and one.total > 0))


def _breakdown(one: Breakdown) -> str:
    write = unit_of(one.unit)
    name, whole = escape(one.name).capitalize(), escape(write(one.total))
    rows = [
        [
            f'<span class="swatch s-{at % charts.FILLS}">{charts.letter(at)}</span> {escape(part_label(one.name, part.name))}',
            escape(write(part.value)),
            f"{part.value / one.total:.1%}",
        ]
        for at, part in enumerate(one.parts)
    ]
    listed = f'<div class="parts">{table((), rows)}</div>'
    if len(one.parts) > charts.MOST_PARTS:
        return section(f"{name}: {whole}", "", charts.columns(one), f"<details><summary>in numbers</summary>{listed}</details>")
    return section(f"{name}: {whole}", "", charts.stacked(one), listed)


def _machines(found: Sizing) -> str:
    """The drawings that came with the answer; else the machines by their layout."""
    best = found.best
    if found.drawings:
        return _pair(*(section(escape(d.name).capitalize(), escape(d.note), charts.sketch(d)) for d in found.drawings))
    drawn = charts.machines(best) if best else ""
    return section("The machines", escape(f"{offer(best)}: {layout(best)}"), drawn) if best and drawn else ""


def _front(found: Sizing) -> str:
    designs = charts.shown_of(found.front, found.best)
    axes = charts.plane(designs)
    if axes is None:
        return _ways(found)
    across, up, size = axes
    about = f"What no other design beats in time, money and energy at once{f'; a larger dot takes more: {label(size)}' if size else ''}."
    names = [name for name in axes if name]
    rows = [[str(at), escape(d.name), escape(f"{d.provider} {d.term}"), *(_value(n, d) for n in names)] for at, d in enumerate(designs, 1)]
    listed = table(["", "design", "offer", *(label(n) for n in names)], rows)
    folded = f"<details><summary>the {len(designs)} designs</summary>{listed}</details>"
    return section(f"{label(up).capitalize()} against {label(across)}", about, charts.front(designs, found.best, axes), folded)


def _ways(found: Sizing) -> str:
    """The options as bars, where there is no front."""
    name = target(found)
    designs = [one for one in found.options if name in one.quantities][: charts.MOST_BARS]
    if len(designs) < 2:
        return ""
    return section(f"{label(name).capitalize()} of each way", "The whisker is the 80 % range.", charts.bars(designs, name, found.best))


def _tornado(found: Sizing) -> str:
    if not found.sensitivities:
        return ""
    name, best = target(found), found.best
    ends = [value for one in found.sensitivities for value in (one.low, one.high)]
    now = best.quantities[name].value if best and name in best.quantities else None
    inside = now is not None and min(ends) <= now <= max(ends)
    about = f"The {label(name)} when one assumption at a time is low or high{'; the dashed line is the choice' if inside else ''}."
    return section("What it hangs on", about, charts.tornado(found.sensitivities[: charts.MOST_BARS], name, now if inside else None))


def _timeline(found: Sizing) -> str:
    if not found.timeline:
        return ""
    return section("Time line", "In weeks from the decision.", charts.timeline(found.timeline))


def _options(found: Sizing) -> str:
    names = [n for n in ("time_s", "cost_usd", "power_w", "carbon_kg") if any(news(n, d) for d in found.options)]
    if not found.options:
        return ""
    rows = [
        [
            escape(d.name) + (' <span class="tag soft">the choice</span>' if charts.same(d, found.best) else ""),
            escape(d.provider), escape(d.term), *(_value(n, d) for n in names), unplayed(d, found) if d.feasible else "breaks a limit",
        ]
        for d in found.options
    ]  # fmt: skip
    listed = table(["design", "from", "term", *(label(n, found.options[0]) for n in names), ""], rows)
    about = f"The best of each machine and term, of {found.searched:,} designs."
    return section("Options", about, f'<div class="wrap">{listed}</div>')


def _value(name: str, design: Design) -> str:
    return escape(written(name, design.quantities[name].value)) if name in design.quantities else ""


def _assumptions(given: Sequence[Assumption]) -> str:
    rows = [
        [
            escape(one.name), escape(one.value), escape(one.source), escape(one.as_of),
            "checked" if one.verified else '<span class="tag warn">unverified</span>',
        ]
        for one in given
    ]  # fmt: skip
    doubtful = sum(not one.verified for one in given)
    about = f"{len(given)} figures, each with its source; {doubtful} of them unverified: from memory or a single source."
    return section("What it rests on", about, f'<div class="wrap">{table(("figure", "value", "source", "date", ""), rows)}</div>')


def _pair(*sections: str) -> str:
    kept = [one for one in sections if one]
    return f'<div class="pair">{"".join(kept)}</div>' if kept else ""


def _foot() -> str:
    return '<footer class="soft"><p>Made by bedplate size. Ranges are meant to hold the true value 8 times in 10.</p></footer>'
