"""What a chip's matrix units attain on the products that suit them best, and its network on large messages: fitted, by vendor and chip.

Choices: a share of the data sheet's dense peak, with effects of vendor, number format and chip from sweeps over shapes (MAMF, stas00
ml-engineering); a chip that was never swept gets its vendor's share, an unknown vendor the general one.
"""

from __future__ import annotations

from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.systems import Accelerator


def attainable(chip: Accelerator, precision: str, constants: Constants) -> float | None:
    """FLOP/s of the best matrix product in `precision`; None where the catalogue has no peak for it."""
    peak = chip.peak(precision)
    return None if peak is None else peak * constants.effects["matrix"].of(labels(chip, precision))


def labels(chip: Accelerator, precision: str) -> tuple[str, ...]:
    """What the share hangs on. `half-rate`: a GeForce, whose peak with sums in fp32 is half of what its units do: power never binds."""
    half = ("half-rate",) if HALF_RATE in chip.notes else ()
    return (*half, f"vendor:{chip.vendor}", f"format:{chip.vendor}/{precision}", f"accelerator:{chip.name}/{precision}")


HALF_RATE = "peaks with fp32 accumulation"
"""What the catalogue notes of such chips."""
