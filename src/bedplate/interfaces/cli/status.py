"""`bedplate status`: what exists, what runs, what is promoted and what is served."""

from __future__ import annotations

import platform
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from bedplate.catalog.services import ROUTER, SILENT_S, Service
from bedplate.core.units import show_bytes
from bedplate.pipeline.served import OVER
from bedplate.pipeline.standing import aside
from bedplate.pipeline.workspace import Workspace

from .common import ago, console, put_json, table, told
from .paths import near
from .platform import at_a_state
from .platform import workspace as opened
from .verb import Asked, tried, verb

_COMMAND = 80
_UP = "up"
"""What `bedplate up` calls itself among the services."""


@verb()
@at_a_state
def command(asked: Asked, state: str, store: str) -> int:
    """Show the project's artifacts, models, runs and services; without a project, what clients logged."""
    workspace = opened(asked, state, store, makes=False)
    if asked.as_json:
        found = workspace.status()
        heads = {name: told(head) for name, head in found.artifacts.items()}
        rest = {"models": found.models, "rolled_out": found.rolled_out, "rolled_back": found.rolled_back, "runs": found.runs}
        put_json({"artifacts": heads, **rest, "services": found.services, "failed": found.failed})
        return 0
    out = console()
    out.print(
        f"[bold]{workspace.graph.project_name}[/bold] on target {workspace.config.target}, state in {near(str(workspace.config.state))}\n"
    )
    if workspace.graph.nodes:
        _artifacts(out, workspace, asked.target)
    else:
        _kept(out, workspace)
    _models(out, workspace)
    _runs(out, workspace)
    _services(out, workspace, asked.target)
    return 0


def _artifacts(out: Console, workspace: Workspace, target: str) -> None:
    heads = workspace.catalog.artifacts.heads()
    failed = workspace.catalog.runs.failed_steps()
    drawn = table("artifact", "stage", "kind", "version", "#rows", "#size", "made", *([""] if failed else []))
    scored = {name: head for name, head in heads.items() if OVER in head.meta and name not in workspace.graph.makers}
    for name, maker in workspace.graph.makers.items():
        node, head = workspace.graph.nodes[maker], heads.get(name)
        if node.declaration.decorator == "service":
            continue
        kind = next(output.kind for output in node.outputs if output.artifact == name)
        mark = [tried(f"[bold red]failed[/bold red]: bedplate logs {maker}", target)] if maker in failed else []
        if head is None:
            drawn.add_row(name, node.stage, kind, "[yellow]not yet[/yellow]", "", "", "", *mark)
        else:
            rows = f"{head.rows:,}" if head.rows is not None else ""
            made = ago(head.created_at, workspace.clock.now())
            drawn.add_row(name, node.stage, kind, str(head.number), rows, show_bytes(head.size_bytes), made, *mark)
    for name, head in sorted(scored.items()):
        made = ago(head.created_at, workspace.clock.now())
        drawn.add_row(escape(name), "deploy", head.kind, str(head.number), f"{head.rows or 0:,}", show_bytes(head.size_bytes), made)
    out.print(drawn)


def _kept(out: Console, workspace: Workspace) -> None:
    """What the record has of artifacts, where no project says which there should be."""
    heads = workspace.catalog.artifacts.heads()
    if not heads:
        return
    drawn = table("artifact", "kind", "version", "#rows", "#size", "made")
    for name, head in sorted(heads.items()):
        rows = f"{head.rows:,}" if head.rows is not None else ""
        made = ago(head.created_at, workspace.clock.now())
        drawn.add_row(escape(name), head.kind, str(head.number), rows, show_bytes(head.size_bytes), made)
    out.print(drawn)


def _models(out: Console, workspace: Workspace) -> None:
    heads = workspace.catalog.artifacts.heads()
    for name, head in ((name, head) for name, head in heads.items() if head.kind == "model"):
        aliases = workspace.catalog.models.named(name)
        rules = {move.alias: f" ({move.check})" for move in workspace.catalog.models.rolled_out(name)}
        said = ", ".join(f"{alias} = {name}@{number}{rules.get(alias, '')}" for alias, number in aliases.items()) or "no alias yet"
        barred = ", ".join(f"{name}@{number}" for number in sorted(workspace.catalog.models.barred(name) - {head.number}))
        out.print(f"\nmodel [bold]{name}[/bold]: {said}" + (f"; barred: {barred}" if barred else ""))
        for move in workspace.catalog.models.undone(name):
            out.print(f"  rolled back {ago(move.at, workspace.clock.now())}: {escape(move.reason)}", soft_wrap=True)
        if beside := aside(workspace.catalog, head):
            out.print(f"  {beside}", soft_wrap=True)


def _runs(out: Console, workspace: Workspace) -> None:
    runs = workspace.catalog.runs.last(5)
    if not runs:
        ran = "nothing has run yet; next: [bold]bedplate run[/bold]" if workspace.graph.nodes else "nothing was logged yet"
        out.print(f"\n{ran}")
        return
    drawn = table("run", "status", "started", "command")
    for run in runs:
        is_known = run.status != "running" or run.origin == "client" or workspace.is_running(run)
        command = run.command if run.origin == "project" else f"client: {run.command or run.project}"
        drawn.add_row(run.id, run.status if is_known else "died", ago(run.started_at, workspace.clock.now()), escape(_short(command)))
    out.print()
    out.print(drawn)


def _short(command: str) -> str:
    """A command on one line: of a trial's many settings, or all that was due at once, the beginning; `bedplate show RUN` has it whole."""
    return command if len(command) <= _COMMAND else f"{command[: _COMMAND - 4].rstrip()} ..."


def _services(out: Console, workspace: Workspace, target: str) -> None:
    served = workspace.catalog.services.list()
    declared = [node.name for node in workspace.graph.nodes.values() if node.declaration.decorator == "service"]
    out.print()
    for service in served:
        if service.name == _UP and not service.models:
            out.print(f"bedplate up at [bold]{service.url}[/bold]: the record, to clients")
            continue
        if service.host == platform.node() and workspace.parts.process_started(service.pid) is None:
            what = "router" if service.name == ROUTER else f"service [bold]{escape(service.name)}[/bold]"
            out.print(f"{what} at {service.url}: [yellow]its process is gone[/yellow]")
            continue
        if service.name == ROUTER:
            _router(out, service, workspace.clock.now())
            continue
        models = ", ".join(f"{name}@{number}" for name, number in service.models.items())
        out.print(f"service [bold]{service.name}[/bold] at {service.url} serves {models or 'no model'}")
    if declared and not {service.name for service in served} & {ROUTER, *declared}:
        out.print(f"services declared: {', '.join(declared)}; next: [bold]{tried('bedplate serve', target)}[/bold]")


def _router(out: Console, router: Service, now: datetime) -> None:
    """A router, and how each of its replicas stands."""
    silent = "" if (now - router.heartbeat).total_seconds() <= SILENT_S else f", [yellow]silent since {ago(router.heartbeat, now)}[/yellow]"
    count = f"{len(router.replicas)} replica{'' if len(router.replicas) == 1 else 's'}"
    out.print(f"router at [bold]{router.url}[/bold]: {count}{silent}")
    if not router.replicas:
        return
    drawn = table("replica", "zone", "region", "stands", "#in hand", "answers with")
    for one in router.replicas:
        versions = ", ".join(f"{name}@{number}" for name, number in sorted(one.versions.items()))
        stands = one.state if one.state == "ready" else f"[yellow]{one.state}[/yellow]"
        drawn.add_row(escape(one.name), escape(one.zone), escape(one.region), stands, f"{one.running:,}", escape(versions))
    out.print(drawn)
