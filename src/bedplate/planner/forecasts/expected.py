"""What is expected of a declared workload on a target's machines, and how the attempts that were made are blended into it. Light: a run
that skips everything imports this, and not the search (`planner.search.workload`) that makes it.

Choices: only time is blended, because it is measured as it is predicted. Money and energy follow the blended time at the rates that were
predicted, because attempts are metered without their accelerators; memory of the machine is the history's alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bedplate.core.records import Forecast, Record, Usage

from .history import forecast

FOLLOWS = ("energy_joules", "cost_usd")


class Expected(Record, frozen=True, kw_only=True):
    """What the planner alone says of a workload on `machines`.

    `fits`: whether they can do it; None where that cannot be said. `problem` says why they cannot, or why it cannot be said, and `needs`
    how many of the same would do, where some would. Of a service the forecasts are of a month, and there is no time.
    """

    machines: str
    fits: bool | None = None
    design: str = ""
    forecasts: tuple[Forecast, ...] = ()
    problem: str = ""
    needs: str = ""

    @property
    def warning(self) -> str:
        """For people: why nothing is forecast; empty where something is."""
        if not self.problem:
            return ""
        if self.fits is None:
            return f"nothing is forecast on {self.machines}: {self.problem}"
        return f"it does not fit {self.machines}: {self.problem}{f'; it would fit {self.needs}' if self.needs else ''}"


def with_history(expected: Expected, usages: Sequence[Usage], own: Sequence[Forecast]) -> tuple[Forecast, ...]:
    """The forecasts of the next attempt: what was expected, with `usages` (oldest first) blended in, beside the history's `own`.

    Without an expected time it is `own`.
    """
    before = next((one for one in expected.forecasts if one.quantity == "wall_s"), None)
    if before is None:
        return (*own, *expected.forecasts)
    wall = forecast(usages, "wall_s", prior=before)
    planned = [_follows(one, before, wall) if one.quantity in FOLLOWS else one for one in expected.forecasts if one is not before]
    known = {one.quantity for one in expected.forecasts}
    return (wall, *(one for one in own if one.quantity not in known), *planned)


def _follows(one: Forecast, before: Forecast, wall: Forecast) -> Forecast:
    """A quantity in proportion to time, for another time than was expected: its own range as it was, that of the time added."""
    if not wall.samples:
        return one
    rate = one.middle / before.middle
    return msgspec.structs.replace(one, middle=wall.middle * rate, low=wall.low * rate, high=wall.high * rate, samples=wall.samples)
