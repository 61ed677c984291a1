"""Functions of arrays, of a frame and of a row give equal bits: online, in batch, as a stream and at the edge, alone and together."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import polars as pl
import pytest
from homes_asked import bits, made, posting

from bedplate.stages.deploy.lines import Answering, Counted, run
from bedplate.stages.deploy.over import Scoring
from bedplate.stages.deploy.site import site_of

FUNCTIONS = """

from typing import Annotated, TypedDict

from numpy.typing import NDArray


def check(rooms):
    if np.any(rooms == 13):
        raise ValueError("no house has 13 rooms")


@homes.service
def worth(cost: Model, market: Features, kind: str, area: float | None, rooms: int = 3) -> float | None:
    check(rooms)
    made = float(cost.predict({"kind": kind, "area": area, "rooms": rooms, "rate": market[kind]["rate"]}))
    return made * rooms if area is None or area < 1e300 else float("nan")


@homes.service
def worth_arrays(
    cost: Model, market: Features, kind: NDArray[np.str_], area: Annotated[np.ndarray, float | None], rooms: NDArray[np.int64] = 3
) -> Annotated[np.ndarray, float | None]:
    check(rooms)
    rate = [row["rate"] for row in market[kind]]
    made = cost.predict({"kind": kind, "area": area, "rooms": rooms, "rate": rate}) * rooms
    return np.where(area >= 1e300, np.nan, made)


class Home(TypedDict):
    kind: str
    area: float | None
    rooms: int


@homes.service
def worth_frame(cost: Model, market: Features, homes: Annotated[pl.DataFrame, Home]) -> Annotated[pl.Series, float | None]:
    check(homes["rooms"].to_numpy())
    rated = market.at(homes.with_columns(time=datetime(2021, 1, 1)))
    made = pl.Series(cost.predict(rated.select("kind", "area", "rooms", "rate"))) * homes["rooms"]
    return pl.select(pl.when(homes["area"].fill_null(0) < 1e300).then(made)).to_series()


@homes.prepare
def asked() -> pl.DataFrame:
    return pl.DataFrame({"kind": ["flat"], "area": [1.0], "rooms": [1]})
"""
SERVICES = ("worth", "worth_arrays", "worth_frame")
Ask = Callable[[str, list[dict[str, Any]]], list[Any]]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ask]]:
    """How to ask a service about rows, by way."""
    folder = tmp_path_factory.mktemp("homes")
    workspace = made(folder, FUNCTIONS)
    command = [sys.executable, "-m", "bedplate"]
    with ExitStack() as stack:
        for name in SERVICES[1:]:
            words = [*command, "export", "edge", name, "--unsigned", "--to", f"edge_{name}"]
            subprocess.run(words, cwd=folder, check=True, capture_output=True)
        online = posting(stack, [*command, "serve", "--port", "0", "--json"], folder)
        edges = {name: posting(stack, [sys.executable, "-I", f"edge_{name}/run.py", "--serve", "0"], folder) for name in SERVICES[1:]}
        market = workspace["market"].load(view="features")

        def sent(row: dict[str, Any]) -> dict[str, Any]:
            return {**row, "features": {"market": {name: market[row["kind"]][name] for name in ("rate", "seen")}}}

        def lines(name: str, rows: list[dict[str, Any]]) -> list[Any]:
            answering, out = Answering(site_of(workspace.parts), name), io.BytesIO()
            answering.open()
            run(answering, io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows)), out, Counted())
            assert answering.close() == 0
            return [json.loads(line).get("result") for line in out.getvalue().splitlines()]

        def table(name: str, rows: list[dict[str, Any]]) -> list[Any]:
            frame = pl.DataFrame(rows, schema={"kind": pl.String, "area": pl.Float64, "rooms": pl.Int64})
            return Scoring(workspace, name, "asked", shard_rows=1000)._score(frame)["prediction"].to_list()

        yield {
            "online": lambda name, rows: [(one or {}).get("result") for one in (online(f"/{name}", row) for row in rows)],
            "online, a list": lambda name, rows: [one["result"] for one in online(f"/{name}", rows)],
            "batch": table,
            "stream": lines,
            "edge": lambda name, rows: [edges[name]("/", sent(row)) for row in rows],
            "edge, a list": lambda name, rows: edges[name]("/", [sent(row) for row in rows]),
        }


def _rows(count: int) -> list[dict[str, Any]]:
    """Unseen kinds, missing and extreme areas."""
    draw = np.random.default_rng(7)
    odd = [None, 0.0, -0.0, 1e308, 5e-324, 2**53 + 1.0, *draw.normal(80, 40, 20).tolist()]
    kinds = ["flat", "house", "barn", "castle", "", "\u00e9\u4e2d"]
    picked = zip(draw.integers(0, len(kinds), count), draw.integers(0, len(odd), count), draw.integers(1, 9, count), strict=True)
    return [{"kind": kinds[kind], "area": odd[area], "rooms": int(rooms)} for kind, area, rooms in picked]


def test_every_way_and_every_form_gives_the_samebits(ways: dict[str, Ask]) -> None:
    """More rows than one call takes; each alone, all in a list, as lines and as a table."""
    rows = _rows(300)
    expected = bits(ways["online"]("worth", rows))
    assert "None" in expected
    assert len(set(expected)) > 50
    for name in SERVICES:
        for way, ask in ways.items():
            if way.startswith("edge") and name == "worth":  # in test_equal_answers.py
                continue
            count = 20 if way == "edge" else 300  # its small server takes 40 ms for each
            assert (name, way, bits(ask(name, rows[:count]))) == (name, way, expected[:count])


def test_a_row_that_raises_is_refused_alone_by_every_way(ways: dict[str, Ask]) -> None:
    """Of rows that are answered together its neighbours have their answers; a list of them is one request, which fails."""
    rows = _rows(9)
    rows[4] = {**rows[4], "rooms": 13}
    expected = ways["online"]("worth", rows)
    assert (expected[4], expected[:4].count(None) < 4) == (None, True)
    for name in SERVICES[1:]:
        for way in ("online", "batch", "stream", "edge"):
            assert (name, way, bits(ways[way](name, rows))) == (name, way, bits(expected))
