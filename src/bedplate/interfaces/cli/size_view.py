"""The answer to a sizing question, drawn on a terminal: the choice beside the runner-up, where time, memory and money go, what binds.

Choices: every number shows its 80 % range; a bar is never the only carrier of a figure; what is unverified says so in words.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from bedplate.core.units import show_bytes, show_count, show_days, show_seconds, show_usd, show_watts
from bedplate.planner.estimate import Estimate
from bedplate.planner.sizing import Breakdown, Design, Sensitivity, Sizing

from .blocks import bar
from .common import console, table

Show = Callable[[float], str]


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _energy(value: float) -> str:
    return f"{value / 1e6:.3g} GWh" if value >= 1e6 else f"{value / 1e3:.3g} MWh" if value >= 1e3 else f"{value:.3g} kWh"


def _carbon(value: float) -> str:
    return f"{value / 1000:.3g} t CO2e" if value >= 1000 else f"{value:.3g} kg CO2e"


QUANTITIES: dict[str, tuple[str, Show]] = {
    "time_s": ("time", show_days),
    "cost_usd": ("cost", show_usd),
    "capex_usd": ("to be invested", show_usd),
    "usd_per_month": ("a month", show_usd),
    "usd_per_useful_accel_hour": ("an accelerator-hour of use", lambda v: f"${v:.2f}"),
    "usd_per_million_tokens": ("a million tokens out", lambda v: f"${v:.3g}"),
    "accelerators": ("accelerators", lambda v: f"{v:,.0f}"),
    "power_w": ("power at the meter", show_watts),
    "energy_kwh": ("energy at the meter", _energy),
    "carbon_kg": ("carbon", _carbon),
    "step_time_s": ("step", show_seconds),
    "tokens_per_s": ("tokens a second", show_count),
    "output_tokens_per_s": ("tokens a second out", show_count),
    "mfu": ("share of the peak (MFU)", _percent),
    "goodput": ("useful share of the time", _percent),
    "peak_mem_bytes": ("memory of the fullest", show_bytes),
    "ttft_s": ("first token, mean", show_seconds),
    "ttft_p99_s": ("first token, 99 %", show_seconds),
    "tpot_s": ("a token, mean", show_seconds),
    "tpot_p99_s": ("a token, 99 %", show_seconds),
    "energy_per_token_j": ("energy a token out", lambda v: f"{v:.3g} J"),
}
"""Quantities of a design in the order they are shown: what they are called and how they are written. Others follow by their own name."""

UNITS: dict[str, Show] = {"s": show_seconds, "bytes": show_bytes, "USD": show_usd, "W": show_watts}
BAR = 36
FRONT = 8


def draw(found: Sizing) -> None:
    """Print the whole answer."""
    out = console()
    if found.best is None:
        _refused(out, found)
    else:
        out.print(f"[bold]{escape(found.best.name)}[/bold]  [dim]{escape(_offer(found.best))}[/dim]")
        _designs(out, found)
        for reason in found.reasons:
            out.print(f"  - {escape(reason)}")
        if found.binding is not None:
            out.print(f"  - binds: {escape(found.binding.constraint)} ({escape(found.binding.limit)}); {escape(found.binding.relaxed)}")
        for breakdown in found.best.breakdowns:
            _breakdown(out, breakdown)
    _options(out, found)
    _tornado(out, found.sensitivities)
    _foot(out, found)


def shown(name: str, estimate: Estimate) -> str:
    """A number with its range: `20.6 days (18.1 - 23.4)`."""
    write = QUANTITIES[name][1] if name in QUANTITIES else _with("")
    if estimate.low == estimate.high:
        return write(estimate.value)
    return f"{write(estimate.value)} ({write(estimate.low)} - {write(estimate.high)})"


def label(name: str) -> str:
    """What a quantity is called for people."""
    return QUANTITIES[name][0] if name in QUANTITIES else name.replace("_", " ")


def _offer(design: Design) -> str:
    return " ".join(word for word in (design.provider, design.node, design.region, design.term) if word)


def ordered(design: Design) -> list[str]:
    """A design's quantities in the order they are shown."""
    return [n for n in QUANTITIES if n in design.quantities] + [n for n in design.quantities if n not in QUANTITIES]


