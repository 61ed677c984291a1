"""Dagster: assets made in this process, with its own instance in the folder (its default storage)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import dagster
import shapes


def asset(name: str, needs: tuple[str, ...]) -> dagster.AssetsDefinition:
    """One step."""
    names = {need: dagster.AssetIn(key=need) for need in needs}

    def step(**values: int) -> int:
        return sum(values.values()) + 1

    return dagster.asset(name=name, ins=names)(step)


shape, n = shapes.asked()
os.environ["DAGSTER_HOME"] = str(Path("home").resolve())
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
Path("home").mkdir()
began = time.perf_counter()
made = [asset(name, needs) for name, needs in shapes.graph(shape, n).items()]
with dagster.DagsterInstance.get() as instance:
    result = dagster.materialize(made, instance=instance)
shapes.told(time.perf_counter() - began, result.output_for_node(shapes.last(shape, n)), shapes.result(shape, n))
