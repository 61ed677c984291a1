"""Where the time of one prediction went: its trace as bars, one after the other, and as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.tables import Column, Table
from bedplate.stages.deploy.trace import PARTS

_WORDS: Final = {
    "read": "the request came, from its first byte to its last",
    "decode": "it was read and admitted",
    "queue": "it waited to be worked on",
    "features": "the service waited for features",
    "model": "the function, and the model that it asked",
    "answer": "the answer was made and recorded",
    "write": "it was sent, until the client had taken it",
}
_COLUMNS: Final = (Column("part", "Part"), Column("what", "What happened"), Column("ms", "ms", "number"), Column("share", "Share"))


def time_of(trace: Mapping[str, Any]) -> tuple[Table, tuple[Chart, ...]]:
    """The numbers, and the bars; no bars of a prediction that was not traced."""
    times = [(name, max(0.0, float(trace.get(f"{name}_ms") or 0.0))) for name in PARTS] if trace else []
    whole = sum(ms for _, ms in times)
    rows = [(name, _WORDS[name], ms, f"{ms / whole if whole else 0.0:.1%}") for name, ms in times]
    table = Table(name="parts", columns=_COLUMNS, rows=[*rows, *([("all", "", whole, "")] if rows else [])], empty="It was not traced.")
    if not times:
        return table, ()
    ends = [sum(ms for _, ms in times[: at + 1]) for at in range(len(times))]
    begins = [end - ms for end, (_, ms) in zip(ends, times, strict=True)]
    series = [Series(label=name, x=[begin], y=[end], words=[name]) for (name, _), begin, end in zip(times, begins, ends, strict=True)]
    note = f"{trace.get('why')}; trace {trace.get('trace')}"
    return table, (
        Chart(
            name="time",
            title=f"{whole:.3g} ms, from its first byte until the client had its answer",
            x=Axis("ms since its first byte"),
            y=Axis("ms"),
            series=series,
            draws="spans",
            note=note,
        ),
    )
