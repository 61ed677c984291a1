"""A plan as tables and charts: when each step would run, what that takes, what binds it, and how past forecasts did. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from bedplate.core.records import Forecast, Record, Usage
from bedplate.core.units import show_bytes, show_days, show_joules, show_seconds, show_usd
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.tables import Column, Link, State, Table, Tone, Value
from bedplate.pipeline.whole import Placing, Whole
from bedplate.planner.forecasts.history import coverage
from bedplate.planner.forecasts.sums import together

_SHOWN: Final = {"run": State("runs", "warn"), "maybe": State("perhaps", "warn"), "blocked": State("blocked", "bad")}
_WORDS: Final = {"run": "runs", "maybe": "perhaps runs"}
_CHAIN: Final = 0.9
"""A plan that takes so much of its longest chain's time, or less more, is bound by it."""
_LINES: Final = 12
_STEPS: Final = (
    Column("step", "Step"), Column("what", "What", "state"), Column("why", "Why", "words"), Column("time", "Time", "number"),
    Column("memory", "Memory", "number"), Column("energy", "Energy", "number"), Column("money", "Money", "number"),
    Column("basis", "Known by"),
)  # fmt: skip
_RECORD: Final = (
    Column("step", "Step"), Column("n", "Forecasts", "number"), Column("inside", "Inside the range", "number"),
    Column("share", "Share", "number"), Column("error", "Off by (median)", "number"), Column("said", "Last said", "number"),
    Column("took", "It took", "seconds"), Column("how", "How it did", "state"),
)  # fmt: skip
_WATT_HOUR: Final = 3600.0
_UNITS: Final = ((3.6e9, "MWh"), (3.6e6, "kWh"), (_WATT_HOUR, "Wh"))
"""Both ends of a range have the unit of the upper."""
Pairs = Mapping[str, Sequence[tuple[Forecast, Usage]]]
"""Of each step what was predicted of its time and what its attempt took, the newest first."""


class Totals(Record, frozen=True, kw_only=True):
    """What a plan takes in all, in words: time, energy, money; what binds it; and steps whose time nobody knows."""

    steps: int
    time: str = ""
    energy: str = ""
    energy_basis: str = ""
    money: str = ""
    binds: str = ""
    unknown: tuple[str, ...] = ()


def totals(whole: Whole) -> Totals:
    """What the plan takes."""
    going = [one for one in whole.steps if one.starts_s is not None or _count(one)]
    energy = together((one, _count(step)) for step in going for one in step.forecasts if one.quantity == "energy_joules")
    money = together((one, _count(step)) for step in going for one in step.forecasts if one.quantity == "cost_usd")
    wall = whole.wall.total
    return Totals(
        steps=len(going), time=_range(wall, show_days) if wall.high > 0 else "",
        energy=_range(energy, show_joules) if energy else "", energy_basis=energy.basis if energy else "",
        money=_range(money, show_usd) if money else "", binds=_binds(whole, money), unknown=whole.wall.unknown[:20],
    )  # fmt: skip


def time_line(whole: Whole) -> Chart:
    """When each step would start and end, were each to take the middle of its range; without those of which nothing is known."""
    series = []
    for action, words in _WORDS.items():
        mine = [one for one in whole.steps if one.actions.get(action) and (one.ends_s or 0.0) > (one.starts_s or 0.0)]
        mine = [one for one in mine if action == "run" or not one.actions.get("run")]
        if mine:
            series.append(
                Series(words, [one.starts_s or 0.0 for one in mine], [one.ends_s for one in mine], words=[_placed(one) for one in mine])
            )  # fmt: skip
    return Chart(
        name="time-line", title="When each step would run, at the middle of its range", x=Axis("seconds from the start"),
        y=Axis("step"), series=series, draws="spans",
    )  # fmt: skip


def planned(whole: Whole) -> Table:
    """What would run, with the range of everything that is forecast."""
    rows: list[tuple[Value, ...]] = []
    for one in whole.steps:
        action = next((word for word in ("blocked", "run", "maybe") if one.actions.get(word)), "")
        if action:
            by = {forecast.quantity: forecast for forecast in one.forecasts if forecast.basis != "unknown"}
            said = [
                _range(by[key], show) if key in by else None
                for key, show in (("wall_s", show_days), ("peak_bytes", show_bytes), ("energy_joules", show_joules), ("cost_usd", show_usd))
            ]
            name = Link(_called(one), f"/?step={one.name}")
            rows.append((name, _SHOWN[action], one.warning or one.why, *said, _basis(by.get("wall_s"))))
    return Table(name="planned", columns=_STEPS, rows=rows, empty="Nothing to do: everything is as the record has it.")


