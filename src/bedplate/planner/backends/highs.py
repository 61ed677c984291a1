"""Linear programmes solved by HiGHS through scipy (extra `solver`)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog  # type: ignore[import-untyped]  # scipy ships no types

from bedplate.planner.money.mix import Program


def solve(program: Program) -> list[float]:
    """The x of the minimum. Raises ValueError where the programme has none."""
    found = linprog(program.costs, A_ub=np.array(program.rows), b_ub=program.limits, method="highs")
    if not found.success:
        raise ValueError(found.message)
    return [float(x) for x in found.x]
