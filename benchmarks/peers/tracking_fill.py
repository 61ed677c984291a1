"""The same runs in either tracker's record: `tracking_fill.py ours|mlflow FOLDER POINTS SIZE...`, an experiment for each size.

Ours through the catalog, MLflow's by SQL into the tables that `mlflow db upgrade` made: what is measured later is reading them.
A run has five metrics, five params and three tags; one run has POINTS points of one metric. Prints nothing.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.runs import Batch, NewRun
from bedplate.catalog.tracking.tracked import Named, Point
from bedplate.core.clock import SystemClock

LONG = "f" * 32
BEGAN_MS = 1_700_000_000_000
TOGETHER = 1_000
EXPERIMENT = "experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time"
RUN = (
    "run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, source_version, lifecycle_stage, "
    "artifact_uri, experiment_id"
)
POINT = "key, value, timestamp, step, is_nan, run_uuid"
VALUE = "key, value, run_uuid"
"""Columns of MLflow's tables."""


def runs(size: int) -> Iterator[tuple[str, int, list[float], list[str]]]:
    """Id, start, values of metrics and of params."""
    drawn = random.Random(size)
    for number in range(size):
        at = BEGAN_MS + number * 1000
        yield f"{at:012x}{drawn.getrandbits(80):020x}", at, [drawn.random() for _ in range(5)], [str(drawn.randrange(10)) for _ in range(5)]


def ours(folder: Path, points: int, sizes: list[int]) -> None:
    """Through the catalog, a thousand runs in a transaction."""
    catalog = Catalog.open(open_database(folder / ".bedplate" / "catalog.db"), SystemClock())
    tracking = catalog.tracking

    def add(experiment: int, some: list[tuple[str, int, list[float], list[str]]]) -> None:
        for run, at, metrics, params in some:
            tags = (Named("mlflow.user", "me"), Named("mlflow.source.name", "train.py"))
            tracking.runs.create(NewRun(id=run, experiment=experiment, started_ms=at, tags=tags, name=f"run-{at}"))
            said = Batch(
                metrics=tuple(Point(f"m{place}", value, at) for place, value in enumerate(metrics)),
                params=tuple(Named(f"p{place}", value) for place, value in enumerate(params)),
            )
            tracking.runs.log(run, said)

    for size in sizes:
        experiment = tracking.experiments.create(f"e{size}", [], BEGAN_MS) or 0
        listed = list(runs(size))
        for start in range(0, size, TOGETHER):
            catalog.together(lambda start=start, experiment=experiment, listed=listed: add(experiment, listed[start : start + TOGETHER]))
    tracking.runs.create(NewRun(id=LONG, experiment=0, started_ms=BEGAN_MS))
    for start in range(0, points, TOGETHER):
        some = tuple(Point("loss", 1 / (step + 1), BEGAN_MS + step, step) for step in range(start, min(start + TOGETHER, points)))
        tracking.runs.log(LONG, Batch(metrics=some))
    catalog.close()


def mlflow(folder: Path, points: int, sizes: list[int]) -> None:
    """By SQL, each table at once."""
    base = sqlite3.connect(folder / "mlflow.db")
    put(base, "experiments", [(0, "Default", "mlflow-artifacts:/0", "active", BEGAN_MS, BEGAN_MS)], EXPERIMENT)
    for number, size in enumerate(sizes, 1):
        put(base, "experiments", [(number, f"e{size}", f"mlflow-artifacts:/{number}", "active", BEGAN_MS, BEGAN_MS)], EXPERIMENT)
        listed = list(runs(size))
        put(base, "runs", [_run(run, at, number) for run, at, _, _ in listed], RUN)
        values = [(f"m{place}", value, at, 0, 0, run) for run, at, metrics, _ in listed for place, value in enumerate(metrics)]
        put(base, "metrics", values, POINT)
        put(base, "latest_metrics", values, POINT)
        put(
            base,
            "params",
            [(f"p{place}", value, run) for run, _, _, params in listed for place, value in enumerate(params)],
            VALUE,
        )
        tags = ("mlflow.user", "me"), ("mlflow.source.name", "train.py")
        put(
            base,
            "tags",
            [(*tag, run) for run, at, _, _ in listed for tag in (*tags, ("mlflow.runName", f"run-{at}"))],
            VALUE,
        )
    put(base, "runs", [_run(LONG, BEGAN_MS, 0)], RUN)
    put(base, "metrics", [("loss", 1 / (step + 1), BEGAN_MS + step, step, 0, LONG) for step in range(points)], POINT)
    base.commit()
    base.close()


def put(base: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]], columns: str) -> None:
    """Insert rows."""
    marks = ", ".join("?" for _ in columns.split(","))
    base.executemany(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", rows)


def _run(run: str, at: int, experiment: int) -> tuple[Any, ...]:
    return (
        run,
        f"run-{at}",
        "UNKNOWN",
        "",
        "",
        "me",
        "RUNNING",
        at,
        "",
        "active",
        f"mlflow-artifacts:/{experiment}/{run}/artifacts",
        experiment,
    )


if __name__ == "__main__":
    (ours if sys.argv[1] == "ours" else mlflow)(Path(sys.argv[2]), int(sys.argv[3]), [int(size) for size in sys.argv[4:]])
