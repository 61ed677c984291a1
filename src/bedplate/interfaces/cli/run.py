"""`bedplate run` and `bedplate step`: make what is out of date, and show it as it goes."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click

from bedplate.assembly import open_project
from bedplate.core.errors import UserError
from bedplate.core.units import show_bytes, show_joules, show_seconds
from bedplate.pipeline.account import Summary
from bedplate.pipeline.commit import check_of
from bedplate.pipeline.workspace import Workspace

from .common import console, project_options, put_line, split, table, unit
from .following import follower

CHECK_FAILED = 6
STEP_FAILED = 1
INTERRUPTED = 130


def _settings(pairs: tuple[str, ...]) -> dict[str, str]:
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or "." not in name:
            raise UserError(f"--set {pair} is not right", next="write --set step.setting=value")
        settings[name] = value
    return settings


@click.command()
@click.argument("names", nargs=-1)
@click.option("--set", "sets", multiple=True, metavar="STEP.SETTING=VALUE", help="Another value than the default: makes side versions.")
@click.option("--fresh", is_flag=True, help="Run what is named (or everything) even where nothing changed.")
@project_options
def command(names: tuple[str, ...], sets: tuple[str, ...], fresh: bool, project: str | None, target: str, as_json: bool) -> int:
    """Make what is out of date: everything, or the artifacts NAMED and what they need.

    Exit code 1 where a step failed, 6 where a check did not pass, 130 where it was stopped.
    """
    project, names = split(names, project)
    return _run(open_project(project, target), names, sets, fresh=fresh, only=False, as_json=as_json)


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--set", "sets", multiple=True, metavar="STEP.SETTING=VALUE", help="Another value than the default: makes side versions.")
@click.option("--fresh", is_flag=True, help="Run it even where nothing changed.")
@project_options
def step(names: tuple[str, ...], sets: tuple[str, ...], fresh: bool, project: str | None, target: str, as_json: bool) -> int:
    """Run only the steps NAMED, on the versions of their inputs that are there."""
    project, names = split(names, project)
    return _run(open_project(project, target), names, sets, fresh=fresh, only=True, as_json=as_json)


def _run(workspace: Workspace, names: tuple[str, ...], sets: tuple[str, ...], *, fresh: bool, only: bool, as_json: bool) -> int:
    def stop(_number: int, _frame: FrameType | None) -> None:
        workspace.stop()

    before = [signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with follower(as_json) as follow:
            summary = workspace.run(
                *names, settings=_settings(sets), fresh=fresh, only=only, command=" ".join(["bedplate", *sys.argv[1:]]), emit=follow
            )
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    failed_checks = [v.artifact for v in summary.versions.values() if (check := check_of(v)) is not None and not check.passed]
    if as_json:
        put_line(
            {
                "kind": "run.summary",
                "run": summary.run.id,
                "status": summary.run.status,
                "failures": summary.failures,
                "checks_failed": failed_checks,
            }
        )
    else:
        _report(workspace, summary)
    return exit_code(summary, failed_checks)


def exit_code(summary: Summary, failed_checks: list[str]) -> int:
    """0 done, 1 a step failed, 6 a check did not pass, 130 stopped."""
    if summary.run.status == "cancelled":
        return INTERRUPTED
    if summary.failures:
        return STEP_FAILED
    return CHECK_FAILED if failed_checks else 0


def _report(workspace: Workspace, summary: Summary) -> None:
    out = console()
    counts = {status: sum(step.status == status for step in summary.steps) for status in ("done", "skipped", "failed", "cancelled")}
    took = (summary.run.ended_at - summary.run.started_at).total_seconds() if summary.run.ended_at else 0.0
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "nothing to do"
    out.print(f"\n{said} in {show_seconds(took)}  (run {summary.run.id}, {summary.run.status})")
    done = [step for step in summary.steps if step.status == "done" and step.result]
    if done:
        drawn = table("step", "stage", "#time", "#cpu", "#memory", "#energy", "basis")
        for step in done[:40]:
            attempt = workspace.catalog.runs.attempt(step.result)
            usage = attempt.usage
            drawn.add_row(
                unit(step.name, step.part), step.stage, show_seconds(usage.wall_s), show_seconds(usage.cpu_s),
                show_bytes(usage.peak_bytes), show_joules(usage.energy_joules), usage.energy_basis,
            )  # fmt: skip
        out.print(drawn)
    for name in summary.failures:
        out.print(
            f"[bold red]{name}[/bold red] failed; next: [bold]bedplate logs {name}[/bold], mend it, then [bold]bedplate run[/bold] again"
        )
