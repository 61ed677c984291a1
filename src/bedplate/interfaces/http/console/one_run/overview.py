"""What is known of a run at a glance: what it was told, what it took and made, its steps, what it cost and what that was thought to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from bedplate.catalog.run_views import Predicted, Spent, StepView, VersionView
from bedplate.catalog.tallies import Tally
from bedplate.catalog.tracking.tracked import CONTEXT, Named
from bedplate.core.records import Attempt, Record
from bedplate.core.units import show_bytes, show_joules, show_seconds, show_usd
from bedplate.interfaces.http.console.about import project
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.frame import path_of, short
from bedplate.interfaces.http.console.stored.artifact_facts import REJECTS
from bedplate.interfaces.http.console.tables import Column, Link, Table, Value
from bedplate.interfaces.http.door.endpoint import Desk, Resource

from .subject import NOTE, Subject, state_of

MOST_STEPS: Final = 200
"""A run of more is shown by counts."""
_MOST_SPANS: Final = 40
_MOST_SAID: Final = 300
_LONGEST: Final = 200
_ROOM: Final = 24_000
"""Characters of long values that a page carries whole; of the others the CSV has all."""
_SHOWN_BY: Final = {
    "wall_s": show_seconds, "cpu_s": show_seconds, "peak_bytes": show_bytes, "accelerator_bytes": show_bytes, "energy_joules": show_joules,
    "cost_usd": show_usd,
}  # fmt: skip
_QUANTITIES: Final = {
    "wall_s": "time", "cpu_s": "processor", "peak_bytes": "memory", "accelerator_bytes": "accelerator memory", "energy_joules": "energy",
    "cost_usd": "cost",
}  # fmt: skip
_STEPS: Final = (
    Column("step", "Step"), Column("stage", "Stage"), Column("status", "Status", "state"), Column("wall_s", "Time", "seconds"),
    Column("cpu_s", "Processor", "seconds"), Column("peak_bytes", "Memory", "bytes"), Column("energy_joules", "Energy", "joules"),
    Column("why", "Why", "words"),
)  # fmt: skip
_COUNTS: Final = (
    Column("step", "Step"), Column("stage", "Stage"), Column("status", "Status", "state"), Column("parts", "Parts", "number"),
    Column("why", "Why, for one of them", "words"),
)  # fmt: skip
_VERSIONS: Final = (Column("version", "Version"), Column("kind", "Kind"), Column("rows", "Rows", "number"), Column("size", "Size", "bytes"))
_PREDICTED: Final = (
    Column("step", "Step"), Column("quantity", "What"), Column("middle", "Predicted"), Column("range", "80 % range"),
    Column("actual", "Was"), Column("off", "Off by"), Column("basis", "Basis"),
)  # fmt: skip
_DATASETS: Final = (
    Column("name", "Dataset"), Column("digest", "Digest", "code"), Column("context", "Used for"), Column("source_type", "Kind of source"),
    Column("source", "Source"),
)  # fmt: skip
_MESSAGE: Final = 4_000
_NAMED: Final = (Column("name", "Name"), Column("value", "Value"))


class Said(Record, frozen=True, kw_only=False):
    """A name with its value: the beginning, and all of it where that is longer and the page has room."""

    key: str
    short: str
    whole: str = ""


class Failure(Record, frozen=True, kw_only=False):
    """A step that failed: its name, where the attempt is, what it said, and where the rows are that it would not keep."""

    name: str
    href: str
    message: str
    rejected: str


def said(named: Iterable[Named], wanted: str) -> tuple[Said, ...]:
    """Names and values that have `wanted` in them."""
    seek, room, found = wanted.strip().lower(), _ROOM, []
    for one in named:
        if seek not in one.key.lower() and seek not in one.value.lower():
            continue
        is_long = len(one.value) > _LONGEST or "\n" in one.value
        whole = one.value if is_long and len(one.value) <= room else ""
        room -= len(whole)
        found.append(Said(one.key, short(one.value, _LONGEST), whole))
        if len(found) >= _MOST_SAID:
            break
    return tuple(found)


def named_table(name: str, named: Sequence[Named], empty: str, command: str = "") -> Table:
    """All of them, for CSV."""
    return Table(name=name, columns=_NAMED, rows=[(one.key, one.value) for one in named], empty=empty, command=command)


def own_tags(found: Subject) -> list[Named]:
    """Tags that people gave: not those of the protocol."""
    return [one for one in found.detail.tags if not one.key.startswith("mlflow.")]


def protocol_tags(found: Subject) -> list[Named]:
    """The protocol's own tags but the note."""
    return [one for one in found.detail.tags if one.key.startswith("mlflow.") and one.key != NOTE]


