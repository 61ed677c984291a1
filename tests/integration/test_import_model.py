"""`bedplate import model`: a file of each form becomes a version with its origin, is promoted and served; what runs code is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import bedplate
from bedplate.core.errors import BedplateError
from bedplate.interfaces.cli.bring import command
from bedplate.storage.models import stored_of

PROJECT = """
import lightgbm as lgb
import numpy as np
import polars as pl
import xgboost as xgb
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
import torch
from skl2onnx import to_onnx
from bedplate import Model, Project

homes = Project("homes")
TOWNS = pl.Enum(["Bern", "Chur"])


class Net(torch.nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = hidden
        self.body = torch.nn.Sequential(torch.nn.Linear(2, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))

    def forward(self, x):
        return self.body(x)


@homes.prepare
def sold() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    town = rng.integers(0, 2, 200)
    names = pl.Series([["Bern", "Chur"][at] for at in town], dtype=TOWNS)
    return pl.DataFrame({"town": names, "area": rng.uniform(30, 200, 200), "price": rng.uniform(1, 2, 200) + town})


@homes.train
def worth(sold: pl.DataFrame) -> Model:
    inputs = sold.select("town", "area")
    return Model(xgb.train({"nthread": 1}, xgb.DMatrix(inputs, sold["price"].to_numpy(), enable_categorical=True), 2), example=inputs)


def files(sold, folder):
    x, y = Model.codes(sold.select("town", "area")).to_numpy().astype(np.float32), sold["price"].to_numpy()
    booster = xgb.train({"nthread": 1}, xgb.DMatrix(sold.select("town", "area"), y, enable_categorical=True), 5)
    booster.save_model(folder / "five.ubj")
    booster.save_model(folder / "five.json")
    params = {"verbosity": -1, "num_threads": 1}
    data = lgb.Dataset(x, y, feature_name=["town", "area"], categorical_feature=["town"])
    lgb.train(params, data, 3).save_model(folder / "trees.txt")
    line = LinearRegression().fit(x, y)
    import skops.io
    text = sold.select("town", "area").to_numpy()
    steps = ColumnTransformer([("town", OneHotEncoder(), [0])], remainder="passthrough", sparse_threshold=0)
    pipe = make_pipeline(steps, LinearRegression()).fit(text, y)
    skops.io.dump(pipe, folder / "pipe.skops")
    (folder / "line.onnx").write_bytes(to_onnx(line, x[:1]).SerializeToString())
    net = Net(4).eval()
    import safetensors.torch
    safetensors.torch.save_model(net, str(folder / "net.safetensors"))
    program = torch.export.export(net, (torch.zeros(4, 2),), dynamic_shapes=({0: torch.export.Dim("rows")},))
    program.example_inputs = None
    torch.export.save(program, folder / "net.pt2")
    five = booster.predict(xgb.DMatrix(sold.select("town", "area"), enable_categorical=True))
    return five, line.predict(x), pipe.predict(text), net(torch.from_numpy(x)).detach().numpy()[:, 0]
"""
FORMS = ["five.ubj", "five.json", "trees.txt", "pipe.skops", "line.onnx", "net.pt2", "net.safetensors"]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The project, run once, and its files."""
    folder = tmp_path_factory.mktemp("homes")
    (folder / "homes.py").write_text(PROJECT)
    (folder / "bedplate.toml").write_text('compute = "inline"\n')
    project = bedplate.open(folder)
    assert not project.run().failures
    sold = project["sold"].load().lazy().collect()
    module = project.parts.loaded.module
    expected = module.files(sold, folder)
    return folder, sold, dict(zip(("five", "line", "pipe", "net"), expected, strict=True))


def brought(folder: Path, file: str, *options: str) -> dict:
    done = CliRunner().invoke(
        command, ["model", str(folder / file), "--as", "worth", "--json", "-p", str(folder), *options], catch_exceptions=False
    )
    return json.loads(done.output)


@pytest.mark.parametrize("file", FORMS)
def test_a_file_of_each_form_becomes_a_version_that_predicts_as_it_did(made, file):
    """Inputs and categories are those of the head; the head stays where it was, the origin is on record."""
    folder, sold, expected = made
    options = ("--class", "homes:Net", "--arguments", '{"hidden": 4}') if file.endswith("safetensors") else ()
    told = brought(folder, file, *options)
    project = bedplate.open(folder)
    version = project.catalog.artifacts.get(f"worth@{told['number']}")
    assert version.meta["origin"] == "imported"
    assert project.catalog.artifacts.head("worth").number == 1
    model = project.store.load(version, "model")
    stem = file.partition(".")[0]
    if stem in expected:
        assert model.predict(sold) == pytest.approx(expected[stem], abs=1e-4)
    assert [field.name for field in stored_of(version).signature.inputs] == ["town", "area"]
    assert "imported from" in project.show(version.ref).card


def test_it_is_promoted_by_a_person_and_outlives_the_next_run(made):
    """The next run leaves it in production; an equal file again is the same version."""
    folder, *_ = made
    first, again = brought(folder, "five.ubj"), brought(folder, "five.json")
    assert first["number"] == again["number"]
    project = bedplate.open(folder)
    project.promote(f"worth@{first['number']}")
    assert not project.run().failures
    assert project.catalog.models.aliases("worth") == {"production": first["number"]}


def test_what_runs_code_or_fits_nothing_is_refused(made, tmp_path):
    """A pickle, by its ending or by its bytes; weights without a class; an example without the inputs; a name that is no model."""
    folder, *_ = made
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(print))
    (tmp_path / "evil.ubj").write_bytes(pickle.dumps(print))
    (tmp_path / "evil.skops").write_bytes(pickle.dumps(print))
    (tmp_path / "bare.csv").write_text("town\nBern\n")
    shutil.copy(folder / "net.safetensors", tmp_path)
    cases = {
        "evil.pkl": "no form of model that can be read", "evil.ubj": "not an XGBoost model", "evil.skops": "not a skops archive",
        "net.safetensors": "holds weights", "gone.onnx": "there is no file",
    }  # fmt: skip
    for file, said in cases.items():
        with pytest.raises(BedplateError, match=said):
            CliRunner().invoke(command, ["model", str(tmp_path / file), "--as", "worth", "-p", str(folder)], catch_exceptions=False)
    with pytest.raises(BedplateError, match="no column area"):
        brought(folder, "five.ubj", "--example", str(tmp_path / "bare.csv"))
    with pytest.raises(BedplateError, match="not a model"):
        CliRunner().invoke(command, ["model", str(folder / "five.ubj"), "--as", "sold", "-p", str(folder)], catch_exceptions=False)
