"""A project with a service over a table and over lines, and how it is made: a service that dies, raises or leaves when it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import bedplate

ROWS: Final = 600
LEAVES: Final = 1_000_000
"""The area for which the service ends as `sys.exit` does."""
PROJECT: Final = """
import os
import signal
from pathlib import Path

import polars as pl

from bedplate import Check, Model, Project

LEAVES = 1e6

homes = Project("homes")


def price(params, columns):
    return columns["area"] * params["per_area"]


@homes.prepare
def flats(rows: int = 600) -> pl.DataFrame:
    area = [None if at == 7 else float(at) for at in range(rows)]
    return pl.DataFrame({"id": list(range(rows)), "area": area, "town": ["Bern"] * rows})


@homes.prepare
def floors() -> pl.DataFrame:
    return pl.DataFrame({"floor": [1, 2]})


@homes.train
def cost(flats: pl.DataFrame, per_area: float = 2.0) -> Model:
    return Model.of(price, {"per_area": per_area}, example=flats.select("area").drop_nulls().head(3))


@homes.service
def worth(cost: Model, area: float, town: str = "Chur") -> float:
    with Path("calls.txt").open("a") as calls:
        calls.write(f"{area}\\n")
    if Path("dies").exists() and area == float(Path("dies").read_text()):
        os.kill(os.getpid(), signal.SIGKILL)
    if area == 50:
        raise ValueError("no such flat")
    if area == LEAVES:
        raise SystemExit("no such flat")
    return cost.predict({"area": area})


@homes.check(promotes="production")
def fine(gated: Model) -> Check:
    return Check.at_least("x", 0.0, 1.0)


@homes.train
def gated(flats: pl.DataFrame) -> Model:
    return Model.of(price, {"per_area": 1.0}, example=flats.select("area").drop_nulls().head(3))


@homes.service
def waiting(gated: Model, area: float) -> float:
    return gated.predict({"area": area})


@homes.service
def other(cost: Model, floor: int) -> float:
    return 1.0
"""


def homes(folder: Path, settings: str = "") -> Path:
    """The project in a folder, run."""
    (folder / "homes.py").write_text(PROJECT)
    (folder / "bedplate.toml").write_text(f'compute = "inline"\n{settings}\n')
    bedplate.open(folder).run()
    return folder
