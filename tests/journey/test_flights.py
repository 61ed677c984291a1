"""The example is true: flights.py runs whole, its tables open without bedplate, and what it serves is what it was trained on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
from conftest import serving

import bedplate

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example, run once."""
    folder = tmp_path_factory.mktemp("flights")
    shutil.copy(EXAMPLE / "flights.py", folder)
    shutil.copy(EXAMPLE / "four_ways.py", folder)
    done = subprocess.run([sys.executable, "-m", "bedplate", "run"], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_gate_passed_with_the_figures_that_the_readme_gives(flights: Path) -> None:
    """Equal data and settings train an equal model on every machine of one kind; elsewhere the last digits may differ."""
    check = bedplate.open(flights)["good_enough"].load()
    assert check.passed
    assert check.findings[0].value == pytest.approx(0.725, abs=0.01)


def test_a_second_run_makes_nothing(flights: Path) -> None:
    said = subprocess.run([sys.executable, "-m", "bedplate", "run", "--json"], cwd=flights, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in said.stdout.splitlines()]
    assert {event["kind"] for event in events if event.get("step")} == {"step.skipped"}


def test_the_tables_open_without_bedplate(flights: Path) -> None:
    """By path in Polars and pandas, by the listed files in DuckDB."""
    folder = flights / ".bedplate" / "store" / "tables" / "flown"
    shown = subprocess.run(
        [sys.executable, "-m", "bedplate", "show", "flown@1", "--json"], cwd=flights, capture_output=True, text=True, check=True
    )
    listed = [str(folder / name) for name, *_ in json.loads(shown.stdout)["version"]["meta"]["files"]]
    late = "arr_delay > 15"
    by_duckdb = duckdb.sql(f"SELECT count(*), count(*) FILTER ({late}) FROM read_parquet({listed})").fetchone()
    by_polars = pl.read_delta(str(folder))
    by_pandas = pd.read_parquet(folder)
    assert by_duckdb == (336_776, 77_630)
    assert (by_polars.height, by_polars.filter(pl.col("arr_delay") > 15).height) == by_duckdb
    assert (len(by_pandas), int((by_pandas["arr_delay"] > 15).sum())) == by_duckdb


@pytest.fixture(scope="module")
def ready(flights: Path) -> Iterator[dict[str, Any]]:
    """What the example's server says when it answers."""
    with serving(flights, "--grpc-port", "0") as server:
        yield server.ready


@pytest.fixture(scope="module")
def served(ready: dict[str, Any]) -> str:
    """The address of the example's server."""
    return str(ready["url"])


def test_what_is_served_is_what_was_trained_on(flights: Path, served: str) -> None:
    """For flights of November the service answers what the model says of the row that the as-of join made: no skew, no looking ahead."""
    workspace = bedplate.open(flights)
    rows = workspace["labelled"].load(view="polars").filter(pl.col("time") >= pl.datetime(2013, 11, 5, time_zone="UTC")).head(200)
    said = workspace["late"].load("production").predict(rows)
    asked = rows.select(pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%SZ"), "carrier", "origin", "distance", "sched_dep_time", "tailnum")
    request = urllib.request.Request(f"{served}/will_be_late", json.dumps(asked.to_dicts()).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        answers = [answer["result"] for answer in json.load(reply)]
    assert answers == pytest.approx(said.tolist(), abs=1e-12)


def test_the_edge_says_what_is_served(flights: Path) -> None:
    """The model of the service's bundle, without bedplate: bit for bit what the model says, text and missing values among its inputs."""
    typed = [sys.executable, "-m", "bedplate", "export", "edge", "will_be_late", "--unsigned", "--to", "edge"]
    done = subprocess.run(typed, cwd=flights, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    model = bedplate.open(flights)["late"].load("production")
    inputs = [field.name for field in model.signature.inputs]
    rows = bedplate.open(flights)["labelled"].load(view="polars").tail(500).select(inputs)
    assert rows.null_count().sum_horizontal().item() > 0
    ran = [sys.executable, "-I", str(flights / "edge" / "run.py"), "--model", "late"]
    said = subprocess.run(ran, input=json.dumps(rows.to_dicts()), capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(said.stdout) == model.predict(rows).tolist(), said.stderr


def test_four_ways_to_ask_give_equal_answers(flights: Path) -> None:
    """Online, batch, stream and edge, about every flight of Christmas Day, bit for bit: the script checks, and says so."""
    done = subprocess.run([sys.executable, "four_ways.py"], cwd=flights, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.match(r"7\d\d flights: online, batch, stream and edge answer alike, bit for bit", done.stdout)


def test_the_model_itself_answers_alike_by_every_form_of_the_protocol(flights: Path, ready: dict[str, Any]) -> None:
    """Rows of the training table as JSON, as binary tensors and by gRPC: what the model says of them here, missing values too."""
    http, grpc = pytest.importorskip("tritonclient.http"), pytest.importorskip("tritonclient.grpc")
    model = bedplate.open(flights)["late"].load("production")
    rows = bedplate.open(flights)["labelled"].load(view="polars").tail(300).select([field.name for field in model.signature.inputs])
    assert rows.null_count().sum_horizontal().item() > 0
    (output,) = (field.name for field in model.signature.outputs)
    with http.InferenceServerClient(ready["url"].removeprefix("http://")) as asking, grpc.InferenceServerClient(ready["grpc"]) as calling:
        for binary, given in ((True, rows), (False, rows.drop_nulls())):
            inputs = [_tensor(http, field, given[field.name], binary_data=binary) for field in model.signature.inputs]
            said = asking.infer("late", inputs, outputs=[http.InferRequestedOutput(output, binary_data=binary)])
            assert said.as_numpy(output).ravel().tolist() == model.predict(given).tolist()
        called = calling.infer("late", [_tensor(grpc, field, rows[field.name]) for field in model.signature.inputs])
        assert called.as_numpy(output).ravel().tolist() == model.predict(rows).tolist()


def _tensor(client: Any, field: Any, column: pl.Series, **how: bool) -> Any:
    """A column as the client sends it: text as objects, numbers as float64 with not-a-number for what is missing."""
    text = field.datatype == "BYTES"
    array = column.cast(pl.String).to_numpy().astype(object) if text else column.cast(pl.Float64).to_numpy().copy()
    tensor = client.InferInput(field.name, [len(array)], "BYTES" if text else "FP64")
    tensor.set_data_from_numpy(array, **how)
    return tensor
