"""`bedplate tune`: search the ranges that `tune(...)` gives settings, and show what was found."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click
from rich.console import Console
from rich.markup import escape

from bedplate.core.errors import UserError
from bedplate.core.units import money, seconds, show_number, show_seconds, show_usd
from bedplate.pipeline.tuning.children import REFUSED
from bedplate.pipeline.tuning.search import ALIAS, BUDGET_SPENT, Found, Limits, Search, goal_of
from bedplate.pipeline.tuning.trials import Goal, Trial, best_of, words

from .common import console, put_json, put_line, table
from .verb import Asked, verb

INTERRUPTED = 130
_SHOWN = 5
_BAR = 24
_SPARKS = "▁▂▃▄▅▆▇█"


@verb("MODEL", least=1, most=1)
@click.option("--maximise", default="", metavar="METRIC", help="What shall be highest: a metric of MODEL, or STEP.METRIC of a check of it.")
@click.option("--minimise", default="", metavar="METRIC", help="What shall be lowest.")
@click.option("--trials", default=20, show_default=True, help="How many in all, counting those of earlier searches of the same.")
@click.option("--for", "time", default="", metavar="TIME", help="Stop after this long: 10min.")
@click.option("--budget", default="", metavar="MONEY", help="Stop before the trials cost more than this in all: '2 USD'.")
@click.option("--parallel", default=1, show_default=True, help="How many run at once.")
def command(asked: Asked, maximise: str, minimise: str, trials: int, time: str, budget: str, parallel: int) -> int:
    """Search the ranges of the settings of MODEL, and of what it needs, for the best METRIC; the best version gets the alias `tuned`.

    Each trial is a run with other settings, whose versions are side versions. Stopped or killed, the same command goes on: no trial is
    lost or done twice. Another range, goal or project file begins a new search.
    """
    workspace = asked.open()
    if bool(maximise) == bool(minimise):
        raise UserError("tune needs one goal", next="bedplate tune MODEL --maximise auc, or --minimise good.error")
    goal = goal_of(workspace, asked.names[0], maximise or minimise, maximise=bool(maximise))
    usd = money(budget) if budget else None
    if usd is not None and usd.currency != "USD":
        raise UserError(f"--budget {budget} is no US dollars", next="--budget '2 USD'")
    limits = Limits(
        trials=trials, seconds=seconds(time) if time else None, usd=float(usd.amount) if usd else None, parallel=max(1, parallel)
    )
    follow = _Follow(console(), goal, as_json=asked.as_json)
    search = Search(workspace, goal, limits, follow)
    with _stoppable(search):
        found = search.run()
    if asked.as_json:
        put_json(found)
    else:
        _draw(console(), found)
    return {"stopped": INTERRUPTED, BUDGET_SPENT: REFUSED}.get(found.ended, 0)


@contextmanager
def _stoppable(search: Search) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the search cleanly."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        search.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Follow:
    """A line for each trial that ended."""

    def __init__(self, out: Console, goal: Goal, *, as_json: bool) -> None:
        self._out = out
        self._goal = goal
        self._as_json = as_json
        self._ended: list[Trial] = []

    def __call__(self, trial: Trial) -> None:
        if self._as_json:
            put_line({"kind": f"trial.{trial.state}", "trial": trial})
            return
        if trial.state == "asked":
            return
        self._ended.append(trial)
        is_best = best_of(self._goal, self._ended) is trial
        mark = {"failed": "[bold red]x[/]", "pruned": "[dim]-[/]"}.get(trial.state, "[green]+[/]" if is_best else " ")
        said = show_number(trial.value) if trial.value is not None else trial.state
        settings = escape("  ".join(words(trial.settings)))
        why = f"  [dim]{escape(trial.message)}[/]" if trial.message else ""
        self._out.print(f" {mark} {trial.number:>4}  {said:>10}  {show_seconds(trial.wall_s):>8}  {settings}{why}", soft_wrap=True)
        sys.stdout.flush()


def _draw(out: Console, found: Found) -> None:
    done = [trial for trial in found.trials if trial.state == "done"]
    counts = [f"{sum(1 for one in found.trials if one.state == state)} {state}" for state in ("done", "pruned", "failed")]
    cost = sum(trial.cost_usd for trial in found.trials)
    out.print(f"\n{', '.join(counts)}{f', {show_usd(cost)}' if cost else ''}; ended: {found.ended}")
    if found.best is None:
        out.print("no trial got to its end yet; the same command goes on")
        return
    out.print(f"{found.goal}, best so far by trial  {_curve(found.goal, done)}")
    _best(out, found, done)
    if found.importance:
        out.print("\nhow much each setting mattered")
        width = max(len(name) for name in found.importance)
        for name, share in found.importance.items():
            out.print(f"  {name:<{width}}  {share:>4.0%}  {'█' * round(share * _BAR)}")
    if found.version is not None:
        sets = ", ".join(words(found.best.settings))
        out.print(
            f"\n[bold]{found.version.ref}[/bold] is now {ALIAS}; next: [bold]bedplate promote {found.version.ref}[/bold],", soft_wrap=True
        )
        out.print(f"or write these as defaults into the project: {escape(sets)}", soft_wrap=True)


def _best(out: Console, found: Found, done: list[Trial]) -> None:
    ranked = sorted(done, key=lambda trial: trial.value or 0.0, reverse=found.goal.maximise)[:_SHOWN]
    drawn = table("#trial", f"#{found.goal.metric}", *(f"#{name}" for name in sorted(ranked[0].settings)), "run")
    for trial in ranked:
        values = (show_number(value) if isinstance(value, float) else str(value) for _, value in sorted(trial.settings.items()))
        drawn.add_row(str(trial.number), show_number(trial.value or 0.0), *values, trial.run)
    out.print(drawn)


def _curve(goal: Goal, done: list[Trial]) -> str:
    """The best value so far, trial by trial, as a line of blocks: higher is better."""
    best: list[float] = []
    for trial in done:
        value = trial.value or 0.0
        best.append(value if not best or goal.better(value, best[-1]) else best[-1])
    low, high = min(best), max(best)
    span = (high - low) or 1.0
    heights = [(value - low) / span if goal.maximise else (high - value) / span for value in best]
    return "".join(_SPARKS[round(height * (len(_SPARKS) - 1))] for height in heights[-60:])
