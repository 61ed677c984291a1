"""What several steps take together of something that adds up: money, energy. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bedplate.core.records import Forecast


def together(forecasts: Iterable[tuple[Forecast, int]]) -> Forecast | None:
    """The sum of forecasts of one quantity, each so many times; None where none is known.

    Steps are taken as independent: the halves of the ranges add up as squares do, for all are rarely high at once. The basis is `assumed`
    where any is.
    """
    known = [(one, times) for one, times in forecasts if one.basis != "unknown" and times > 0]
    if not known:
        return None
    middle = sum(times * one.middle for one, times in known)
    down = math.sqrt(sum(times * (one.middle - one.low) ** 2 for one, times in known))
    up = math.sqrt(sum(times * (one.high - one.middle) ** 2 for one, times in known))
    basis = "assumed" if any(one.basis == "assumed" for one, _ in known) else known[0][0].basis
    return Forecast(
        quantity=known[0][0].quantity, middle=middle, low=max(middle - down, 0.0), high=middle + up, basis=basis,
        samples=min(one.samples for one, _ in known),
    )  # fmt: skip