def versions(desk: Desk, name: str, found: Sequence[VersionView], empty: str) -> Table:
    """Versions that who asks may see, each a link."""
    rows: list[tuple[Value, ...]] = [
        (Link(f"{one.artifact}@{one.number}", path_of("artifacts", one.artifact, str(one.number))), one.kind, one.rows, one.size_bytes)
        for one in seen(desk, found)
    ]
    return Table(name=name, columns=_VERSIONS, rows=rows, empty=empty)


def seen(desk: Desk, found: Sequence[VersionView]) -> list[VersionView]:
    """Those that the actor may see: with the project all, without it registered models alone."""
    if not found:
        return []
    home = project(desk)
    if home is not None and desk.may("run.read", Resource("experiment", str(home.id))):
        return list(found)
    return [one for one in found if one.kind == "model" and desk.may("model.read", Resource("model", one.artifact))]


def failures(steps: Sequence[StepView], attempts: Sequence[Attempt]) -> list[Failure]:
    """What failed in a run, in its own words: the last attempt at each step that failed."""
    last = {(one.step, one.part): one for one in sorted(attempts, key=lambda one: one.number) if one.status == "failed"}
    failed = [(one.name, one.part) for one in steps if one.status == "failed"]
    return [failure(last[name]) for name in failed if name in last]


def failure(one: Attempt) -> Failure:
    """An attempt that failed, as it is told."""
    rejected = path_of("artifacts", one.step, "rejected", one.id) if REJECTS in one.message else ""
    return Failure(f"{one.step}[{one.part}]" if one.part else one.step, path_of("runs", one.id), one.message[:_MESSAGE], rejected)


def steps_table(run: str, steps: Sequence[StepView], failed: Sequence[Failure] = ()) -> Table:
    """Each step with what it took here; of one that was skipped, why. What failed leads to the attempt."""
    at = {one.name: one.href for one in failed}
    rows: list[tuple[Value, ...]] = []
    for one in steps:
        name = f"{one.name}[{one.part}]" if one.part else one.name
        took = one.usage if one.made_in == run else None
        spent = (took.wall_s, took.cpu_s, took.peak_bytes, took.energy_joules) if took is not None else (None, None, None, None)
        href = path_of("runs", one.result) if one.result else at.get(name, "")
        label: Value = Link(name, href) if href else name
        rows.append((label, one.stage, state_of(one.status), *spent, one.why))
    return Table(name="steps", columns=_STEPS, rows=rows, empty="No step was decided yet.")


def counts_table(tallies: Sequence[Tally], *, whole: bool) -> Table:
    """Steps of many parts, counted: those that failed or go on first; not `whole`: so many as a page has room for."""
    listed = sorted(tallies, key=lambda one: _urgency(one.status))[: len(tallies) if whole else MOST_STEPS]
    rows = [(one.name, one.stage, state_of(one.status), one.count, one.why) for one in listed]
    return Table(name="steps", columns=_COUNTS, rows=rows, empty="No step was decided yet.")


