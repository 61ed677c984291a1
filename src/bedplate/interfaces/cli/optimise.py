"""`bedplate optimise`: runtimes for a model on this machine, and lighter models as side versions behind its check."""

from __future__ import annotations

import click
from rich.console import Console
from rich.markup import escape

from bedplate.core.units import show_bytes
from bedplate.stages.deploy.optimise import Optimising, Report, Wish
from bedplate.stages.deploy.runtime import MANY, Choice

from .common import console, put_json, table
from .verb import Asked, typed, verb


@verb("MODEL[@VERSION]", least=1, most=1)
@click.option("--distil", is_flag=True, help="Teach a small boosted model what the model says of a table's rows.")
@click.option("--prune", is_flag=True, help="Keep the first of its trees only.")
@click.option(
    "--quantise",
    type=click.Choice(["int8", "int8-static"]),
    help="Keep its weights in int8, as ONNX; static: the scales of its values too.",
)
@click.option("--compile", "compiles", is_flag=True, help="Prepare compiled runtimes only; of the lighter model, where one is made.")
@click.option("--loss", default=0.005, show_default=True, help="How much a figure of the model's check may be worse.")
@click.option("--rows", default="", metavar="TABLE", help="The table that --distil or int8-static learns from (else one of training's).")
def command(asked: Asked, distil: bool, prune: bool, quantise: str | None, compiles: bool, loss: float, rows: str) -> int:
    """Prepare and measure the runtimes that take MODEL (its production version, else its head) on this machine: what serves it takes the
    quickest that agrees.

    With --distil, --prune or --quantise: the lightest model that MODEL's check lets pass, no figure of it worse than --loss allows, becomes
    a side version with a report; `bedplate promote` puts it into service.
    """
    optimising, out = Optimising(asked.open(), asked.names[0]), console()

    def say(line: str) -> None:
        if not asked.as_json:
            out.print(f"   {escape(line)}", soft_wrap=True, highlight=False)

    wish = Wish(distil=distil, prune=prune, quantise=quantise or "", compile=compiles, loss=loss, rows=rows)
    report = optimising.run(wish, say, typed())
    if asked.as_json:
        put_json(report)
    else:
        _draw(out, report)
    return 0


def _draw(out: Console, report: Report) -> None:
    if report.version:
        out.print(f"[bold]{report.version}[/bold] is {report.model} with {escape('; '.join(report.done))}", soft_wrap=True)
        out.print(f"  size      {show_bytes(report.bytes_before)} -> {show_bytes(report.bytes_after)}")
        for one in report.figures:
            before = "?" if one.before is None else f"{one.before:.4g}"
            out.print(f"  {escape(one.name)}  {before} -> {'?' if one.after is None else f'{one.after:.4g}'}", highlight=False)
        if report.before and report.after:
            _compare(out, report.before, report.after)
        out.print(f"next: [bold]bedplate promote {report.version}[/bold]", soft_wrap=True)
    elif report.after:
        _runtimes(out, report.model, report.after)


def _compare(out: Console, before: Choice, after: Choice) -> None:
    first, then = before.best, after.best
    out.print(f"  one row   {first.one_us or 0:.1f} us ({first.runtime}) -> {then.one_us or 0:.1f} us ({then.runtime})", highlight=False)
    out.print(f"  {MANY} rows   {first.many_us or 0:.1f} us -> {then.many_us or 0:.1f} us", highlight=False)


def _runtimes(out: Console, model: str, choice: Choice) -> None:
    drawn = table("runtime", "#one row", f"#{MANY} rows", "#off by", "")
    for one in choice.tried:
        times = ["" if value is None else f"{value:.1f} us" for value in (one.one_us, one.many_us)]
        off = "" if one.off is None else f"{one.off:.1g}"
        but = f"not for {one.odd}" if one.odd else ""
        drawn.add_row(
            one.runtime, *times, off, escape(one.problem or ", ".join(filter(None, ["serves here" if one is choice.best else "", but])))
        )
    out.print(drawn)
    out.print(f"[bold]{model}[/bold] is asked by {escape(choice.line())}", soft_wrap=True, highlight=False)
