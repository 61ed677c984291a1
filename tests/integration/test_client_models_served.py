"""Versions that clients registered beside those of the project: shown, promoted and served where a flavour of ours reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import pytest
import xgboost
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression
from up_site import API, Up, in_thread

import bedplate
from bedplate.core.errors import Refused

PROJECT = """
import lightgbm as lgb
import numpy as np
import polars as pl
from bedplate import Model, Project

homes = Project("homes")


@homes.prepare
def sold() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({"area": rng.uniform(30, 200, 200), "rooms": rng.uniform(1, 6, 200)})


@homes.train
def worth(sold: pl.DataFrame) -> Model:
    data = lgb.Dataset(sold.to_numpy(), sold["area"].to_numpy(), feature_name=["area", "rooms"])
    return Model(lgb.train({"verbosity": -1, "num_threads": 1}, data, 2), example=sold)


@homes.service
def priced(worth: Model, area: float, rooms: float) -> float:
    return float(worth.predict({"area": area, "rooms": rooms}))
"""
SIGNATURE = '[{"type": "double", "name": "area"}, {"type": "double", "name": "rooms"}]'
ROW = {"area": 120.0, "rooms": 3.0}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Sent(NamedTuple):
    """A model that a client sent: its number as a version of `worth`, and what it said of ROW itself."""

    number: int
    answer: float


class Site(NamedTuple):
    """The project, the server over it, and what clients sent, by flavour."""

    folder: Path
    up: Up
    sent: dict[str, Sent]
    runs: dict[str, str]


def mlmodel(flavour: str, key: str, data: str) -> bytes:
    return f"flavors:\n  {flavour}:\n    {key}: {data}\nsignature:\n  inputs: '{SIGNATURE}'\n".encode()


def files_of(folder: Path) -> dict[str, tuple[dict[str, bytes], float]]:
    """What each flavour's client sends, and what its model says of ROW."""
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.uniform(30, 200, 300), rng.uniform(1, 6, 300)])
    y, row = x[:, 0] * 2 + x[:, 1], np.array([list(ROW.values())])
    trees = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, y), 7)
    boosted = xgboost.train({"nthread": 1}, xgboost.DMatrix(x, y), 7)
    boosted.save_model(folder / "model.ubj")
    line = LinearRegression().fit(x, y)
    one = {
        "lightgbm": ("data", "model.lgb", trees.model_to_string().encode(), trees.predict(row)[0]),
        "xgboost": ("data", "model.ubj", (folder / "model.ubj").read_bytes(), boosted.predict(xgboost.DMatrix(row))[0]),
        "onnx": ("data", "model.onnx", to_onnx(line, x[:1].astype(np.float32)).SerializeToString(), line.predict(row)[0]),
        "sklearn": ("pickled_model", "model.pkl", b"\x80\x04K\x01.", 0.0),
    }  # fmt: skip
    return {name: ({"MLmodel": mlmodel(name, key, file), file: content}, float(said)) for name, (key, file, content, said) in one.items()}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("homes")
    (folder / "homes.py").write_text(PROJECT)
    (folder / "bedplate.toml").write_text('compute = "inline"\n')
    assert not bedplate.open(folder).run().failures
    sent, runs = {}, {}
    with in_thread(folder) as up:
        for name, (files, answer) in files_of(folder).items():
            with up.line() as line:
                runs[name] = line.new_run()
            for path, content in files.items():
                at = f"/api/2.0/mlflow-artifacts/artifacts/0/{runs[name]}/artifacts/model/{path}"
                assert up.ask("PUT", at, content, {"Content-Type": "application/octet-stream"}).status == 200
            up.ask("POST", f"{API}/runs/update", {"run_id": runs[name], "status": "FINISHED"})
            made = up.ask(
                "POST", f"{API}/model-versions/create", {"name": "worth", "source": f"runs:/{runs[name]}/model", "run_id": runs[name]}
            )
            sent[name] = Sent(int(made.json["model_version"]["version"]), answer)
        yield Site(folder, up, sent, runs)


@pytest.mark.parametrize("flavour", ["lightgbm", "xgboost", "onnx"])
def test_a_client_s_version_predicts_as_its_client_said(site: Site, flavour: str) -> None:
    project, sent = bedplate.open(site.folder), site.sent[flavour]
    assert float(project["worth"].load(version=sent.number).predict(ROW)) == pytest.approx(sent.answer, rel=1e-5)
    head = project.catalog.artifacts.head("worth")
    assert head is not None
    assert head.number == 1
    card = project.show(f"worth@{sent.number}").card
    assert f"registered by a client as runs:/{site.runs[flavour]}/model" in card


def test_a_pickled_model_is_shown_as_one_that_cannot_be_served_and_not_promoted(site: Site) -> None:
    project, number = bedplate.open(site.folder), site.sent["sklearn"].number
    assert "cannot be served: model.pkl is a pickle" in project.show(f"worth@{number}").card
    with pytest.raises(Refused, match="skops"):
        project.promote(f"worth@{number}")
    with pytest.raises(Refused, match="cannot be served"):
        project["worth"].load(version=number)


