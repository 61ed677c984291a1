"""`bedplate plan`: what would run and why, and what it should take."""

from __future__ import annotations

import click
from rich.markup import escape

from bedplate.compute.machine import cpu_count
from bedplate.core.records import Forecast
from bedplate.core.units import show_bytes, show_joules, show_seconds
from bedplate.pipeline.plan import Planned, total
from bedplate.planner.critical import WallTime
from bedplate.planner.history import join

from .common import console, put_json, table, unit
from .verb import Asked, verb

_MARKS = {
    "run": "[green]+ run[/green]",
    "skip": "[dim]= skip[/dim]",
    "maybe": "[yellow]? maybe[/yellow]",
    "blocked": "[red]x blocked[/red]",
}
_SHOW = {"wall_s": show_seconds, "peak_bytes": show_bytes, "energy_joules": show_joules}


@verb("[NAME]...")
@click.option("--fresh", is_flag=True, help="Plan as if nothing had been made.")
def command(asked: Asked, fresh: bool) -> int:
    """Say for each step whether it would run, why, and the time, memory and energy it should take, from its own history."""
    workspace = asked.open()
    planned = workspace.plan(*asked.names, fresh=fresh)
    if asked.as_json:
        put_json(planned)
        return 0
    drawn = table("", "step", "why", "#time", "#memory", "#energy")
    for one in planned:
        by = {forecast.quantity: forecast for forecast in one.forecasts}
        cells = [_range(by[q]) if q in by and one.action != "skip" else "" for q in ("wall_s", "peak_bytes", "energy_joules")]
        drawn.add_row(_MARKS[one.action], unit(one.name, one.part), escape(one.why), *cells)
    out = console()
    out.print(drawn)
    if any(one.action in ("run", "maybe") for one in planned):
        out.print(_total(total(planned, workspace.graph, float(workspace.config["cpu"]) or cpu_count())))
    out.print(_record(planned))
    return 0


def _range(forecast: Forecast) -> str:
    if forecast.basis == "unknown":
        return "unknown"
    show = _SHOW[forecast.quantity]
    mark = " assumed" if forecast.basis == "assumed" else ""
    return f"{show(forecast.low)} - {show(forecast.high)}{mark}"


def _total(wall: WallTime) -> str:
    if not wall.path or wall.total.high <= 0:
        return "\nhow long it will take is unknown: none of these steps has run here yet"
    without = f", without {', '.join(wall.unknown)} (unknown)" if wall.unknown else ""
    said = f"{show_seconds(wall.total.low)} - {show_seconds(wall.total.high)}"
    return f"\nin all [bold]{said}[/bold]{without}; the longest chain is {' -> '.join(wall.path)}"


def _record(planned: tuple[Planned, ...]) -> str:
    record = join([one.record for one in planned])
    if not record.n:
        return "\nranges are meant to hold 8 times in 10; nothing has been predicted here yet"
    return f"\nranges are meant to hold 8 times in 10; so far {record.inside} of {record.n} did"
