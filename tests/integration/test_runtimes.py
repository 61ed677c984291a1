"""Runtimes of stored models: prepared on this machine, held against the framework's own prediction, chosen by measuring."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
import torch
import xgboost as xgb
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from bedplate import Model
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.model import RowPredictor
from bedplate.stages.deploy.agreement import apart, probes
from bedplate.stages.deploy.runtime import choice_of, equip, measured
from bedplate.storage import runtimes
from bedplate.storage.models import ModelShelf
from bedplate.storage.runtimes import Source
from bedplate.storage.shelf import Save

pytestmark = pytest.mark.filterwarnings("ignore")  # converters warn of their own futures
NAMES = [f"x{at}" for at in range(6)]
DRAW = np.random.default_rng(0)
VALUES = DRAW.normal(size=(600, 6))
BINARY = (VALUES[:, 0] + VALUES[:, 1] * VALUES[:, 2] > 0).astype(int)
THREE = np.digitize(VALUES[:, 0], [-0.5, 0.5])
QUIET = {"verbosity": -1, "num_threads": 1}
MISSING = np.where(DRAW.random((300, 6)) < 0.1, np.nan, DRAW.normal(size=(300, 6)))


def frame() -> pl.DataFrame:
    return pl.DataFrame(dict(zip(NAMES, VALUES.T, strict=True)))


def module() -> torch.nn.Module:
    torch.manual_seed(1)
    layers = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1), torch.nn.Sigmoid())
    return torch.export.export(layers, (torch.zeros(2, 6),), dynamic_shapes=({0: torch.export.Dim("b", min=1, max=1 << 20)},))


class Net(torch.nn.Module):
    """A module of a class of its own, as a project has it."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.body = torch.nn.Sequential(torch.nn.Linear(6, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))

    def forward(self, x: torch.Tensor) -> Any:
        return torch.sigmoid(self.body(x))


def own() -> torch.nn.Module:
    torch.manual_seed(2)
    return Net(16)