def record(pairs: Pairs) -> Table:
    """How past forecasts of each step's time did."""
    rows: list[tuple[Value, ...]] = []
    for step, some in pairs.items():
        known = [(one, usage.wall_s) for one, usage in some if one.basis != "unknown" and usage.wall_s > 0]
        if not known:
            continue
        did, (last, took) = coverage(known), known[0]
        error = f"{did.median_error:.0%}".replace("%", " %") if did.median_error is not None else None
        share = f"{did.share:.0%}".replace("%", " %") if did.share is not None else None
        rows.append((Link(step, f"/?step={step}"), did.n, did.inside, share, error, _range(last, show_seconds), took, _how(last, took)))
    empty = "No forecast has been held against what happened yet."
    return Table(name="record", columns=_RECORD, rows=rows, empty=empty, command="bedplate run")


def scatter(pairs: Pairs) -> Chart:
    """What was forecast against what happened, a cloud for each step; of many steps the first by themselves."""
    clouds: dict[str, tuple[list[float], list[float | None]]] = {}
    for at, (step, some) in enumerate(pairs.items()):
        for one, usage in some:
            if one.basis != "unknown" and one.middle > 0 and usage.wall_s > 0:
                xs, ys = clouds.setdefault(step if at < _LINES else "all others", ([], []))
                xs.append(one.middle)
                ys.append(usage.wall_s)
    return Chart(
        name="off-by", title="What was forecast, and what it took", x=Axis("forecast, s", "log"), y=Axis("took, s", "log"),
        series=[Series(step, xs, ys) for step, (xs, ys) in clouds.items()], draws="scatter",
    )  # fmt: skip


def overall(pairs: Pairs) -> tuple[int, int]:
    """How many forecasts there were, and how many held."""
    found = [coverage([(one, usage.wall_s) for one, usage in some]) for some in pairs.values()]
    return sum(one.n for one in found), sum(one.inside for one in found)


def _binds(whole: Whole, money: Forecast | None) -> str:
    """What keeps the plan from being shorter, or from beginning at all."""
    limit = whole.budget.get("limit")
    if limit is not None and money is not None:
        gone = whole.budget["spent"] + whole.budget["held"]
        if gone + money.low > limit:
            told = f"{gone:.2f} of {limit:.2f} {whole.budget['currency']} are spent or set aside"
            return f"the budget: {told}, and this costs {_range(money, show_usd)}"
    ends = max((one.ends_s for one in whole.steps if one.ends_s is not None), default=0.0)
    if not ends:
        return ""
    if whole.chain_s >= _CHAIN * ends:
        return f"the longest chain: {' → '.join(whole.wall.path)}"
    return f"{whole.slots:g} processors: with more it would take {show_seconds(whole.chain_s)} instead of {show_seconds(ends)}"


def _count(one: Placing) -> int:
    """How many of its parts (or itself) would run."""
    return one.actions.get("run", 0) + one.actions.get("maybe", 0)


def _called(one: Placing) -> str:
    count = _count(one)
    return f"{one.name} ({count:,} parts)" if count > 1 else one.name


def _placed(one: Placing) -> str:
    """A row of the time line: what only perhaps runs says so."""
    return _called(one) if one.actions.get("run") else f"{_called(one)} ?"


def _range(one: Forecast, show: object) -> str:
    assert callable(show)
    low, high = str(show(one.low)), str(show(one.high))
    if show is show_joules and one.high >= _WATT_HOUR / 10:
        size, unit = next((size, unit) for size, unit in _UNITS if one.high >= size / 10)
        return f"{one.low / size:.2g} to {one.high / size:.2g} {unit}"
    if " " in low and low.partition(" ")[2] == high.partition(" ")[2]:
        low = low.partition(" ")[0]
    return f"{low} to {high}"


def _basis(wall: Forecast | None) -> str:
    if wall is None:
        return "nothing yet"
    word: Literal["attempt", "attempts"] = "attempt" if wall.samples == 1 else "attempts"
    return f"the planner, with {wall.samples} {word}" if wall.basis == "planner" else f"{wall.samples} {word}"


def _how(said: Forecast, took: float) -> State:
    """Where what happened lay."""
    tone: Tone = "good" if said.low <= took <= said.high else "warn"
    return State("inside" if tone == "good" else "longer" if took > said.high else "shorter", tone)