def test_the_project_s_own_version_is_in_the_registry_as_it_is(site: Site) -> None:
    found = site.up.ask("GET", f"{API}/model-versions/get?name=worth&version=1").json["model_version"]
    attempt = bedplate.open(site.folder).catalog.artifacts.get("worth@1").attempt
    assert (found["run_id"], found["source"]) == (attempt, "bedplate:worth@1")
    assert site.up.ask("GET", f"{API}/runs/get?run_id={attempt}").status == 200
    listed = site.up.ask("GET", "/api/2.0/mlflow-artifacts/artifacts?path=registry/worth/1").json["files"]
    assert [one["path"] for one in listed] == ["model.txt"]
    assert site.up.ask("GET", "/api/2.0/mlflow-artifacts/artifacts/registry/worth/1/model.txt").body.startswith(b"tree")
    for path, body in (("model-versions/delete", {"name": "worth", "version": "1"}), ("registered-models/delete", {"name": "worth"})):
        assert site.up.ask("DELETE", f"{API}/{path}", body).status == 400


def bedplate_says(folder: Path, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "bedplate", *words, "--json"], cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


def test_the_command_line_knows_them(site: Site) -> None:
    """status, show, lineage, plan, doctor."""
    number = site.sent["lightgbm"].number
    assert bedplate_says(site.folder, "show", f"worth@{number}")["version"]["meta"]["origin"] == "client"
    assert bedplate_says(site.folder, "lineage", f"worth@{number}")["version"]["attempt"] == site.runs["lightgbm"]
    assert bedplate_says(site.folder, "status")["artifacts"]["worth"]["number"] == 1
    assert all(step["action"] == "skip" for step in bedplate_says(site.folder, "plan"))
    found = bedplate_says(site.folder, "doctor", "--deep")
    assert not [one for one in found if one["level"] == "wrong" and one["area"] == "bytes"]


def bedplate_prints(folder: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run([sys.executable, "-m", "bedplate", *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_a_client_s_run_and_a_model_of_no_project_file_are_shown_compared_and_moved(site: Site) -> None:
    """`show RUN`, the card, `lineage`, `diff` of runs, `promote`, `rollback` and a notebook know what only clients made."""
    run, before = site.runs["lightgbm"], site.runs["xgboost"]
    tell = {
        "run_id": run,
        "metrics": [{"key": "auc", "value": 0.75, "timestamp": 1, "step": 0}],
        "params": [{"key": "depth", "value": "3"}],
    }
    data = [{"dataset": {"name": "rows", "digest": "d1", "source_type": "http", "source": '{"url": "https://example.com/rows.csv"}'}}]
    for path, body in (("log-batch", tell), ("log-inputs", {"run_id": run, "datasets": data})):
        assert site.up.ask("POST", f"{API}/runs/{path}", body).status == 200
    site.up.ask("POST", f"{API}/registered-models/create", {"name": "alone", "description": "Made by nobody's project."})
    for name in ("lightgbm", "xgboost"):
        body = {"name": "alone", "source": f"runs:/{site.runs[name]}/model", "run_id": site.runs[name]}
        assert site.up.ask("POST", f"{API}/model-versions/create", body).status == 200
    shown = bedplate_prints(site.folder, "show", run)
    for words in ("of a client", "Default (0)", "rows (digest d1)", "alone@1", "auc", "0.75", "depth", "model/MLmodel"):
        assert words in shown, words
    card = bedplate.open(site.folder).show("alone@1").card
    for words in (
        "A model that a client registered",
        "Made by nobody's project.",
        "| auc | 0.75 |",
        "| depth | 3 |",
        "https://example.com/rows.csv",
    ):
        assert words in card, words
    assert "0 us" not in card
    tree = bedplate_prints(site.folder, "lineage", "alone@1")
    assert run in tree
    assert "rows (digest d1)" in tree
    assert {"what": "metric auc", "before": "", "after": "0.75"} in bedplate_says(site.folder, "diff", before, run)
    asked = bedplate_prints(
        site.folder, "sql", f"SELECT m.value, p.value AS said FROM metrics m JOIN params p USING (run) WHERE run = '{run}'", "--json"
    )
    assert "0.75" in asked
    assert '"3"' in asked
    for number in ("1", "2"):
        bedplate_prints(site.folder, "promote", f"alone@{number}")
    assert "alone@1 is now production (before: alone@2)" in bedplate_prints(site.folder, "rollback", "alone")
    assert float(bedplate.open(site.folder)["alone"].load("production").predict(ROW)) == pytest.approx(site.sent["lightgbm"].answer)
    assert "there is no run" in bedplate_prints(site.folder, "show", "f" * 32, code=2)


@pytest.mark.parametrize("flavour", ["lightgbm", "xgboost", "onnx"])
def test_an_alias_that_a_client_sets_is_a_promotion_and_is_served(site: Site, flavour: str) -> None:
    """One server of the project answers with the version that the client named, by the client's name on record."""
    sent = site.sent[flavour]
    answer = site.up.ask("POST", f"{API}/registered-models/alias", {"name": "worth", "alias": "production", "version": str(sent.number)})
    assert answer.status == 200
    moved = bedplate.open(site.folder).catalog.models.history("worth")[-1]
    assert (moved.by, moved.version, moved.reason) == ("person", sent.number, "set by admin")
    command = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=site.folder, stdout=subprocess.PIPE, text=True, env={**os.environ}) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            request = urllib.request.Request(f"{url}/priced", json.dumps(ROW).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as reply:
                assert f"{sent.answer:.2f}" in f"{_number(json.load(reply)):.2f}"
        finally:
            server.terminate()


def _number(told: Any) -> float:
    return float(next(iter(told.values()))) if isinstance(told, dict) else float(told)
