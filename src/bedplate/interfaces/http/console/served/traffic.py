"""What a service was asked lately, as tables and charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Final

from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.frame import path_of
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Value
from bedplate.stages.monitor.lately import Lately, OfVersion, Stretch

_MOST_VERSIONS: Final = 8
_TIME: Final = Axis(label="time", shape="time")
_BY_VERSION: Final = (
    Column("version", "Version"), Column("predictions", "Predictions", "number"), Column("failed", "Failed", "number"),
    Column("refused", "Refused", "number"), Column("stands", "Status", "state"), Column("p50", "p50 (ms)", "number"),
    Column("p95", "p95 (ms)", "number"), Column("p99", "p99 (ms)", "number"), Column("first", "First (UTC)", "time"),
    Column("last", "Last (UTC)", "time"),
)  # fmt: skip
_BAD_SHARE: Final = 0.05


def charts_of(found: Lately) -> tuple[Chart, ...]:
    """Answers and errors, latency, and which version answered, over time."""
    if not found.predictions:
        return ()
    times = [one.at.timestamp() for one in found.stretches]
    every = f"each {_width(found.width_s)}"
    counts = Chart(
        name="answers", title=f"Predictions, {every}", x=_TIME, y=Axis(label="predictions"), series=_counts(found.stretches, times)
    )
    latency = Chart(name="latency", title=f"Latency, {every}", x=_TIME, y=Axis(label="ms"), series=_latency(found.stretches, times))
    versions = Chart(
        name="versions", title=f"Which version answered, {every}", x=_TIME, y=Axis(label="predictions"),
        series=_versions(found.stretches, times),
    )  # fmt: skip
    return (counts, versions, latency) if any(one.p50_ms is not None for one in found.stretches) else (counts, versions)


def by_version(found: Lately, barred: Callable[[str], Set[int]]) -> Table:
    """What each set of versions answered; `barred` gives those of a model that were rolled back from, and are not to come again."""
    models = {ref.rpartition("@")[0] for one in found.by_version for ref in one.versions}
    out = {f"{name}@{number}" for name in models for number in barred(name)}
    rows = [_row(one, is_barred=not out.isdisjoint(one.versions)) for one in found.by_version]
    return Table(name="by-version", columns=_BY_VERSION, rows=rows, empty="Nothing was asked in this time.")


def messages(found: Lately, predictions: str) -> Table:
    """The errors that came most often; `predictions` is the address of those that went wrong."""
    columns = Column("error", "Error"), Column("count", "Times", "number"), Column("more", "Predictions")
    rows = [(text, count, Link("those that went wrong", predictions)) for text, count in found.messages.items()]
    return Table(name="messages", columns=columns, rows=rows, empty="No error in this time.")


def stands(predictions: int, failed: int) -> State:
    """How answers stand, in a word."""
    if not predictions:
        return State("silent", "off")
    share = failed / predictions
    return State("fails", "bad") if share > _BAD_SHARE else State("some failed", "warn") if failed else State("answers", "good")


def _row(one: OfVersion, *, is_barred: bool) -> tuple[Value, ...]:
    shown: Value = "none: refused before" if not one.versions else _link(one.versions)
    is_refused = one.predictions and one.predictions == one.refused
    answers = State("refused", "warn") if is_refused else stands(one.predictions, one.failed)
    return (
        shown, one.predictions, one.failed, one.refused,
        State("barred", "bad") if is_barred else answers, one.p50_ms, one.p95_ms, one.p99_ms,
        one.first, one.last,
    )  # fmt: skip


def _link(versions: Sequence[str]) -> Value:
    name, _, number = versions[0].rpartition("@")
    return Link(", ".join(versions), path_of("models", name, number))


def _counts(stretches: Sequence[Stretch], times: list[float]) -> list[Series]:
    answered = [float(one.predictions - one.failed - one.refused) for one in stretches]
    lines = [Series(label="answered", x=times, y=answered)]
    lines.append(Series(label="failed", x=times, y=[float(one.failed) for one in stretches]))
    if any(one.refused for one in stretches):
        lines.append(Series(label="refused", x=times, y=[float(one.refused) for one in stretches]))
    return lines


def _latency(stretches: Sequence[Stretch], times: list[float]) -> list[Series]:
    p50, p95, p99 = ([getattr(one, name) for one in stretches] for name in ("p50_ms", "p95_ms", "p99_ms"))
    return [Series(label="p50", x=times, y=p50), Series(label="p95", x=times, y=p95), Series(label="p99", x=times, y=p99)]


def _versions(stretches: Sequence[Stretch], times: list[float]) -> list[Series]:
    names = dict.fromkeys(name for one in reversed(stretches) for name in one.versions)
    return [Series(label=name, x=times, y=[float(one.versions.get(name, 0)) for one in stretches]) for name in list(names)[:_MOST_VERSIONS]]


def _width(seconds: int) -> str:
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            return word if seconds == size else f"{seconds // size} {word}s"
    return f"{seconds} seconds"
