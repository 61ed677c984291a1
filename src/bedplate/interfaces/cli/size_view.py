"""The answer to a sizing question, drawn on a terminal: the choice beside the runner-up, where time, memory and money go, what binds.

Choices: every number shows its 80 % range; a bar is never the only carrier of a figure; what is unverified says so in words.
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bedplate.planner.asking.sizing import Breakdown, Design, Simulated, Sizing
from bedplate.planner.showing.percentiles import HEADS, instance, rows, unplayed
from bedplate.planner.showing.words import label, laid_out, layout, news, offer, ordered, part_label, shown, target, unit_of, written

from .blocks import bar
from .common import console, table

BAR = 36
FRONT = 8
MOST_PARTS = 16
ONE_LINE = 8
"""Entries of a layout that go on one line."""


def draw(found: Sizing) -> None:
    """Print the whole answer."""
    out = console()
    if found.best is None:
        _refused(out, found)
    else:
        out.print(f"[bold]{escape(found.best.name)}[/bold]  [dim]{escape(offer(found.best))}[/dim]")
        _designs(out, found)
        for reason in found.reasons:
            out.print(f"  - {escape(reason)}")
        if found.binding is not None:
            more = f"; {found.binding.relaxed}" if found.binding.relaxed else ""
            out.print(f"  - binds: {escape(found.binding.constraint)} ({escape(found.binding.limit)}){escape(more)}")
        if found.best.simulated is not None:
            _percentiles(out, found.best.simulated)
        for breakdown in found.best.breakdowns:
            _breakdown(out, breakdown)
    _options(out, found)
    _tornado(out, found)
    _foot(out, found)


def _designs(out: Console, found: Sizing) -> None:
    best, second = found.best, found.runner_up
    assert best is not None
    drawn = table("", "the choice", *(["the runner-up"] if second else []))
    for name in (one for one in ordered(best) if news(one, best)):
        cells = [shown(name, best.quantities[name])]
        if second is not None:
            cells.append(shown(name, second.quantities[name]) if name in second.quantities else "")
        drawn.add_row(label(name, best), *cells)
    if max(len(best.layout), len(second.layout) if second else 0) > ONE_LINE:
        _laid_out(drawn, best, second)
    elif best.layout or (second and second.layout):
        drawn.add_row("layout", escape(layout(best)), *([escape(layout(second))] if second else []))
    out.print(drawn)
    if second is not None:
        out.print(f"[dim]the runner-up, {escape(second.name)}: {escape(second.lost)}[/dim]")


def _laid_out(drawn: Table, best: Design, second: Design | None) -> None:
    """A long layout: a row for each of its entries."""
    mine, others = dict(laid_out(best)), dict(laid_out(second)) if second else {}
    for name in dict.fromkeys((*mine, *others)):
        drawn.add_row(escape(name), escape(mine.get(name, "")), *([escape(others.get(name, ""))] if second else []))


def _percentiles(out: Console, found: Simulated) -> None:
    """What the choice's requests get, by simulation and by the closed form."""
    out.print(f"\n[bold]simulated[/bold]  [dim]{escape(instance(found))}[/dim]")
    drawn = table("", *(f"#{head}" for head in HEADS[1:]))
    for row in rows(found):
        drawn.add_row(*(escape(cell) for cell in row))
    out.print(drawn)


def _breakdown(out: Console, breakdown: Breakdown) -> None:
    write = unit_of(breakdown.unit)
    values = [part.value for part in breakdown.parts]
    head = f"\n[bold]{escape(breakdown.name)}[/bold]  {write(breakdown.total)}"
    if len(values) > MOST_PARTS:
        out.print(f"{head}, each from {write(min(values))} to {write(max(values))}")
        return
    out.print(head)
    most = max(values, default=0.0)
    drawn = table("", "", "#", "#")
    for part in breakdown.parts:
        share = f"{part.value / (breakdown.total or 1):.1%}"
        drawn.add_row(escape(part_label(breakdown.name, part.name)), bar(part.value, most, BAR), write(part.value), share)
    drawn.show_header = False
    out.print(drawn)


def _options(out: Console, found: Sizing) -> None:
    """The best design of every accelerator and term, in order."""
    rows = [design for design in found.options if found.best is None or design.name != found.best.name or design.term != found.best.term]
    if not rows:
        return
    power = "power_w" if found.question.limits.max_power_w is None else "power_max_w"
    names = [n for n in ("time_s", "cost_usd", power) if any(news(n, d) for d in rows)]
    out.print(f"\n[bold]other options[/bold]  [dim]of {found.searched:,} designs looked at[/dim]")
    drawn = table("", "pay", *(f"#{label(n, rows[0])}" for n in names), "")
    for design in rows[:FRONT]:
        cells = [written(n, design.quantities[n].value) if n in design.quantities else "" for n in names]
        drawn.add_row(
            escape(design.name),
            escape(f"{design.provider} {design.term}".strip()),
            *cells,
            escape(_broken(design) or unplayed(design, found)),
        )
    out.print(drawn)


def _broken(design: Design) -> str:
    """The names of the limits that a design breaks."""
    return "" if design.feasible else "breaks " + ", ".join(one.split(":")[0] for one in design.lost.split("; "))


def _tornado(out: Console, found: Sizing) -> None:
    """How the objective moves with each assumption, widest first."""
    bars, name = found.sensitivities, target(found)
    if not bars:
        return
    out.print("\n[bold]what it hangs on[/bold]")
    widest = max(abs(one.high - one.low) for one in bars)
    drawn = table("", "", "from", "to", f"#{label(name)} from", "#to")
    for one in bars:
        cells = (escape(one.low_input), escape(one.high_input), written(name, one.low), written(name, one.high))
        drawn.add_row(escape(one.name), bar(abs(one.high - one.low), widest, BAR // 2), *cells)
    out.print(drawn)


def _refused(out: Console, found: Sizing) -> None:
    out.print("[bold red]no design keeps to every limit[/bold red]; these cannot be met together:")
    for one in found.conflict:
        out.print(f"  - {escape(one)}")


def _foot(out: Console, found: Sizing) -> None:
    doubtful = sum(not one.verified for one in found.assumptions)
    out.print(
        f"\n[dim]ranges are meant to hold 8 times in 10; {len(found.assumptions)} figures with their sources: --html, --report"
        f"{f'; {doubtful} of them unverified' if doubtful else ''}[/dim]"
    )
    for warning in found.warnings:
        out.print(f"[yellow]! {escape(warning)}[/yellow]")