def _designs(out: Console, found: Sizing) -> None:
    best, second = found.best, found.runner_up
    assert best is not None
    drawn = table("", "the choice", *(["the runner-up"] if second else []))
    for name in ordered(best):
        cells = [shown(name, best.quantities[name])]
        if second is not None:
            cells.append(shown(name, second.quantities[name]) if name in second.quantities else "")
        drawn.add_row(label(name), *cells)
    drawn.add_row("layout", _layout(best), *([_layout(second)] if second else []))
    if second is not None:
        drawn.add_row("", "", f"[dim]{escape(second.name)}: {escape(second.lost)}[/dim]")
    out.print(drawn)


def _layout(design: Design) -> str:
    return escape(", ".join(f"{name} {value}" for name, value in design.layout.items()))


def _breakdown(out: Console, breakdown: Breakdown) -> None:
    write = UNITS.get(breakdown.unit) or _with(breakdown.unit)
    out.print(f"\n[bold]{escape(breakdown.name)}[/bold]  {write(breakdown.total)}")
    most = max((part.value for part in breakdown.parts), default=0.0)
    drawn = table("", "", "#", "#")
    for part in breakdown.parts:
        drawn.add_row(escape(part.name), bar(part.value, most, BAR), write(part.value), f"{part.value / (breakdown.total or 1):.1%}")
    drawn.show_header = False
    out.print(drawn)


def _with(unit: str) -> Show:
    return lambda value: f"{value:,.3g} {unit}"


def _options(out: Console, found: Sizing) -> None:
    """The best design of every accelerator and term, in order."""
    rows = [design for design in found.options if found.best is None or design.name != found.best.name or design.term != found.best.term]
    if not rows:
        return
    names = [n for n in ("time_s", "cost_usd", "power_w") if any(n in d.quantities for d in rows)]
    out.print(f"\n[bold]other options[/bold]  [dim]of {found.searched:,} designs looked at[/dim]")
    drawn = table("", "pay", *(f"#{label(n)}" for n in names))
    for design in rows[:FRONT]:
        cells = [QUANTITIES[n][1](design.quantities[n].value) if n in design.quantities else "" for n in names]
        drawn.add_row(escape(design.name), escape(f"{design.provider} {design.term}".strip()), *cells)
    out.print(drawn)


def _tornado(out: Console, bars: tuple[Sensitivity, ...]) -> None:
    """How the objective moves with each assumption, widest first."""
    if not bars:
        return
    out.print("\n[bold]what it hangs on[/bold]")
    widest = max(abs(one.high - one.low) for one in bars)
    drawn = table("", "", "from", "to", "#answer from", "#to")
    for one in bars:
        cells = (escape(one.low_input), escape(one.high_input), f"{one.low:,.4g}", f"{one.high:,.4g}")
        drawn.add_row(escape(one.name), bar(abs(one.high - one.low), widest, BAR // 2), *cells)
    out.print(drawn)


def _refused(out: Console, found: Sizing) -> None:
    out.print("[bold red]no design keeps to every limit[/bold red]; these cannot be met together:")
    for one in found.conflict:
        out.print(f"  - {escape(one)}")


def _foot(out: Console, found: Sizing) -> None:
    doubtful = sum(not one.verified for one in found.assumptions)
    out.print(
        f"\n[dim]ranges hold the true value with a chance of 80 %; {len(found.assumptions)} figures with their sources: --html, --report"
        f"{f'; {doubtful} of them unverified' if doubtful else ''}[/dim]"
    )
    for warning in found.warnings:
        out.print(f"[yellow]! {escape(warning)}[/yellow]")
