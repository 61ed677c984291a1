"""Prefect: a flow of tasks; its temporary server is part of what is measured."""

from __future__ import annotations

import os
import time
from pathlib import Path

os.environ["PREFECT_HOME"] = str(Path("home").resolve())
os.environ["DO_NOT_TRACK"] = "1"

import shapes  # Prefect reads its environment when it is imported
from prefect import flow, task


@task
def add(*values: int) -> int:
    """The work."""
    return sum(values) + 1


@flow
def work(shape: str, n: int) -> int:
    """The graph."""
    made: dict[str, int] = {}
    for name, needs in shapes.graph(shape, n).items():
        made[name] = add(*(made[need] for need in needs))
    return made[shapes.last(shape, n)]


shape, n = shapes.asked()
began = time.perf_counter()
found = work(shape, n)
shapes.told(time.perf_counter() - began, found, shapes.result(shape, n))