def trained(which: str) -> Any:
    made = {
        "lightgbm": lambda: lgb.train({"objective": "binary", **QUIET}, lgb.Dataset(VALUES, BINARY, feature_name=NAMES), 20),
        "lightgbm, three classes": lambda: lgb.train(
            {"objective": "multiclass", "num_class": 3, **QUIET}, lgb.Dataset(VALUES, THREE, feature_name=NAMES), 5
        ),
        "xgboost": lambda: xgb.train({"objective": "binary:logistic", "nthread": 1}, xgb.DMatrix(VALUES, BINARY, feature_names=NAMES), 20),
        "histograms": lambda: HistGradientBoostingClassifier(max_iter=10).fit(VALUES, BINARY),
        "forest": lambda: RandomForestClassifier(4, max_depth=5, random_state=0).fit(VALUES, THREE),
        "logistic": lambda: LogisticRegression().fit(VALUES, BINARY),
        "torch": module,
        "torch, a class": own,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made[which]()


def stored(which: str, tmp_path: Path) -> tuple[Model, Source]:
    shelf = ModelShelf(tmp_path)
    draft = shelf.save(Save(kind="model", artifact="late", value=Model(trained(which), example=frame()), attempt="a-1"))
    model = shelf.load(draft, "model", None)
    source = shelf.source(draft, model.predictor)
    assert source is not None
    return model, source


@pytest.mark.parametrize(
    ("which", "runtime", "off"),
    [
        ("lightgbm", "compiled", 0.0),
        ("lightgbm", "onnxruntime", 1e-6),
        ("lightgbm, three classes", "compiled", 0.0),
        ("xgboost", "compiled", 1e-6),
        ("histograms", "compiled", 1e-12),
        ("forest", "compiled", 1e-12),
        ("logistic", "onnxruntime", 1e-6),
        ("torch", "onnxruntime", 1e-6),
        ("torch, a class", "torch.export", 1e-6),
    ],
)
def test_a_runtime_says_what_the_framework_says(which: str, runtime: str, off: float, tmp_path: Path) -> None:
    """On rows that it never saw, missing values included where the framework takes them, in the same shape."""
    _, source = stored(which, tmp_path)
    runtimes.prepare(runtime, source, tmp_path / "runtimes")
    call = runtimes.opened(runtime, source, tmp_path / "runtimes")
    rows = np.nan_to_num(MISSING) if which in ("logistic", "forest", "torch", "torch, a class") else MISSING
    expected = source.predictor.rows(rows)
    for part in (rows, rows[:1], rows[:0].reshape(0, 6)):
        assert np.shape(call(part))[0] == len(part)
    assert np.allclose(call(rows), expected, rtol=0, atol=off, equal_nan=True)
    assert np.allclose(call(rows[:1]), expected[:1], rtol=0, atol=off)


@pytest.mark.parametrize(
    ("which", "runtime"),
    [
        ("lightgbm", "compiled"),
        ("lightgbm", "onnxruntime"),
        ("lightgbm, three classes", "compiled"),
        ("xgboost", "compiled"),
        ("xgboost", "onnxruntime"),
        ("histograms", "compiled"),
        ("forest", "compiled"),
        ("forest", "onnxruntime"),
        ("logistic", "onnxruntime"),
        ("torch", "onnxruntime"),
        ("torch, a class", "torch.export"),
    ],
)
def test_odd_rows_are_answered_as_the_framework_would(which: str, runtime: str, tmp_path: Path) -> None:
    """Missing, infinite and very large numbers, one by one and mixed: the same answer or the same refusal, or the runtime is not used."""
    _, source = stored(which, tmp_path)
    folder = tmp_path / "runtimes"
    runtimes.prepare(runtime, source, folder)
    choice, calls = measured(source, folder, tolerance=1e-6, timer=time.perf_counter)
    (tried,) = [one for one in choice.tried if one.runtime == runtime]
    assert (runtime in calls) is (not tried.problem)
    draw = np.random.default_rng(3)
    strange = [np.nan, np.inf, -np.inf, 1e39, -1e39, 1e30, -1e30, 1e12, 16_777_217.0, 1e-40, -0.0, 3.4e38, 1e300]
    for at in range(200):
        row = VALUES[at : at + 1].copy()
        row[0, draw.integers(0, 6, at % 6 + 1)] = draw.choice(strange)
        given, expected = said(calls.get(runtime, source.predictor.rows), row), said(source.predictor.rows, row)
        assert (given is None) is (expected is None), (row, tried)
        assert given is None or apart(given, expected) <= 1e-6, (row, given, expected, tried)


def said(call: Any, row: Any) -> Any:
    """The answer; None where it is refused."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(call(row), dtype=np.float64)
    except Exception:
        return None


def test_the_quickest_that_agrees_is_chosen_and_the_figures_are_kept(tmp_path: Path) -> None:
    """scikit-learn's own call takes hundreds of microseconds; compiled trees agree to the last bits and take a few."""
    model, source = stored("histograms", tmp_path)
    folder = tmp_path / "runtimes"
    runtimes.prepare("compiled", source, folder)
    equipped = equip(model, source, folder, tolerance=1e-6, timer=time.perf_counter)
    choice = choice_of(equipped)
    assert choice is not None
    assert (choice.runtime, choice.place, [one.runtime for one in choice.tried]) == ("compiled", "loop", ["native", "compiled"])
    assert choice.best.off is not None
    assert choice.best.off <= 1e-6
    assert "compiled (" in choice.line()
    columns = {name: VALUES[:9, at].tolist() for at, name in enumerate(NAMES)}
    assert np.allclose(equipped.predict(columns), model.predict(columns), rtol=0, atol=1e-12)
    one = {name: VALUES[0, at] for at, name in enumerate(NAMES)}
    assert equipped.predict(one) == pytest.approx(model.predict(one))


def test_a_runtime_that_disagrees_or_does_not_open_is_not_used(tmp_path: Path) -> None:
    """Another model's trees in its place, and bytes that are no library: the framework itself predicts, and the record says why."""
    model, source = stored("lightgbm", tmp_path / "one")
    _, other = stored("histograms", tmp_path / "other")
    folder = tmp_path / "runtimes"
    runtimes.prepare("compiled", other, folder)
    choice = choice_of(equip(model, source, folder, tolerance=1e-6, timer=time.perf_counter))
    assert choice is not None
    assert choice.runtime == "native"
    assert "it is off by" in choice.tried[1].problem
    library = folder / "compiled" / "model.so"
    library.unlink()
    library.write_bytes(b"not a library")
    choice = choice_of(equip(model, source, folder, tolerance=1e-6, timer=time.perf_counter))
    assert choice is not None
    assert choice.tried[1].problem == "compiled trees cannot be loaded"
    with pytest.raises(CorruptError):
        runtimes.opened("compiled", source, folder)


def test_a_tolerance_of_nothing_takes_only_equal_predictions(tmp_path: Path) -> None:
    """float32's rounding is refused, compiled trees of float64 are taken."""
    model, source = stored("lightgbm", tmp_path)
    for name in ("compiled", "onnxruntime"):
        runtimes.prepare(name, source, tmp_path / "runtimes")
    choice = choice_of(equip(model, source, tmp_path / "runtimes", tolerance=0.0, timer=time.perf_counter))
    assert choice is not None
    assert {one.runtime: bool(one.problem) for one in choice.tried} == {"native": False, "compiled": False, "onnxruntime": True}


def test_a_model_that_no_runtime_takes_says_so(tmp_path: Path) -> None:
    """Nothing is left behind by what could not be prepared."""
    _, source = stored("logistic", tmp_path)
    with pytest.raises(UserError, match="cannot be compiled"):
        runtimes.prepare("compiled", source, tmp_path / "runtimes")
    assert list((tmp_path / "runtimes").iterdir()) == []
    with pytest.raises(UserError, match="no runtime 'abacus'"):
        runtimes.runtime("abacus")


def test_a_model_that_takes_text_is_served_as_it_is(tmp_path: Path) -> None:
    """Text has no number: the model is asked by its framework, column by column."""
    shelf = ModelShelf(tmp_path)
    model = Model.of(shout, {}, example=[{"word": "a"}])
    draft = shelf.save(Save(kind="model", artifact="late", value=model, attempt="a-1"))
    loaded = shelf.load(draft, "model", None)
    assert shelf.source(draft, loaded.predictor) is None
    assert equip(loaded, None, tmp_path, tolerance=0.0, timer=time.perf_counter) is loaded


def shout(params: dict[str, Any], columns: dict[str, Any]) -> Any:
    """A function of the project's own."""
    return np.array([len(word) for word in columns["word"]])


def test_probes_stay_within_reach_and_repeat(tmp_path: Path) -> None:
    """The same rows each time, whole numbers where the input is whole, codes where it has categories."""
    shelf = ModelShelf(tmp_path)
    carriers = pl.Enum(["UA", "AA"])
    table = pl.DataFrame({"carrier": pl.Series(["UA", "AA"] * 100, dtype=carriers), "hour": list(range(200)), "far": [0.5, 2.0] * 100})
    data = lgb.Dataset(Model.codes(table), label=np.arange(200) % 2, categorical_feature=["carrier"])
    booster = lgb.train({"objective": "binary", "min_data_per_group": 1, **QUIET}, data, 3)
    draft = shelf.save(Save(kind="model", artifact="late", value=Model(booster, example=table), attempt="a-1"))
    predictor = shelf.load(draft, "model", None).predictor
    assert isinstance(predictor, RowPredictor)
    source = shelf.source(draft, predictor)
    assert source is not None
    made = probes(source)
    assert np.array_equal(made, probes(source), equal_nan=True)
    assert set(np.unique(made[:, 0][~np.isnan(made[:, 0])])) <= {0.0, 1.0}
    assert np.nanmax(np.abs(made[:, 1] % 1)) == 0
    assert np.isnan(made).any()
