"""`bedplate show`: one artifact, version, model (its card), run, attempt or prediction."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape

from bedplate.catalog.catalog import Catalog
from bedplate.core.digests import short
from bedplate.core.samples import Samples
from bedplate.core.units import show_bytes, show_joules, show_seconds
from bedplate.pipeline.commit import check_of
from bedplate.pipeline.standing import Shown
from bedplate.pipeline.workspace import Workspace

from .client_run import is_client_run, show_client_run
from .common import ago, as_of, console, put_json, table, told, unit
from .paths import near
from .platform import at_a_state, record
from .platform import workspace as opened
from .show_prediction import show_prediction
from .verb import Asked, verb

_ROWS = 8
_CARD = 120
"""Columns of a card at most: longer lines are hard to read."""
_LONG = 2000
"""Characters of a value that are printed."""


@verb("ARTIFACT[@VERSION]|RUN|ATTEMPT|PREDICTION", least=1, most=1)
@at_a_state
def command(asked: Asked, state: str, store: str) -> int:
    """Show ARTIFACT, ARTIFACT@VERSION, a run (r-..., or the 32 digits of a client's), an attempt (a-...) or a prediction (p-...)."""
    name, as_json = asked.names[0], asked.as_json
    if name.startswith("r-"):
        return _run(record(asked, state, store).catalog, name, as_json)
    if name.startswith("a-"):
        return _attempt(record(asked, state, store).catalog, name, as_json)
    if is_client_run(name):
        return show_client_run(record(asked, state, store).catalog, name, as_json)
    workspace = opened(asked, state, store, makes=False)
    if name.startswith("p-"):
        return show_prediction(workspace.store, name, as_json)
    found = workspace.show(name)
    if as_json:
        versions = [told(one) for one in found.versions]
        put_json({"version": told(found.version), "versions": versions, "metrics": found.metrics})
        return 0
    out = console()
    _contents(out, workspace, found)
    if "@" not in name:
        _versions(out, workspace, found)
    return 0


def _contents(out: Console, workspace: Workspace, found: Shown) -> None:
    """A model's card, what a check found, the first rows of a table, a value."""
    version = found.version
    if found.card:
        out.print(Markdown(found.card), width=min(out.width, _CARD))
        return
    _version(out, workspace, found)
    if (check := check_of(version)) is not None:
        for finding in check.findings:
            out.print(f"  [{'green' if finding.passed else 'bold red'}]{escape(str(finding)[:4])}[/]{escape(str(finding)[4:])}")
    elif version.kind == "table":
        out.print(workspace.store.load(version, "polars.lazy").head(_ROWS).collect())
    elif version.kind == "files":
        _files(out, workspace.store.load(version, "samples"))
    elif version.value is not None:
        out.print(escape(version.value[:_LONG]))


def _version(out: Console, workspace: Workspace, found: Shown) -> None:
    version = found.version
    rows = f", {version.rows:,} rows" if version.rows is not None else ""
    if version.kind == "files":
        rows = f", {version.meta['files']:,} files"
    out.print(f"[bold]{escape(version.ref)}[/bold]  {version.kind}{rows}, {show_bytes(version.size_bytes)}")
    out.print(f"  made    {ago(version.created_at, workspace.clock.now())} ({as_of(version.created_at)} UTC) by {version.attempt}")
    out.print(f"  digest  {version.digest}", soft_wrap=True)
    if version.uri:
        out.print(f"  bytes   {near(workspace.store.place(version))}", soft_wrap=True)
    if found.metrics and version.kind != "check":
        out.print("  said    " + ", ".join(f"{escape(name)} {value:.6g}" for name, value in found.metrics.items()))


def _files(out: Console, samples: Samples) -> None:
    """The first few files, and what they are."""
    drawn = table("file", "#size", "what it is")
    for name, size, words in samples.look(_ROWS):
        drawn.add_row(escape(name), show_bytes(size), escape(words))
    out.print(drawn)
    if len(samples) > _ROWS:
        out.print(f"[dim]and {len(samples) - _ROWS:,} more[/dim]")


def _versions(out: Console, workspace: Workspace, found: Shown) -> None:
    drawn = table("version", "digest", "#rows", "#size", "made", "", title="\nversions")
    rules = {move.alias: f"{move.alias}: {move.check}" for move in workspace.catalog.models.rolled_out(found.version.artifact)}
    for one in found.versions:
        named = workspace.catalog.models.named(one.artifact).items()
        aliases = [escape(rules.get(alias, alias)) for alias, number in named if number == one.number]
        marks = ", ".join([*(["head"] if one.number == found.version.number else []), *aliases, *([] if one.head else ["side"])])
        rows = f"{one.rows:,}" if one.rows is not None else ""
        drawn.add_row(
            escape(one.ref), short(one.digest), rows, show_bytes(one.size_bytes), ago(one.created_at, workspace.clock.now()), marks
        )
    out.print(drawn)


def _run(catalog: Catalog, run_id: str, as_json: bool) -> int:
    run, steps = catalog.runs.get(run_id), catalog.runs.steps(run_id)
    if as_json:
        put_json({"run": run, "steps": [msgspec.structs.replace(step, key_parts=None) for step in steps]})
        return 0
    out = console()
    commit = f", commit {run.git_commit[:10]}{' with changes' if run.git_dirty else ''}" if run.git_commit else ""
    out.print(f"[bold]{run.id}[/bold] {run.status}: {escape(run.command)}  ({as_of(run.started_at)} UTC{commit})")
    drawn = table("step", "stage", "status", "stands for", "#time", "why")
    for step in steps:
        made = [version.ref for version in catalog.artifacts.by_attempt(step.result)] if step.result else []
        took = show_seconds(catalog.runs.attempt(step.result).usage.wall_s) if step.status == "done" and step.result else ""
        named = escape(made[0] if len(made) == 1 else f"{len(made)} artifacts" if made else "")
        drawn.add_row(unit(step.name, step.part), step.stage, step.status, named, took, escape(near(step.why)))
    out.print(drawn)
    return 0


def _attempt(catalog: Catalog, attempt_id: str, as_json: bool) -> int:
    attempt, noted = catalog.runs.attempt(attempt_id), catalog.runs.noted(attempt_id)
    if as_json:
        put_json({"attempt": attempt, "noted": noted})
        return 0
    out, usage = console(), attempt.usage
    out.print(f"[bold]{attempt.id}[/bold] {attempt.step} {attempt.status} {escape(near(attempt.message))}")
    out.print(
        f"  {show_seconds(usage.wall_s)}, {show_seconds(usage.cpu_s)} of processor, {show_bytes(usage.peak_bytes)} at most, "
        f"{show_joules(usage.energy_joules)} ({usage.energy_basis})"
    )
    for one in noted:
        out.print(f"  {one.what} {escape(one.name)} = {escape(str(one.value))}" + (f" at {one.at_step}" if one.at_step is not None else ""))
    return 0
