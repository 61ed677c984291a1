"""A period's money and energy as tables, drawings and words; pure. Measured and assumed energy stand beside each other, not in one sum."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, TypeVar
from urllib.parse import quote

from markupsafe import Markup

from bedplate.catalog.money import RunTook, Took
from bedplate.core.drawing.svg import drawing, line, rect, scale, text, ticks, told
from bedplate.core.records import Record
from bedplate.core.units import show_joules, show_seconds, show_usd
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Tone, Value

_Key = TypeVar("_Key", bound=Hashable)
STAGES: Final = ("ingest", "prepare", "train", "validate", "deploy", "monitor")
MEASURED: Final = "measured"
MOST_STEPS: Final = 200
_TONES: Final[Mapping[str, Tone]] = {"done": "good", "failed": "bad", "running": "now", "cancelled": "warn"}
_WIDE, _TALL, _LEFT = 900.0, 190.0, 64.0
_SUMS: Final = (
    Column("attempts", "Attempts", "number"), Column("failed", "Failed", "number"), Column("wall_s", "Time", "seconds"),
    Column("processor_s", "Processor time", "seconds"), Column("idle_s", "Idle", "seconds"),
    Column("energy_measured_j", "Energy, measured", "joules"), Column("energy_assumed_j", "Energy, assumed", "joules"),
    Column("usd", "Money", "usd"),
)  # fmt: skip


class Sum(Record, frozen=True, kw_only=True):
    """What some rows come to."""

    attempts: int = 0
    failed: int = 0
    up_s: float = 0.0
    busy_s: float = 0.0
    idle_s: float = 0.0
    measured: float = 0.0
    assumed: float = 0.0
    usd: float = 0.0


class Chart(Record, frozen=True, kw_only=True):
    """Columns by day, each in parts; `key` are the parts: (fill, words)."""

    name: str
    title: str
    svg: Markup
    key: tuple[tuple[int, str], ...]


def summed(rows: Iterable[Took]) -> Sum:
    """All of these together, the energy by what it rests on."""
    found = list(rows)
    return Sum(
        attempts=sum(one.attempts for one in found), failed=sum(one.failed for one in found), up_s=sum(one.up_s for one in found),
        busy_s=sum(one.busy_s for one in found), idle_s=sum(one.idle_s for one in found), usd=sum(one.usd for one in found),
        measured=sum(one.joules for one in found if one.basis == MEASURED),
        assumed=sum(one.joules for one in found if one.basis != MEASURED),
    )  # fmt: skip


def tables(took: Sequence[Took], runs: Sequence[RunTook], more: str) -> tuple[Table, ...]:
    """By stage, by step and service, by day, by run; `more` is the address of the next page of runs."""
    stages = _grouped(took, lambda one: one.stage or "other")
    days = _grouped(took, lambda one: one.day)
    cells = _grouped(took, lambda one: (one.day, one.stage or "other"))
    ordered = sorted(stages, key=lambda name: (STAGES.index(name) if name in STAGES else len(STAGES), name))
    day = Column("day", "Day (UTC)")
    return (
        Table(name="stages", columns=(Column("stage", "Stage"), *_SUMS), rows=[(name, *_cells(stages[name])) for name in ordered]),
        Table(name="steps", columns=(Column("step", "Step or service"), Column("stage", "Stage"), *_SUMS), rows=_steps(took)),
        Table(name="days", columns=(day, *_SUMS), rows=[(name, *_cells(days[name])) for name in sorted(days, reverse=True)]),
        Table(
            name="days-stages", columns=(day, Column("stage", "Stage"), *_SUMS), rows=[(*key, *_cells(cells[key])) for key in sorted(cells)]
        ),
        _runs(runs, more),
    )


def _steps(took: Sequence[Took]) -> list[tuple[Value, ...]]:
    """A row for each step and service, the dearest first; beyond `MOST_STEPS` the others are one row, so that the sums are those of all."""
    steps = _grouped(took, _spender)
    dearest = sorted(steps, key=lambda key: (-steps[key].usd, -steps[key].up_s, key))
    rows: list[tuple[Value, ...]] = [
        (_called(name, stage), stage or "other", *_cells(steps[name, stage])) for name, stage in dearest[:MOST_STEPS]
    ]
    if others := set(dearest[MOST_STEPS:]):
        rows.append((f"{len(others):,} others", "", *_cells(summed(one for one in took if _spender(one) in others))))
    return rows


def _spender(one: Took) -> tuple[str, str]:
    """Who spent it: a step with its stage, or a server."""
    return (_server(one.name), "service") if one.kind == "service" else (one.name, one.stage)


def _called(name: str, stage: str) -> Value:
    """A step, which leads to it; a service by its server's address; what was spent on no step by that."""
    if stage == "service":
        return name
    return Link(name, f"/?step={quote(name)}") if name else "no step: an attempt that is no longer on record"


def _server(spender: str) -> str:
    """The address of a server, whenever it was started there."""
    return spender.partition(" since ")[0]


def _runs(runs: Sequence[RunTook], more: str) -> Table:
    columns = (Column("run", "Run"), Column("status", "Status", "state"), Column("started", "Started (UTC)", "time"),
               *(one for one in _SUMS if one.key != "failed"))  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (
            Link(one.run, f"/runs/{one.run}"), State(one.status, _TONES.get(one.status, "off")), one.started_at, one.attempts, one.up_s,
            one.busy_s, one.idle_s, one.measured_joules or None, one.assumed_joules or None, one.usd or None,
        )
        for one in runs
    ]  # fmt: skip
    return Table(name="runs", columns=columns, rows=rows, more=more, empty="No run began in this period.")


