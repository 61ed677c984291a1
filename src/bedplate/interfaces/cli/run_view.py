"""What a run leaves on the screen: what was made and what it took, what went wrong, and what to type next."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from bedplate.core.records import Attempt, Step, StepStatus, Usage
from bedplate.core.units import show_bytes, show_joules, show_seconds
from bedplate.pipeline.account import Summary
from bedplate.pipeline.standing import aside
from bedplate.pipeline.workspace import Workspace

from .blocks import bar
from .common import table, unit
from .verb import tried

_MOST = 40
_BAR = 20
_CALLED: dict[StepStatus, str] = {"done": "made", "skipped": "skipped", "failed": "failed", "cancelled": "not reached"}


def draw(out: Console, workspace: Workspace, summary: Summary, failed_checks: list[str], target: str = "") -> None:
    """Print the end of a run; `target` is the one that was asked for by name, for what to type next."""
    out.print(f"\n{_headline(summary)}  [dim]run {summary.run.id}[/dim]")
    _took(out, workspace, summary)
    for line in _next(workspace, summary, failed_checks):
        out.print(tried(line, target), soft_wrap=True)


def _headline(summary: Summary) -> str:
    took = (summary.run.ended_at - summary.run.started_at).total_seconds() if summary.run.ended_at else 0.0
    counts = {called: sum(step.status == status for step in summary.steps) for status, called in _CALLED.items()}
    said = ", ".join(f"{count} {called}" for called, count in counts.items() if count) or "nothing to do"
    stopped = "[yellow]stopped:[/yellow] " if summary.run.status == "cancelled" else ""
    stopped = f"[bold red]stopped[/bold red], {escape(summary.stopped)}: " if summary.stopped else stopped
    return f"{stopped}[bold]{said}[/bold] in {show_seconds(took)}"


def _took(out: Console, workspace: Workspace, summary: Summary) -> None:
    done = [(step, workspace.catalog.runs.attempt(step.result)) for step in summary.steps if step.status == "done" and step.result]
    if not done:
        return
    longest = max(attempt.usage.wall_s for _, attempt in done)
    bases = {attempt.usage.energy_basis for _, attempt in done}
    drawn = table("step", "stage", "#time", "", "#processor", "#memory", "#energy", *(["basis"] if len(bases) > 1 else []))
    for step, attempt in done[:_MOST]:
        drawn.add_row(*_row(step, attempt, longest), *([attempt.usage.energy_basis] if len(bases) > 1 else []))
    out.print(drawn)
    if len(done) > _MOST:
        out.print(f"[dim]and {len(done) - _MOST} more: bedplate show {summary.run.id}[/dim]")
    if bases == {"assumed"}:
        out.print(f"[dim]energy is assumed, at {workspace.config['watts']} for the busy machine: no meter is readable here[/dim]")


def _row(step: Step, attempt: Attempt, longest: float) -> tuple[str, ...]:
    usage: Usage = attempt.usage
    name = unit(step.name, step.part)
    return (
        name, step.stage, show_seconds(usage.wall_s), f"[cyan]{bar(usage.wall_s, longest, _BAR)}[/cyan]", show_seconds(usage.cpu_s),
        show_bytes(usage.peak_bytes), show_joules(usage.energy_joules),
    )  # fmt: skip


def _next(workspace: Workspace, summary: Summary, failed_checks: list[str]) -> list[str]:
    if summary.run.status == "cancelled":
        return ["next: [bold]bedplate run[/bold] goes on from here"]
    if summary.failures:
        name = next(iter(summary.failures))
        attempts = workspace.catalog.runs.attempts(summary.run.id, name)
        printed = any((workspace.config.state / "logs" / attempt.log).is_file() for attempt in attempts)
        logs = f"[bold]bedplate logs {escape(name)}[/bold] shows what it printed and where it failed; " if printed else ""
        return [f"next: {logs}mend it, then [bold]bedplate run[/bold] goes on from here"]
    if failed_checks:
        refs = [escape(summary.versions[name].ref) for name in failed_checks]
        return [f"[bold red]{ref}[/bold red] did not pass; next: [bold]bedplate show {ref}[/bold]" for ref in refs]
    if not summary.run.moves_heads:
        side = [version for version in summary.versions.values() if not version.head]
        if not side:
            return []
        one = next((version for version in reversed(side) if version.kind == "model"), side[-1])
        return [escape(f"{one.ref} is a side version; next: ") + f"[bold]bedplate diff {escape(one.artifact)} {escape(one.ref)}[/bold]"]
    models = [version for version in summary.versions.values() if version.kind == "model" and version.head]
    beside = [f"[yellow]{escape(said)}[/yellow]" for version in models if (said := aside(workspace.catalog, version))]
    services = [node.name for node in workspace.graph.nodes.values() if node.declaration.decorator == "service"]
    made = any(step.status == "done" for step in summary.steps)
    return beside + ([f"next: [bold]bedplate serve[/bold] answers with {' and '.join(services)}"] if services and made else [])
