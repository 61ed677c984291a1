"""redun: its scheduler with its default backend in the folder."""

from __future__ import annotations

import time
from typing import Any

import shapes
from redun import Scheduler, task
from redun.config import Config


@task(namespace="bench", version="1")
def add(name: str, *values: int) -> int:
    """The work; its name keeps equal steps apart."""
    return sum(values) + 1


@task(namespace="bench", version="1")
def main(shape: str, n: int) -> Any:
    """The graph, as an expression."""
    made: dict[str, Any] = {}
    for name, needs in shapes.graph(shape, n).items():
        made[name] = add(name, *(made[need] for need in needs))
    return made[shapes.last(shape, n)]


shape, n = shapes.asked()
began = time.perf_counter()
scheduler = Scheduler(config=Config({"backend": {"db_uri": "sqlite:///redun.db"}}))
scheduler.load()
found = scheduler.run(main(shape, n))
shapes.told(time.perf_counter() - began, found, shapes.result(shape, n))
