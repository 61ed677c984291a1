"""One function gives one answer: online, in batch, as a stream and at the edge, whatever odd values it is asked with."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import polars as pl
import pytest
from homes_asked import bits, made, posting
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bedplate.stages.deploy.lines import Answering, Line
from bedplate.stages.deploy.over import Scoring
from bedplate.stages.deploy.site import site_of

FUNCTIONS = """

@homes.service
def worth(
    cost: Model, market: Features, kind: str, area: float | None = None, rooms: int = 3, when: datetime | None = None
) -> float | None:
    row = market.at({"kind": kind, "time": when or datetime(2021, 1, 1)})
    if rooms == 13:
        raise ValueError("no house has 13 rooms")
    return share(float(cost.predict({**row, "area": area, "rooms": rooms})), row["seen"])


def share(value: float, seen: int | None) -> float:
    return value if seen is None else value / (seen - 7 if value < 50 else seen) if seen else float("inf")


@homes.prepare
def asked() -> pl.DataFrame:
    return pl.DataFrame({"kind": ["flat"], "area": [1.0]})
"""
ODD = [0.0, -0.0, 1.0, 79.999999, 1e308, -1e308, 5e-324, 1e-7, 2**53 + 1.0, None]
ROWS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["flat", "house", "barn", "castle", "", "flat ", "\u00e9\u4e2d"]) | st.text(max_size=5)},
    optional={
        "area": st.sampled_from(ODD) | st.floats(allow_nan=False, allow_infinity=False),
        "rooms": st.sampled_from([0, 1, 13, -(2**63), 2**63 - 1]) | st.integers(-(2**63), 2**63 - 1),
        "when": st.sampled_from([None, "2021-06-01T12:00:00", "1999-01-01T00:00:00", "9999-12-31T23:59:59.999999"]),
    },
)
Ask = Callable[[list[dict[str, Any]]], list[Any]]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ask]]:
    """How to ask about rows, by way; what is refused is None."""
    folder = tmp_path_factory.mktemp("homes")
    workspace = made(folder, FUNCTIONS)
    with ExitStack() as stack:
        bedplate_words = [sys.executable, "-m", "bedplate"]
        subprocess.run(
            [*bedplate_words, "export", "edge", "worth", "--unsigned", "--to", "edge"], cwd=folder, check=True, capture_output=True
        )
        online = posting(stack, [*bedplate_words, "serve", "--port", "0", "--json"], folder)
        edge = posting(stack, [sys.executable, "-I", "edge/run.py", "--serve", "0"], folder)
        scoring = Scoring(workspace, "worth", "asked", shard_rows=1000)
        lines = Answering(site_of(workspace.parts), "worth")
        lines.open()
        stack.callback(lines.close)
        market = workspace["market"].load(view="features")

        def at_the_edge(row: dict[str, Any]) -> Any:
            moment = pl.Series([row.get("when") or "2021-01-01T00:00:00"]).str.to_datetime(time_unit="us")[0]
            found = market.at({"kind": row["kind"], "time": moment})
            return edge("/", {**row, "features": {"market": {"rate": found["rate"], "seen": found["seen"]}}})

        def as_lines(rows: list[dict[str, Any]]) -> list[Any]:
            texts = [json.dumps(row).encode() for row in rows]
            said = lines.answer([Line(text=text, size=len(text), ended=True) for text in texts], range(len(texts)))
            return [json.loads(one).get("result") for one, _ in said]

        def as_table(rows: list[dict[str, Any]]) -> list[Any]:
            types = {"kind": pl.String, "area": pl.Float64, "rooms": pl.Int64, "when": pl.Datetime("us")}
            told = []
            for row in rows:  # a field that is not sent is a column that is not there
                frame = pl.DataFrame(
                    {name: [value] for name, value in row.items()}, schema_overrides={name: types[name] for name in row if name != "when"}
                )
                dated = frame.with_columns(pl.col("when").cast(pl.String).str.to_datetime(time_unit="us")) if "when" in row else frame
                told += scoring._score(dated)["prediction"].to_list()
            return told

        yield {
            "online": lambda rows: [(online("/worth", row) or {}).get("result") for row in rows],
            "batch": as_table,
            "stream": as_lines,
            "edge": lambda rows: [at_the_edge(row) for row in rows],
        }


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], derandomize=True
)
@given(rows=st.lists(ROWS, min_size=1, max_size=6))
@example(rows=[{"kind": "barn", "area": 80.0}, {"kind": "house", "area": 120.5, "rooms": 4}, {"kind": "castle"}])
def test_every_way_gives_the_samebits(ways: dict[str, Ask], rows: list[dict[str, Any]]) -> None:
    """Unseen categories, missing and extreme values, defaults; a row on which the function raises is refused in every way."""
    said = {way: bits(ask(rows)) for way, ask in ways.items()}
    if all(row["kind"] == "barn" and row.get("rooms", 3) != 13 for row in rows):
        assert "None" not in said["online"]
    assert said == dict.fromkeys(said, said["online"])


def test_what_is_no_request_is_refused_by_every_way_that_reads_json(ways: dict[str, Ask]) -> None:
    """Not-a-number, an unknown field, another type, a missing one, a number too large; a table alone can hold not-a-number."""
    wrong: list[dict[str, Any]] = [
        {"kind": "flat", "area": math.nan},
        {"kind": "flat", "area": math.inf},
        {"kind": "flat", "floor": 3},
        {"kind": 7},
        {"kind": "flat", "area": "80"},
        {"kind": "flat", "rooms": 2**63},
        {"kind": "flat", "rooms": 2.5},
        {"kind": "flat", "when": "yesterday"},
    ]
    for way in ("online", "stream"):
        assert ways[way](wrong) == [None] * len(wrong)
    assert ways["edge"]([one for one in wrong if one.get("when") is None and isinstance(one["kind"], str)]) == [None] * 6
    missing, unknown = ways["batch"]([{"kind": "barn", "area": None}, {"kind": "barn", "area": math.nan}])
    assert missing == unknown
    assert math.isfinite(missing)
