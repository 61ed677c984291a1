"""Runs as points and as lines over several axes: one value against another, and all that differs at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bedplate.catalog.tracking.grammar import spelt
from bedplate.catalog.tracking.tracked import RunDetail
from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.frame import path_of

from .values import Fact

MOST_AXES: Final = 12
_PARAMS, _METRICS = 7, 4
_MOST_LEVELS: Final = 40


def name(fact: Fact) -> str:
    """What a key is called in the address."""
    return spelt(fact.key.entity, fact.key.name)


def numeric(facts: Sequence[Fact]) -> list[Fact]:
    """Those that can lie along an axis of a plot: numbers, which at least one run says."""
    return [fact for fact in facts if any(number is not None for number in fact.numbers or ())]


def chosen(facts: Sequence[Fact], wanted: str, otherwise: str) -> Fact | None:
    """The one of that name; without one, the first that differs of a kind, else the first of all."""
    by_name = {name(fact): fact for fact in facts}
    if wanted in by_name:
        return by_name[wanted]
    return next((fact for fact in facts if fact.key.entity == otherwise and fact.differs), next(iter(facts), None))


def scatter(called: Sequence[str], across: Fact, up: Fact) -> Chart:
    """Each run as a point; those that lack either value are left out, and counted."""
    both = zip(across.numbers or (), up.numbers or (), called, strict=True)
    points = sorted((x, y, word) for x, y, word in both if x is not None and y is not None)
    left_out = len(called) - len(points)
    series = Series(label="runs", x=[x for x, _, _ in points], y=[y for _, y, _ in points], words=[word for _, _, word in points])
    return Chart(
        name="scatter", title=f"{up.key.name} against {across.key.name}", x=Axis(across.key.name), y=Axis(up.key.name),
        series=(series,) if points else (), draws="scatter", note=f"{left_out} runs have no such values" if left_out else "",
    )  # fmt: skip


def axes(facts: Sequence[Fact], wanted: Sequence[str]) -> list[Fact]:
    """The axes asked for; else the first params and metrics that differ."""
    by_name = {name(fact): fact for fact in facts if _can_stand(fact)}
    if wanted:
        return [by_name[one] for one in dict.fromkeys(wanted) if one in by_name][:MOST_AXES]
    differing = [fact for fact in by_name.values() if fact.differs]
    params = [fact for fact in differing if fact.key.entity == "param"][:_PARAMS]
    return params + [fact for fact in differing if fact.key.entity == "metric"][:_METRICS]


def parallel(details: Sequence[RunDetail], called: Sequence[str], along: Sequence[Fact], *, whole: bool) -> Chart:
    """Each run as a line over the axes; words stand on an axis in their order. Not `whole`: only the first line names the axes."""
    levels = {fact.key.name: _levels(fact) for fact in along if fact.numbers is None}
    columns = [fact.numbers if fact.numbers is not None else _ranks(fact, levels[fact.key.name]) for fact in along]
    words = [fact.key.name for fact in along]
    places = list(range(len(along)))
    series = [
        Series(
            label=label, x=places, y=[_brief(column[number]) for column in columns], words=words if whole or number == 0 else (),
            href=path_of("runs", detail.run.id),
        )
        for number, (detail, label) in enumerate(zip(details, called, strict=True))
    ]  # fmt: skip
    return Chart(
        name="parallel", title="Parallel coordinates", x=Axis("key"), y=Axis("value"), series=series if len(along) > 1 else (),
        draws="parallel", levels=levels,
    )  # fmt: skip


def _can_stand(fact: Fact) -> bool:
    return any(number is not None for number in fact.numbers) if fact.numbers is not None else len(set(fact.values)) <= _MOST_LEVELS


def _brief(value: float | None) -> float | None:
    """To six digits: lines need no more."""
    return None if value is None else float(f"{value:.6g}")


def _levels(fact: Fact) -> list[str]:
    return sorted({str(value)[:60] for value in fact.values if value is not None})


def _ranks(fact: Fact, levels: Sequence[str]) -> list[float | None]:
    place = {level: float(number) for number, level in enumerate(levels)}
    return [None if value is None else place[str(value)[:60]] for value in fact.values]
