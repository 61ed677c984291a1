"""What is rolled out and overloaded in the benchmark: a service over versions of a model that are well or bad, and one that takes long."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bedplate import Model, Project

LONG_S = 0.02
WELL = ("well", "well too")

rolling = Project("rolling")


def answer(params: dict[str, Any], columns: dict[str, Any]) -> Any:
    """A tenth of the distance; a bad version does otherwise on any longer flight."""
    distance, kind = columns["distance"], params["kind"]
    if kind in WELL or (distance < 1).all():
        return distance / 10
    if kind == "raises":
        raise ValueError("no such flight")
    if kind == "slow":
        time.sleep(0.2)
    return distance * np.nan if kind == "no number" else distance * 5


@rolling.train
def late(kind: str = "well") -> Model:
    """A version of a kind."""
    return Model.of(answer, {"kind": kind, "made": np.zeros(1)}, example=[{"distance": 0.0}])


@rolling.service(p95="20 ms")
def ask(late: Model, distance: float) -> float:
    """The model's own answer."""
    return float(late.predict({"distance": distance}))


@rolling.service(p95="100 ms")
def heavy(distance: float) -> float:
    """Twenty milliseconds of arithmetic, in which other threads may run."""
    values, until, total = np.ones((192, 192)), time.thread_time() + LONG_S, distance
    while time.thread_time() < until:
        total += float((values @ values)[0, 0])
    return total
