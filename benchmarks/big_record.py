"""A record as large as a page may ever meet: `python benchmarks/big_record.py FOLDER [--runs N] [--artifacts N] [--points N]`.

Without numbers: 100,000 runs in the experiment `big` (five metrics, five params, two tags; each tenth is the parent of the next four; the
newest 120 have curves of 1,000 points), 10,000 artifacts of the project `flights`, each made of the one before it, the first hundred in
ten versions, and one run (`LONG`) with a curve of 1,000,000 points. Everything goes through the catalog, drawn from one seed; the bytes of
artifacts are not there. `bedplate up` started in FOLDER shows it. Takes a few minutes on one core; other benchmarks import `fill`.
"""

from __future__ import annotations

import argparse
import functools
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.runs import Batch, NewRun
from bedplate.catalog.tracking.tracked import COMMIT, PARENT, Named, Point, Status
from bedplate.core.clock import SystemClock
from bedplate.core.records import Version
from bedplate.testing.records import History

LONG = "f" * 32
"""The run with the long curve."""
EXPERIMENT = "big"
BEGAN_MS = 1_700_000_000_000
_TOGETHER = 1_000
_CURVES, _STEPS = 120, 1_000
_FAMILY = 5
_ENDS: Final[tuple[Status, ...]] = ("FINISHED", "FAILED", "KILLED")


def run_id(number: int) -> str:
    """The id of the run of that number, from 0: the newest has the highest."""
    return f"{BEGAN_MS + number * 1000:012x}{number:020x}"


def fill(catalog: Catalog, runs: int = 100_000, artifacts: int = 10_000, points: int = 1_000_000) -> None:
    """Fill an empty record."""
    experiment = catalog.tracking.experiments.create(EXPERIMENT, [], BEGAN_MS) or 0
    drawn = random.Random(runs)
    _each_thousand(catalog, runs, lambda number: _run(catalog, experiment, number, runs, drawn))
    _long(catalog, experiment, points)
    _artifacts(catalog, artifacts)


def _each_thousand(catalog: Catalog, count: int, work: Callable[[int], None]) -> None:
    """A transaction for each thousand."""

    def some(start: int) -> None:
        for number in range(start, min(start + _TOGETHER, count)):
            work(number)

    for start in range(0, count, _TOGETHER):
        catalog.together(functools.partial(some, start))


def _run(catalog: Catalog, experiment: int, number: int, runs: int, drawn: random.Random) -> None:
    at = BEGAN_MS + number * 1000
    place = number % 10
    parent = run_id(number - place) if 0 < place < _FAMILY else ""
    tags = [Named(COMMIT, f"{number // 500:040x}"), Named("team", drawn.choice(("ads", "maps", "search")))]
    if parent:
        tags.append(Named(PARENT, parent))
    tracking = catalog.tracking
    tracking.runs.create(
        NewRun(id=run_id(number), experiment=experiment, started_ms=at, tags=tuple(tags), name=f"run {number}", made_by="ann")
    )
    depth, rate = drawn.randrange(2, 12), round(10 ** drawn.uniform(-4, -1), 6)
    loss = 0.2 + 0.05 * abs(depth - 7) + 0.1 * abs(math.log10(rate) + 2.5) + drawn.random() * 0.05
    metrics = [
        Point("accuracy", 1 - loss / 2, at), Point("f1", 0.95 - loss / 2, at), Point("seconds", 10 * depth + drawn.random(), at),
        Point("drift", math.nan if drawn.random() < 0.02 else drawn.random(), at), *_losses(number >= runs - _CURVES, loss, at, drawn),
    ]  # fmt: skip
    params = (
        Named("depth", str(depth)), Named("learning_rate", str(rate)), Named("model", drawn.choice(("forest", "linear", "tree"))),
        Named("batch", str(2 ** drawn.randrange(4, 10))), Named("seed", str(number)),
    )  # fmt: skip
    tracking.runs.log(run_id(number), Batch(params=params))
    for start in range(0, len(metrics), _TOGETHER):
        tracking.runs.log(run_id(number), Batch(metrics=tuple(metrics[start : start + _TOGETHER])))
    ends = drawn.choices(_ENDS, (90, 7, 3))[0]
    tracking.runs.update(run_id(number), at, status=ends, ended_ms=at + 20_000 * depth)


def _losses(has_curve: bool, loss: float, at: int, drawn: random.Random) -> Iterator[Point]:
    if not has_curve:
        yield Point("loss", loss, at)
        return
    for step in range(_STEPS):
        yield Point("loss", loss + math.exp(-step / 150) * (1 + 0.1 * drawn.random()), at + step * 50, step)


def _long(catalog: Catalog, experiment: int, points: int) -> None:
    tracking = catalog.tracking
    tracking.runs.create(NewRun(id=LONG, experiment=experiment, started_ms=BEGAN_MS, name="the long curve"))
    for start in range(0, points, _TOGETHER):
        some = tuple(
            Point("loss", 1 / (1 + step / 1000) + 0.01 * math.sin(step / 50), BEGAN_MS + step, step)
            for step in range(start, min(start + _TOGETHER, points))
        )
        tracking.runs.log(LONG, Batch(metrics=some))


def _artifacts(catalog: Catalog, count: int) -> None:
    before: dict[str, Version] = {}
    history = History(catalog, SystemClock(), "r-big")

    def make(number: int) -> None:
        name = f"artifact_{number:05d}"
        for version in range(10 if number < 100 else 1):
            before["given"] = history.make(name, [number, version], "model" if number % 50 == 0 else "table", inputs=dict(before))

    _each_thousand(catalog, count, make)


def main() -> None:
    """Fill the record of a folder."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    for name, default in (("runs", 100_000), ("artifacts", 10_000), ("points", 1_000_000)):
        asked.add_argument(f"--{name}", type=int, default=default)
    given = asked.parse_args()
    catalog = Catalog.open(open_database(given.folder / ".bedplate" / "catalog.db"), SystemClock())
    fill(catalog, given.runs, given.artifacts, given.points)
    catalog.close()


if __name__ == "__main__":
    main()
