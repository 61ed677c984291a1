"""What a simulated service's requests get: percentiles beside the closed form, as rows for a terminal and as a section of the page.

Choices: percentiles are bars under each other, with their values in a column, so that near ones do not cover each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from bedplate.core.drawing.page import section, table
from bedplate.core.drawing.svg import drawing, line, rect, scale, text, told
from bedplate.core.units import show_seconds
from bedplate.planner.asking.questions import Serve
from bedplate.planner.asking.sizing import Design, Simulated, Sizing, Times

from .words import plain

HEADS = ("", "mean", "50 %", "90 %", "99 %", "closed form: mean", "99 %")
WIDE, LEFT, RIGHT, ROW = 440.0, 44.0, 362.0, 16.0
TIMES = {"ttft_s": "first token", "tpot_s": "a token after it"}
"""Field of a simulation -> what it is called."""


def rows(found: Simulated) -> Iterator[tuple[str, ...]]:
    """A row for each quantity, under HEADS."""
    for name, words in TIMES.items():
        closed = found.closed_form
        ends = show_seconds(closed[name]), show_seconds(closed[name.replace("_s", "_p99_s")])
        yield (words, *_written(getattr(found, name), show_seconds), *ends)
    yield ("between outputs of a stream", *_written(found.gap_s, show_seconds), "", "")
    yield ("requests that wait", *_written(found.queue, plain), "", "")


def instance(found: Simulated) -> str:
    """How busy each instance is, in words."""
    load = f"{found.running:,.1f} requests run on average in {found.caches:.0%} of its caches, and it works {found.busy:.0%} of the time"
    return f"each of {found.instances} instances: {load}"


def percentiles(found: Sizing) -> str:
    """The section of the page; nothing where nothing was simulated."""
    designs = [one for one in (found.best, found.runner_up) if one is not None and one.simulated is not None]
    if not designs or not isinstance(found.question, Serve):
        return ""
    drawn = [
        _chart(designs, name, words, limit)
        for (name, words), limit in zip(TIMES.items(), (found.question.ttft_s, found.question.tpot_s), strict=True)
    ]
    listed = "".join(f"<h3>{escape(one.name)}</h3>{_listed(one.simulated)}" for one in designs if one.simulated)
    first = designs[0].simulated
    assert first is not None
    about = (
        f"{first.requests:,} requests met each design in a discrete-event simulation; prompts and answers scatter by {first.length_cv:.0%} "
        "of their means. The dotted stroke is the 99 % of the closed form that searched, the broken line the limit."
    )
    return section("How long requests wait", about, f'<div class="pair">{"".join(drawn)}</div>', f'<div class="wrap">{listed}</div>')


def _listed(found: Simulated) -> str:
    return f"<p class=soft>{escape(instance(found))}</p>" + table(HEADS, [[escape(cell) for cell in row] for row in rows(found)])


def _written(found: Times, write: Callable[[float], str]) -> tuple[str, ...]:
    return tuple(write(value) for value in (found.mean, found.p50, found.p90, found.p99))


def _chart(designs: Sequence[Design], name: str, words: str, limit: float | None) -> str:
    """Three bars for each design: what 50, 90 and 99 of 100 requests stay below."""
    simulated = [one.simulated for one in designs if one.simulated is not None]
    ends = [max(getattr(one, name).p99, one.closed_form[name.replace("_s", "_p99_s")]) for one in simulated]
    x = scale(0, max(*ends, limit or 0.0), LEFT, RIGHT)
    parts, y = [text(0, 13, words.capitalize(), "strong")], 20.0
    for at, (design, found) in enumerate(zip(designs, simulated, strict=True)):
        parts.append(text(0, y + 14, f"{'the runner-up' if at else 'the choice'}: {design.name}"))
        parts += _bars(getattr(found, name), x, y + 20, "bar-now fair" if at else "bar-now")
        closed, last = found.closed_form[name.replace("_s", "_p99_s")], y + 20 + 2 * ROW
        parts.append(told(f"closed form, 99 %: {show_seconds(closed)}", line(x(closed), last - 2, x(closed), last + 14, "mark")))
        y += 20 + 3 * ROW + 6
    if limit is not None:
        parts.append(told(f"limit: {show_seconds(limit)}", line(x(limit), 18, x(limit), y, "limit")))
        parts.append(text(min(x(limit), RIGHT), y + 12, f"limit {show_seconds(limit)}", "", "end" if x(limit) > WIDE / 2 else "start"))
        y += 16
    return drawing(WIDE, y, parts, f"{words}: what 50, 90 and 99 of 100 requests stay below, listed below")


def _bars(found: Times, x: Callable[[float], float], y: float, style: str) -> Iterator[str]:
    for at, (share, value) in enumerate((("50 %", found.p50), ("90 %", found.p90), ("99 %", found.p99))):
        top = y + at * ROW
        yield told(
            f"{share} within {show_seconds(value)}",
            text(LEFT - 6, top + 11, share, "", "end"),
            rect(LEFT, top, max(x(value) - LEFT, 1), 12, style),
            text(WIDE, top + 11, show_seconds(value), "", "end"),
        )


def unplayed(design: Design, found: Sizing) -> str:
    """Said of a design beside a simulated choice that was not simulated itself: its instances are the closed form's."""
    played = found.best is not None and found.best.simulated is not None
    return "by the closed form, not simulated" if played and design.simulated is None else ""
