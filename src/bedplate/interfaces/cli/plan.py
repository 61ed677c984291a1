"""`bedplate plan`: what would run and why, and what it should take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import click
from rich.console import Console
from rich.markup import escape

from bedplate.compute.machine import cpu_count
from bedplate.core.errors import UserError
from bedplate.core.records import Forecast
from bedplate.core.units import show_bytes, show_days, show_joules, show_usd
from bedplate.pipeline.plan import Planned, total
from bedplate.pipeline.whole import whole
from bedplate.pipeline.workspace import Workspace
from bedplate.planner.forecasts.critical import WallTime
from bedplate.planner.forecasts.expected import Expected
from bedplate.planner.forecasts.history import join

from . import due
from .common import console, put_json, put_line, table, unit
from .sets import SETS, settings_of
from .verb import Asked, verb

_MARKS = {
    "run": "[green]+ run[/green]",
    "skip": "[dim]= skip[/dim]",
    "maybe": "[yellow]? maybe[/yellow]",
    "blocked": "[bold red]x blocked[/bold red]",
    "serve": "[green]> serve[/green]",
}
_SHOW = {
    "wall_s": show_days, "peak_bytes": show_bytes, "accelerator_bytes": show_bytes, "energy_joules": show_joules, "cost_usd": show_usd,
}  # fmt: skip
_COLUMNS = {
    "wall_s": "#time", "peak_bytes": "#memory", "accelerator_bytes": "#accelerator", "energy_joules": "#energy", "cost_usd": "#money",
}  # fmt: skip
_PARTS = 4
"""Parts of a step that are listed one by one; more are counted by what is to be done about them."""


@verb("[NAME]...")
@SETS
@click.option("--fresh", is_flag=True, help="Plan as if nothing had been made.")
@click.option(
    "--due",
    "is_due",
    is_flag=True,
    help="Say what is due now by the clock, new data, drift, labels or missing parts, and what waits for when.",
)
@click.option("--whole", "is_whole", is_flag=True, help="With --json: the graph, what is due and the budget too, in one object.")
def command(asked: Asked, sets: tuple[str, ...], fresh: bool, is_due: bool, is_whole: bool) -> int:
    """Say for each step whether it would run, why, and the time, memory and energy it should take, from its own history.

    A step that declares a workload, on a target that declares machines, is forecast by the planner before it first ran.
    """
    if is_due:
        return due.plan(asked)
    workspace = asked.look()
    slots = float(workspace.config["cpu"]) or cpu_count()
    if is_whole:
        if asked.names or sets or fresh or not asked.as_json:
            raise UserError("--whole is about the whole project as it is", why="it is for programs", next="bedplate plan --whole --json")
        put_line(whole(workspace, slots, workspace.due().plan(), due.budget(workspace)))
        return 0
    planned = workspace.plan(*asked.names, settings=settings_of(sets), fresh=fresh)
    if asked.as_json:
        put_json(planned)
        return 0
    out = console()
    _steps(out, planned)
    _expected(out, planned, workspace)
    if any(one.action in ("run", "maybe") for one in planned):
        _total(out, total(planned, workspace.graph, slots))
        _record(out, planned)
    elif all(one.action in ("skip", "serve") for one in planned):
        out.print("\nnothing to do: everything is as the record has it")
    if sets:
        out.print("[dim]with --set the versions are side versions: no head moves[/dim]")
    return 0


def _steps(out: Console, planned: Sequence[Planned]) -> None:
    known = {forecast.quantity for one in planned for forecast in one.forecasts if forecast.basis != "unknown"}
    shown = [quantity for quantity in _COLUMNS if quantity in known]
    drawn = table("", "step", "why", *(_COLUMNS[quantity] for quantity in shown))
    for one, name in _rows(planned):
        by = {forecast.quantity: forecast for forecast in one.forecasts}
        dim = "[dim]{}[/dim]" if one.action == "skip" else "{}"
        cells = [_range(by[quantity]) if quantity in by else "" for quantity in shown]
        drawn.add_row(_MARKS[one.action], dim.format(name), dim.format(escape(one.why)), *cells)
    out.print(drawn)


def _rows(planned: Sequence[Planned]) -> Iterator[tuple[Planned, str]]:
    """A row for each step or part with what to call it; many parts of one step are a row for each thing to be done about them."""
    for name, group in groupby(planned, key=lambda one: one.name):
        rows = list(group)
        if len(rows) <= _PARTS:
            yield from ((one, unit(one.name, one.part)) for one in rows)
            continue
        for action in dict.fromkeys(one.action for one in rows):
            same = [one for one in rows if one.action == action]
            yield same[0], escape(f"{name}[{len(same)} parts]") if len(same) > 1 else unit(name, same[0].part)


def _range(forecast: Forecast) -> str:
    """`1.4 - 20.0 s`: the unit once, where both ends have the same."""
    if forecast.basis == "unknown":
        return "unknown"
    show = _SHOW[forecast.quantity]
    low, high = show(forecast.low), show(forecast.high)
    return f"{low.partition(' ')[0]} - {high}" if low.partition(" ")[2] == high.partition(" ")[2] else f"{low} - {high}"


def _expected(out: Console, planned: Sequence[Planned], workspace: Workspace) -> None:
    """What the planner made of each declared workload, or what is in the way."""
    for name, group in groupby((one for one in planned if one.expected is not None), key=lambda one: one.name):
        said, forecasts = (one := next(group)).expected, one.forecasts
        if said is not None and said.warning:
            out.print(f"[yellow]![/yellow] {name}: {escape(said.warning)}", soft_wrap=True)
        elif said is not None:
            out.print(f"[dim]{name}: {escape(_told(said, forecasts))}[/dim]", soft_wrap=True)
    if workspace.parts.expect is None and any(workspace.graph.nodes[one.name].declaration.workload for one in planned):
        where = escape(f'machines = "8 x h100" in bedplate.toml says what {workspace.config.target} has')
        out.print(f"[dim]a workload is declared, but no machines: {where}[/dim]", soft_wrap=True)


def _told(expected: Expected, forecasts: Sequence[Forecast]) -> str:
    """The design that the planner counts on, and what the step's own attempts made of it."""
    design = f"by the planner, with {expected.design}"
    before = next((f for f in expected.forecasts if f.quantity == "wall_s"), None)
    if before is None or not forecasts[0].samples:
        return design
    attempts = f"{forecasts[0].samples} attempts" if forecasts[0].samples > 1 else "attempt"
    if forecasts[0].basis == "planner":
        return f"{design}, its own {attempts} blended in"
    return f"by its own {attempts}; the planner says {_range(before)}, with {expected.design}"


def _total(out: Console, wall: WallTime) -> None:
    if not wall.path or wall.total.high <= 0:
        out.print("\nhow long it will take is unknown: none of these steps has run here yet")
        return
    said = f"{show_days(wall.total.low)} - {show_days(wall.total.high)}"
    without = f", without {', '.join(wall.unknown)} (unknown)" if wall.unknown else ""
    chain = f"; the longest chain is {' -> '.join(wall.path)}" if len(wall.path) > 1 else ""
    out.print(f"\nin all [bold]{said}[/bold]{escape(without)}{escape(chain)}")


def _record(out: Console, planned: Sequence[Planned]) -> None:
    record = join([one.record for one in planned])
    if not any(forecast.basis != "unknown" for one in planned for forecast in one.forecasts):
        return
    did = f"so far {record.inside} of {record.n} did" if record.n else "none has been held against what happened yet"
    assumed = "; energy is assumed" if any(f.basis == "assumed" for one in planned for f in one.forecasts) else ""
    out.print(f"[dim]ranges are meant to hold 8 times in 10; {did}{assumed}[/dim]")
