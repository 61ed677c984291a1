"""How long it takes until the machines work: design, power, building, deliveries, installation, acceptance.

    new hall     max(design + building, grid connection, electrical plant and cooling + fit-out), then install and accept
    retrofit     max(works, cooling equipment + fit-out); as it stands: nothing
    colocation   the contract
    install      racks / racks a week, with more crews at most some months; machines, network and storage must be there by then

Choices: what takes long is ordered when half of the design is done, what goes into racks so that it comes when the hall is ready, or at
once where its delivery is longer. Above `utility-large-kw` a site waits in the grid's queue and needs transformers of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from bedplate.core.records import Record
from bedplate.planner.asking.questions import Cooling
from bedplate.planner.asking.sizing import Milestone
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.systems import Figure, Systems

from .ways import Way


class Schedule(Record, frozen=True, kw_only=True):
    """The bars in order of their start, weeks until acceptance, and the bar that all wait for."""

    milestones: tuple[Milestone, ...]
    weeks: Estimate
    critical: str


DELIVERIES = {"accelerators": "weeks-accelerators", "switches and optics": "weeks-network", "storage": "weeks-storage"}
_PLANT = {"switchgear": "weeks-switchgear", "generators": "weeks-generators", "UPS": "weeks-ups"}


def schedule(way: Way, cooling: Cooling, site_kw: float, racks: int, systems: Systems) -> Schedule:
    """The time line with the usual figures; its range with all of them low, and with all of them high and nothing in parallel helped."""
    bars, weeks, critical = _bars(way, cooling, site_kw, racks, functools.partial(_figure, systems, _usual))
    low = _bars(way, cooling, site_kw, racks, functools.partial(_figure, systems, _quick))[1]
    high = _bars(way, cooling, site_kw, racks, functools.partial(_figure, systems, _slow))[1]
    bars = sorted(bars, key=lambda bar: (bar.start_week, -bar.weeks))
    return Schedule(
        milestones=tuple(bars), weeks=Estimate(value=weeks, low=low, high=high, basis="lead times of figures.csv"), critical=critical
    )


def figures(way: Way, cooling: Cooling, site_kw: float, systems: Systems) -> tuple[str, ...]:
    """The rows of figures.csv that its time line rests on."""
    used: list[str] = []

    def note(name: str) -> float:
        used.append(name)
        return systems.figure(name).value

    _bars(way, cooling, site_kw, 1, note)
    return tuple(dict.fromkeys(used))


def _figure(systems: Systems, take: Callable[[Figure], float], name: str) -> float:
    return take(systems.figure(name))


def _usual(figure: Figure) -> float:
    return figure.value


def _quick(figure: Figure) -> float:
    """The end of the range that takes less time: few weeks, many racks a week."""
    return figure.low if figure.unit == "weeks" else figure.high


def _slow(figure: Figure) -> float:
    return figure.high if figure.unit == "weeks" else figure.low


def _bars(way: Way, cooling: Cooling, site_kw: float, racks: int, of: Callable[[str], float]) -> tuple[list[Milestone], float, str]:
    bars = _hall(way, cooling, site_kw, of)
    last = max(bars, key=_end, default=None)
    ready = _end(last) if last else 0.0
    goods = [Milestone(name=name, start_week=max(0.0, ready - of(figure)), weeks=of(figure)) for name, figure in DELIVERIES.items()]
    latest = max(goods, key=_end)
    begin = max(ready, _end(latest))
    critical = last.name if last and ready >= _end(latest) else latest.name
    rate = of("racks-a-week-liquid" if cooling in ("liquid", "immersion") else "racks-a-week")
    install = min(racks / rate, of("weeks-installation-most"))
    accept = of("weeks-acceptance")
    bars += [
        *goods,
        Milestone(name="installation", start_week=begin, weeks=install),
        Milestone(name="acceptance", start_week=begin + install, weeks=accept),
    ]
    return bars, begin + install + accept, critical


def _hall(way: Way, cooling: Cooling, site_kw: float, of: Callable[[str], float]) -> list[Milestone]:
    """The bars until the hall is ready."""
    if way == "as it stands":
        return []
    if way == "colocation":
        return [Milestone(name="colocation contract", start_week=0, weeks=of("weeks-colocation"))]
    equipment = {f"cooling ({cooling})": f"weeks-cooling-{cooling}"}
    if way == "retrofit":
        bars = [Milestone(name="works in the hall", start_week=0, weeks=of("weeks-retrofit"))]
        return bars + _ordered(equipment, 0.0, of)
    design = of("weeks-design")
    large = site_kw > of("utility-large-kw")
    equipment |= _PLANT | ({"transformers": "weeks-transformer"} if large else {})
    return [
        Milestone(name="design and permits", start_week=0, weeks=design),
        Milestone(name="grid connection", start_week=0, weeks=of("weeks-utility-large" if large else "weeks-utility-small")),
        Milestone(name="building", start_week=design, weeks=of("weeks-building")),
        *_ordered(equipment, design / 2, of),
    ]


def _ordered(equipment: dict[str, str], start: float, of: Callable[[str], float]) -> list[Milestone]:
    """Deliveries of plant, and the fit-out after the last."""
    bars = [Milestone(name=name, start_week=start, weeks=of(figure)) for name, figure in equipment.items()]
    return [*bars, Milestone(name="fit-out", start_week=max(_end(bar) for bar in bars), weeks=of("weeks-fit-out"))]


def _end(bar: Milestone) -> float:
    return bar.start_week + bar.weeks