def time_line(found: Subject, steps: Sequence[StepView]) -> Chart:
    """The steps that ran here, the longest of them, as bars over the seconds since the run began: as long as the table says they took.

    What a step waited for its worker to start is before its bar.
    """
    began = found.run.started_at
    ran = [one for one in steps if one.made_in == found.id and one.started_at is not None and one.ended_at is not None]
    kept = sorted(sorted(ran, key=lambda one: -_length(one))[:_MOST_SPANS], key=lambda one: one.started_at or began)
    series = []
    for stage in dict.fromkeys(one.stage for one in kept):
        mine = [one for one in kept if one.stage == stage]
        ends = [((one.ended_at or began) - began).total_seconds() for one in mine]
        xs = [max(end - _length(one), 0.0) for end, one in zip(ends, mine, strict=True)]
        ys: list[float | None] = [*ends]
        words = [f"{one.name}[{one.part}]" if one.part else one.name for one in mine]
        series.append(Series(label=stage, x=xs, y=ys, words=words))
    told = [f"the longest {len(kept)} of {len(ran)} steps"] if len(kept) < len(ran) else []
    note = "; ".join([*told, "a gap before a bar is the wait for what it needs and for a worker to start"])
    return Chart(
        name="time-line", title="Time line", x=Axis(label="seconds since the run began"), y=Axis(label="step"), series=series,
        draws="spans", note=note,
    )  # fmt: skip


def predicted_table(found: Sequence[Predicted]) -> Table:
    """What was thought beside what came."""
    rows = [_predicted(one) for one in found]
    return Table(name="forecasts", columns=_PREDICTED, rows=rows, empty="Nothing was predicted: there was no history yet.")


def spent_tiles(spent: Sequence[Spent]) -> tuple[tuple[str, str, str], ...]:
    """What was used in all: what, how much, and on which basis."""
    if not spent:
        return ()
    bases = ", ".join(f"{one.basis} for {one.attempts:,} attempts" if len(spent) > 1 else one.basis for one in spent)
    return (
        ("Time of all attempts", show_seconds(sum(one.wall_s for one in spent)), f"{sum(one.attempts for one in spent):,} of them"),
        ("Processor", show_seconds(sum(one.cpu_s for one in spent)), "measured"),
        ("Memory at most", show_bytes(max(one.peak_bytes for one in spent)), "measured"),
        ("Energy", show_joules(sum(one.energy_joules for one in spent)), bases),
        ("Cost", show_usd(sum(one.cost_usd for one in spent)), "time x the target's price"),
    )


def datasets_table(found: Subject) -> Table:
    """What it was trained or tested on, as its client said."""
    rows = [
        (one.dataset.name, one.dataset.digest, next((tag.value for tag in one.tags if tag.key == CONTEXT), ""), one.dataset.source_type,
         one.dataset.source)
        for one in found.detail.datasets
    ]  # fmt: skip
    return Table(name="datasets", columns=_DATASETS, rows=rows, empty="None was logged.")


def _predicted(one: Predicted) -> tuple[Value, ...]:
    quantity = one.forecast.quantity
    show = _SHOWN_BY[quantity]
    actual: Any = getattr(one.usage, quantity, None)
    off = f"{(actual / one.forecast.middle - 1) * 100:+.0f} %" if actual is not None and one.forecast.middle > 0 else ""
    step = f"{one.step}[{one.part}]" if one.part else one.step
    between = f"{show(one.forecast.low)} to {show(one.forecast.high)}"
    return (step, _QUANTITIES[quantity], show(one.forecast.middle), between, "" if actual is None else show(actual), off,
            f"{one.forecast.basis}, {one.forecast.samples} {'attempt' if one.forecast.samples == 1 else 'attempts'}")  # fmt: skip


def _urgency(status: str) -> int:
    return {"failed": 0, "running": 1, "waiting": 2}.get(status, 3)


def _length(one: StepView) -> float:
    """Seconds that a step took, as the table has them; from its beginning to its end where nothing was measured."""
    if one.usage is not None:
        return one.usage.wall_s
    return (one.ended_at - one.started_at).total_seconds() if one.started_at and one.ended_at else 0.0