def _cells(one: Sum) -> tuple[Value, ...]:
    return (
        one.attempts or None, one.failed or None, one.up_s, one.busy_s, one.idle_s, one.measured or None, one.assumed or None,
        one.usd or None,
    )  # fmt: skip


def _grouped(took: Iterable[Took], key: Callable[[Took], _Key]) -> dict[_Key, Sum]:
    found: dict[_Key, list[Took]] = {}
    for one in took:
        found.setdefault(key(one), []).append(one)
    return {name: summed(rows) for name, rows in found.items()}


def charts(took: Sequence[Took], first: date, last: date) -> list[Chart]:
    """Money by day and stage where any was spent; processor time by day and stage; energy by day and what it rests on."""
    days = [(first + timedelta(days=at)).isoformat() for at in range((last - first).days)]
    stages = [one for one in (*STAGES, "") if any(row.stage == one for row in took)]
    usd, busy, joules = (dict[tuple[str, str], float]() for _ in range(3))
    for row in took:
        basis = MEASURED if row.basis == MEASURED else "assumed"
        for cells, part, value in ((usd, row.stage, row.usd), (busy, row.stage, row.busy_s), (joules, basis, row.joules)):
            cells[row.day, part] = cells.get((row.day, part), 0.0) + value
    made = []
    if any(usd.values()):
        made.append(_chart("money", "Money by day", days, stages, usd, show_usd))
    made.append(_chart("processors", "Processor time by day", days, stages, busy, show_seconds))
    bases = [one for one in (MEASURED, "assumed") if any(value for (_, part), value in joules.items() if part == one)]
    if bases:
        made.append(_chart("energy", "Energy by day, by what it rests on", days, bases, joules, show_joules, beside=True))
    return made


def _chart(
    name: str, title: str, days: Sequence[str], parts: Sequence[str], cells: Mapping[tuple[str, str], float], write: Callable[[float], str],
    *, beside: bool = False,
) -> Chart:  # fmt: skip
    """A column for each day, its parts on top of each other or `beside` each other, with what each is worth where it is pointed at."""
    high = max if beside else sum
    tops = [high([cells.get((day, part), 0.0) for part in parts] or [0.0]) for day in days]
    marks = ticks(max(tops, default=0.0))
    bottom, wide = _TALL - 22, (_WIDE - _LEFT) / max(len(days), 1)
    y = scale(0, marks[-1], bottom, 8)
    strokes = [line(_LEFT, y(mark), _WIDE, y(mark), "grid") for mark in marks]
    strokes += [text(_LEFT - 6, y(mark) + 4, write(mark) if mark else "0", "", "end") for mark in marks]
    every, share = max(1, -(-len(days) // 12)), wide / len(parts) if beside and parts else wide
    for at, day in enumerate(days):
        x, up = _LEFT + wide * at, 0.0
        for fill, part in enumerate(parts):
            value = cells.get((day, part), 0.0)
            left = x + share * fill if beside else x
            bar = rect(left + 1, y(up + value), max(share - 2, 1), y(up) - y(up + value), f"fill-{fill % 8}")
            strokes += [told(f"{day}, {part or 'other'}: {write(value)}", bar)] if value > 0 else []
            up += 0.0 if beside else value
        if at % every == 0:
            strokes.append(text(x + wide / 2, _TALL - 5, day[8:].lstrip("0") if at else day[5:], "", "middle"))
    key = tuple((fill % 8, part or "other") for fill, part in enumerate(parts))
    return Chart(name=name, title=title, svg=Markup(drawing(_WIDE, _TALL, strokes, f"{title}; the numbers are in the tables")), key=key)


class Budget(Record, frozen=True, kw_only=True):
    """A budget over the time until now: what is spent in its period, what is set aside, and what the pace of late would come to."""

    limit: float
    currency: str
    period_s: float
    spent: float
    held: float
    pace_day: float
    """Dollars a day, over the last week."""

    @property
    def comes_to(self) -> float:
        """What a whole period costs at that pace."""
        return self.pace_day * self.period_s / 86400

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.spent + self.held >= self.limit

    @property
    def breaks_in_days(self) -> float | None:
        """Days until it is used up, if nothing leaves the period before; None where that pace keeps to it."""
        if self.comes_to <= self.limit or self.pace_day <= 0:
            return None
        return max(self.limit - self.spent - self.held, 0.0) / self.pace_day

    @property
    def bar(self) -> Markup:
        """The budget as a bar, filled by what is spent and what is set aside."""
        whole = max(self.limit, self.spent + self.held, 1e-12)
        x = scale(0, whole, 0, _WIDE)
        spent = told(f"spent: {show_usd(self.spent)}", rect(0, 2, x(self.spent), 22, "fill-5" if self.is_over else "fill-0"))
        held = told(f"set aside: {show_usd(self.held)}", rect(x(self.spent), 2, x(self.held), 22, "fill-1"))
        parts = [rect(0, 2, _WIDE, 22, "box free"), spent, held, line(x(self.limit), 0, x(self.limit), 26, "whisker")]
        said = f"{show_usd(self.spent)} spent and {show_usd(self.held)} set aside of {show_usd(self.limit)}"
        return Markup(drawing(_WIDE, 28, parts, said).replace("<svg ", '<svg preserveAspectRatio="none" ', 1))


def forecast(usd: float, first: date, last: date, now: datetime) -> float | None:
    """What the period from `first` until `last` comes to at its own pace; None where it is over, or less than a day old."""
    begun = datetime(first.year, first.month, first.day, tzinfo=now.tzinfo)
    ended = datetime(last.year, last.month, last.day, tzinfo=now.tzinfo)
    gone = (now - begun).total_seconds()
    if not 86400 <= gone < (ended - begun).total_seconds():
        return None
    return usd / gone * (ended - begun).total_seconds()
