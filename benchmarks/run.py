"""`make bench`: measure this machine. `--quick` is a smoke test, `--all` adds the slow peers, `--only steps` one measurement.

Peers are installed into `.venv/bench/` when they are first needed. A measurement is a row of the table below.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import measuring
import report
from batching import BATCHING
from catalog import CATALOG
from console import CONSOLE
from drift import DRIFT
from environments import HERE
from features import FEATURES
from measurement import Asked, Finding, Measurement
from measuring import Case, Measured
from planner import PLANNER
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from router import ROUTER
from runtimes import RUNTIMES
from samples import SAMPLES
from serving import SERVING
from starts import STARTS
from steps import STEPS
from tables import TABLES
from tracking import TRACKING
from training import TRAINING

MEASUREMENTS = (
    STEPS, STARTS, TABLES, SAMPLES, DRIFT, FEATURES, CATALOG, PLANNER, TRAINING, TRACKING, CONSOLE, RUNTIMES, BATCHING, SERVING, ROUTER,
)  # fmt: skip


def main() -> int:
    """Measure, write the results, and print the page."""
    given = _arguments()
    measuring.become_subreaper()
    chosen = [one for one in MEASUREMENTS if not given.only or one.name in given.only]
    console = Console()
    results = []
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as scratch:
        asked = Asked(quick=given.quick, all=given.all, scratch=Path(scratch), python=sys.executable)
        reps = 1 if given.quick else given.reps
        try:
            for measurement in chosen:
                console.print(f"[bold]{measurement.title}[/bold]: making ready (the first time, environments of peers)")
                cases = measurement.cases(asked)
                results.append((measurement, *_measured(measurement, cases, reps, console)))
        except (measuring.Failed, subprocess.CalledProcessError) as error:
            console.print(f"[bold red]failed[/bold red]: {error}", markup=True)
            return 1
    now = datetime.now(UTC)
    console.print(report.page(results, now, given.note), markup=False, highlight=False, soft_wrap=True)
    if given.out is not None:
        console.print(f"written to {report.write(results, given.out, now, given.note)}")
    return 0


def _measured(measurement: Measurement, cases: Sequence[Case], reps: int, console: Console) -> tuple[list[Measured], Sequence[Finding]]:
    """A measurement's samples and what follows from them; a bar on a terminal, a line for each case in a pipe."""
    runs = sum(min(case.reps or reps, reps) + (not case.reps) for case in cases)
    begun = itertools.count(1)
    with _bars(console) as bars:
        bar = bars.add_task("", total=runs)

        def told(case: Case) -> None:
            at = next(begun)
            bars.update(bar, completed=at - 1, description=f"{case.system}: {case.work}")
            if not console.is_terminal:
                console.print(f"  {at} of {runs}  {case.system}: {case.work}", highlight=False)

        measured = measuring.take_turns(cases, reps, told)
    return measured, measurement.judge(measured)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of everything of our own: does it work?")
    parser.add_argument("--all", action="store_true", help="the slow peers too")
    parser.add_argument("--only", action="append", choices=[one.name for one in MEASUREMENTS], help="one measurement (may be repeated)")
    parser.add_argument("--reps", type=int, default=5, help="repetitions of all but slow cases")
    parser.add_argument("--note", default="", help="a line for the page, as what else the machine was doing")
    parser.add_argument("--out", type=Path, help="folder of the results (default: benchmarks/results, none with --quick)")
    given = parser.parse_args()
    if given.out is None and not given.quick:
        given.out = HERE / "results"
    return given


def _bars(console: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, transient=True)


if __name__ == "__main__":
    sys.exit(main())
