"""`bedplate watch`: what was served, beside what the model was trained on and what really happened; then the project's own watches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from bedplate.core.errors import UserError
from bedplate.core.units import seconds
from bedplate.pipeline.account import Summary
from bedplate.pipeline.commit import check_of
from bedplate.pipeline.request import Request
from bedplate.pipeline.served import served
from bedplate.pipeline.wiring.graph import Node
from bedplate.pipeline.wiring.services import services
from bedplate.pipeline.workspace import Workspace

from .common import console, put_json
from .following import follower
from .run import exit_code, stoppable
from .verb import Asked, typed, verb
from .watch_view import draw


@verb("[SERVICE]...")
@click.option(
    "--by", default="at", metavar="COLUMN", help="The time that slices quality: of the labels or the request. [default: when served]"
)
@click.option("--since", default="", metavar="WHEN", help="Only what was served since: '2 days', '2026-11-01' or a time.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Where to write the page.")
def command(asked: Asked, by: str, since: str, html: Path | None) -> int:
    """Report traffic, errors, latency, drift and quality of what each SERVICE served, and run the project's watches.

    Exit code 6 where a watch's check did not pass, 1 where one failed.
    """
    workspace, as_json = asked.open(), asked.as_json
    chosen, watches = _chosen(workspace, asked.names)
    if html is not None and len(chosen) > 1:
        raise UserError(f"--html {html} is one page, and there are {len(chosen)} services", next=f"name one: {chosen[0].name}")
    now = workspace.clock.now()
    start = _since(since, now)
    reports, pages = [], {}
    for node in chosen:
        pages[node.name] = html or workspace.config.state / "reports" / f"{node.name}.html"
        report = workspace.watch(node.name, since=start, by=by, html=pages[node.name])
        reports.append(report)
        if not as_json:
            draw(console(), report)
            console().print(f"\nthe page: [bold]{escape(str(pages[node.name]))}[/bold]", soft_wrap=True)
    summary = _run(workspace, watches, as_json) if watches else None
    failed = _failed(summary)
    if as_json:
        put_json({"reports": reports, "pages": pages, "watches": _told(summary), "failures": summary.failures if summary else {}})
    return exit_code(summary, failed) if summary else 0


def _chosen(workspace: Workspace, names: tuple[str, ...]) -> tuple[list[Node], list[str]]:
    """The services that have served something, and the watches about them; a watch may be named too. Raises UserError, NotFound."""
    nodes = workspace.graph.nodes
    named = [name for name in names if name in nodes and nodes[name].declaration.decorator == "watch"]
    of_watches = tuple(dict.fromkeys(wire.artifact for name in named for wire in _served_by(nodes[name])))
    wanted = tuple(dict.fromkeys([*(name for name in names if name not in named), *of_watches]))
    found = services(workspace.graph, wanted)
    now = workspace.clock.now()
    chosen = [node for node in found if served(workspace.store, node.name, now) is not None]
    if not chosen:
        which = " and ".join(node.name for node in found)
        raise UserError(f"{which} served nothing yet", why="a watch is about what was served", next=f"bedplate serve {found[0].name}")
    about = {node.name for node in chosen}
    watches = [name for name in named or nodes if nodes[name].declaration.decorator == "watch"]
    return chosen, [name for name in watches if all(wire.artifact in about or wire.optional for wire in _served_by(nodes[name]))]


def _served_by(node: Node) -> list[Any]:
    """The wires of a watch through which it receives what a service predicted."""
    return [wire for wire in node.by_role("artifact") if wire.kind == "service"]


def _run(workspace: Workspace, watches: list[str], as_json: bool) -> Summary:
    request = Request(names=tuple(watches), only=True, command=typed())
    if as_json:
        return workspace.start(request, None)
    console().print()
    with stoppable(workspace), follower(False, tuple(workspace.graph.nodes)) as follow:
        summary = workspace.start(request, follow)
    skipped = {step.name for step in summary.steps if step.status == "skipped"}
    for version in summary.versions.values():  # a hit says what the run that made it said
        check = check_of(version) if version.artifact in skipped else None
        for finding in check.findings if check is not None else ():
            console().print(f"   {version.artifact}: {escape(str(finding))}, as found when it last ran", soft_wrap=True)
    return summary


def _failed(summary: Summary | None) -> list[str]:
    checks = [(v.artifact, check_of(v)) for v in (summary.versions.values() if summary else ())]
    return [name for name, check in checks if check is not None and not check.passed]


def _told(summary: Summary | None) -> list[dict[str, Any]]:
    """The watches' checks, for programs."""
    if summary is None:
        return []
    checks = {version.artifact: check_of(version) for version in summary.versions.values()}
    return [
        {"name": step.name, "status": step.status, "why": step.why, "check": checks.get(step.name)} for step in summary.steps
    ]  # fmt: skip


def _since(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now - timedelta(seconds=seconds(text))
        except UserError as error:
            raise UserError(
                f"--since {text} is neither a time nor a duration", next="write --since '2 days' or --since 2026-11-01"
            ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
