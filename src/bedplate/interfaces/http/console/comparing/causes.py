"""Why runs may differ: the code that each came from and what their steps were keyed by, and the data that they were handed, by version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from bedplate.catalog.tracking.compared import KeyedStep
from bedplate.catalog.tracking.tracked import COMMIT, SOURCE_NAME, RunDetail
from bedplate.interfaces.http.console.frame import path_of
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Value
from bedplate.interfaces.http.door.endpoint import Desk
from bedplate.pipeline.why import explain

MOST_ROWS: Final = 200
_NAMED: Final = 3
_ORIGINS: Final = (
    Column("commit", "Git commit", "code"), Column("tree", "Tree", "state"), Column("started", "What was started"), Column("runs", "Runs"),
)  # fmt: skip
_WHY: Final = (Column("step", "Step"), Column("what", "What", "state"), Column("difference", "Differs from {}"), Column("runs", "In"))
_DATA: Final = (Column("data", "Data"), Column("version", "Version"), Column("runs", "Runs"))
_NO_STEPS: Final = "These runs have no steps of the project: of them the record knows the commit and the params."


def origins(desk: Desk, details: Sequence[RunDetail], called: Sequence[str]) -> Table:
    """Which commits the runs were made from, and what was started; equal ones in one row."""
    known = desk.catalog.tracking.compared.origins([detail.run.id for detail in details])
    found: dict[tuple[str, bool, str], list[str]] = defaultdict(list)
    for detail, name in zip(details, called, strict=True):
        tags = {tag.key: tag.value for tag in detail.tags}
        origin = known.get(detail.run.id)
        commit = tags.get(COMMIT) or (origin.commit if origin else "")
        started = tags.get(SOURCE_NAME) or (origin.command if origin else "")
        found[commit[:12], origin is not None and origin.is_dirty, started].append(name)
    rows: list[tuple[Value, ...]] = []
    for (commit, is_dirty, started), runs in found.items():
        tree = None if not commit else State("changed", "warn") if is_dirty else State("clean", "good")
        rows.append((commit or None, tree, started or None, _listed(runs)))
    return Table(name="origins", columns=_ORIGINS, rows=rows[:MOST_ROWS])


def differences(steps: dict[str, list[KeyedStep]], details: Sequence[RunDetail], called: Sequence[str], base: int) -> Table:
    """What the steps of each run were keyed by otherwise than those of the base, in the words of `bedplate why`; equal ones in one row."""
    before = {step.name: step for step in steps.get(details[base].run.id, [])}
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for place, detail in enumerate(details):
        if place == base:
            continue
        for step in steps.get(detail.run.id, []):
            for what, words in _reasons(step, before.get(step.name)):
                found[step.name, what, words].append(called[place])
    rows = [(step, State(what, "now"), words, _listed(runs)) for (step, what, words), runs in found.items()]
    columns = tuple(Column(one.key, one.label.format(called[base][:30]), one.shape) for one in _WHY)
    empty = "Their steps ran the same code on the same inputs." if len(steps) > 1 else _NO_STEPS
    return Table(name="differences", columns=columns, rows=rows[:MOST_ROWS], empty=empty)


def of_steps(steps: Mapping[str, Sequence[KeyedStep]], details: Sequence[RunDetail]) -> list[Link]:
    """Where the attempts at one step are compared, for each step that these runs have other attempts at."""
    attempts: dict[str, dict[str, None]] = defaultdict(dict)
    for detail in details:
        for step in steps.get(detail.run.id, ()):
            if step.result and step.result != detail.run.id:
                attempts[step.name][step.result] = None
    return [Link(name, f"/compare?runs={quote(','.join(some), safe=',')}") for name, some in attempts.items() if len(some) > 1]


def data(desk: Desk, steps: dict[str, list[KeyedStep]], details: Sequence[RunDetail], called: Sequence[str]) -> Table:
    """Which versions the runs were handed, and which datasets clients say: what not all share first."""
    attempts = {step.result for some in steps.values() for step in some if step.result}
    handed = desk.catalog.tracking.compared.inputs(sorted(attempts))
    users: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for detail, name in zip(details, called, strict=True):
        mine = {(artifact, str(number)) for step in steps.get(detail.run.id, []) for artifact, number in handed.get(step.result, [])}
        for artifact, number in sorted(mine):
            users[artifact, f"@{number}", path_of("artifacts", artifact.partition("@")[0], number)].append(name)
        for given in detail.datasets:
            users[given.dataset.name, given.dataset.digest[:12], ""].append(name)
    ordered = sorted(users.items(), key=lambda item: (len(item[1]) == len(details), item[0]))
    rows = [
        (artifact, Link(version, href) if href else version, "all" if len(runs) == len(details) else _listed(runs))
        for (artifact, version, href), runs in ordered
    ]
    empty = "The record knows of no data that these runs were handed."
    return Table(name="data", columns=_DATA, rows=rows[:MOST_ROWS], empty=empty, command="mlflow.log_input(dataset)")


def _reasons(step: KeyedStep, before: KeyedStep | None) -> list[tuple[str, str]]:
    if before is None:
        return [("step", "is not among its steps")]
    if step.parts is None or before.parts is None or step.parts is before.parts:
        return []
    return [(reason.what, reason.text) for reason in explain(step.parts, before.parts)]


def _listed(runs: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in runs[:_NAMED])
    return shown if len(runs) <= _NAMED else f"{shown} and {len(runs) - _NAMED} more"
