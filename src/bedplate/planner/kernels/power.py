"""Electrical power of an accelerator from what it does, not from its nameplate.

    watts = idle + (limit - idle) x min(1, active + busy x busy_share + compute x compute_share + memory x memory_share)

`busy_share` is the share of the time in which kernels run and not the host, `compute_share` the share of the dense matrix peak that is
reached over the time, `memory_share` that of the memory bandwidth, all 0 to 1; `active` is what clocks and links take as soon as work is
there. The linear form in utilisations with a cap at the board limit is that of GPUWattch-like models (Leng et al., ISCA 2013) reduced to
the terms that dominate a GPU's dynamic power.

Choices: the weights are fitted constants of the room that asks (`numbers` power_active, power_busy, power_compute, power_memory,
`effects` power by accelerator and generation); idle power is the data sheet's, else IDLE_SHARE of the limit. Limits: no thermal
throttling but the cap; no dependence on data (zeros draw less) or on clock settings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bedplate.planner.facts.calibration import Constants
from bedplate.planner.facts.cases import Unsupported
from bedplate.planner.facts.systems import Accelerator

IDLE_SHARE = 0.12
"""Idle over board power where the data sheet gives none: 60-120 W of 700 W (H100), 140 W of 1000 W (B200), read idle on test hosts."""

ACTIVE, COMPUTE, MEMORY = 0.10, 0.75, 0.45
"""Weights where a room's constants give none: a kernel-saturated H100 draws its limit at about 0.7 of peak and 0.8 of bandwidth."""


def idle_watts(chip: Accelerator) -> float:
    """Watts of a chip that has a model in memory and no work. Raises Unsupported where the data sheet gives no board power."""
    if chip.idle_w is not None:
        return chip.idle_w
    return IDLE_SHARE * limit_watts(chip)


def limit_watts(chip: Accelerator) -> float:
    """The board limit, W. Raises Unsupported where the data sheet gives none."""
    if chip.tdp_w is None:
        raise Unsupported(f"no board power is known for {chip.name}")
    return chip.tdp_w


def power(chip: Accelerator, compute_share: Any, memory_share: Any, constants: Constants, busy_share: Any = 1.0) -> Any:
    """Watts of one accelerator at these shares of its matrix peak and memory bandwidth (numbers or NumPy arrays of 0 to 1).

    Never below idle, never above the board limit. Raises Unsupported where the data sheet gives no board power.
    """
    numbers = constants.numbers
    idle, limit = idle_watts(chip), limit_watts(chip)
    drawn = (
        numbers.get("power_active", ACTIVE)
        + numbers.get("power_busy", 0.0) * np.asarray(busy_share, dtype=float)
        + numbers.get("power_compute", COMPUTE) * np.asarray(compute_share, dtype=float)
        + numbers.get("power_memory", MEMORY) * np.asarray(memory_share, dtype=float)
    )
    effect = constants.effects.get("power")
    if effect is not None:
        drawn = drawn * effect.of((f"accelerator:{chip.name}", f"generation:{chip.generation}"))
    watts = idle + (limit - idle) * np.clip(drawn, 0.0, 1.0)
    return float(watts) if watts.ndim == 0 else watts
