"""What checks said of a model's versions, as tables and charts: figure by figure, slice by slice, beside another version's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bedplate.catalog.catalog import Catalog
from bedplate.core.check import Check, Finding
from bedplate.core.records import Record, Verdict
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.tables import Column, State, Table, Value
from bedplate.pipeline.commit import check_of

_MOST_BARS: Final = 24
_COLUMNS: Final = (
    Column("figure", "Figure"), Column("slice", "Slice"), Column("value", "Value", "number"), Column("needed", "Needed"),
    Column("other", "Before", "number"), Column("difference", "Difference", "number"), Column("verdict", "Verdict", "state"),
)  # fmt: skip


class Judged(Record, frozen=True, kw_only=False):
    """A verdict, and what its check found; None where that is not kept."""

    verdict: Verdict
    check: Check | None


def judged(catalog: Catalog, model: str, number: int) -> list[Judged]:
    """The newest verdict of each check on a version."""
    newest: dict[str, Verdict] = {}
    for verdict in catalog.models.verdicts(model, number):
        newest.setdefault(verdict.check, verdict)
    found = []
    for verdict in newest.values():
        version = catalog.artifacts.find(f"{verdict.check}@{verdict.check_version}")
        found.append(Judged(verdict, None if version is None else check_of(version)))
    return found


def standing(verdicts: Sequence[Verdict]) -> State:
    """What checks say of a version, in a word; the newest verdict of each check counts. `verdicts` are newest first."""
    newest: dict[str, bool] = {}
    for verdict in verdicts:
        newest.setdefault(verdict.check, verdict.passed)
    if not newest:
        return State("not judged", "off")
    return State("passed", "good") if all(newest.values()) else State("did not pass", "bad")


def verdict_table(name: str, mine: Judged, other: Judged | None, against: str) -> Table:
    """The findings of a check on a version, beside those of the same check on another one."""
    theirs = _by_label(other)
    findings = mine.check.findings if mine.check is not None else ()
    columns = _COLUMNS if other is not None else tuple(one for one in _COLUMNS if one.key not in ("other", "difference"))
    columns = tuple(Column(one.key, against if one.key == "other" else one.label, one.shape) for one in columns)
    rows = [_row(one, theirs.get(one.label), beside=other is not None) for one in findings]
    return Table(name=name, columns=columns, rows=rows, empty="What this check found is not kept.")


def verdict_chart(name: str, mine: Judged, other: Judged | None, labels: tuple[str, str]) -> Chart | None:
    """The same as bars with the bound drawn across them; None where there is nothing to draw. `labels` are the two versions."""
    findings = [one for one in (mine.check.findings if mine.check is not None else ()) if one.value is not None][:_MOST_BARS]
    if not findings:
        return None
    theirs = _by_label(other)
    words = [one.label for one in findings]
    at = [float(place) for place in range(len(words))]
    series = [Series(label=labels[0], x=at, y=[one.value for one in findings], words=words)]
    if any(word in theirs for word in words):
        values = [found.value if (found := theirs.get(word)) is not None else None for word in words]
        series.append(Series(label=labels[1], x=at, y=values, words=words))
    if any(one.bound is not None for one in findings):
        series.append(Series(label="what is needed", x=at, y=[one.bound for one in findings], words=words, marks=True))
    title = f"{mine.verdict.check}: {labels[0]}" + (f" beside {labels[1]}" if len(series) > 2 or (other and theirs) else "")
    return Chart(name=name, title=title, x=Axis(label="figure"), y=Axis(label="value"), series=series, draws="grouped")


def _by_label(one: Judged | None) -> dict[str, Finding]:
    return {} if one is None or one.check is None else {finding.label: finding for finding in one.check.findings}


def _row(one: Finding, other: Finding | None, *, beside: bool) -> tuple[Value, ...]:
    needed = "no champion before it" if one.bound is None else f"{one.rule} {one.bound:.6g}"
    there = other.value if other is not None else None
    difference = one.value - there if one.value is not None and there is not None else None
    shown: tuple[Value, ...] = (one.name, one.slice or "all rows", one.value, needed)
    state = State("passed", "good") if one.passed else State("did not pass", "bad")
    return (*shown, there, difference, state) if beside else (*shown, state)
