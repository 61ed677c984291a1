"""Trees as tables: the same bits as the framework, whichever way through them a row takes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
import xgboost as xgb

from bedplate import Model
from bedplate.core.errors import UserError
from bedplate.stages.deploy.runtime import equip
from bedplate.storage import runtimes
from bedplate.storage.backends import trees_to_tables
from bedplate.storage.models import ModelShelf
from bedplate.storage.shelf import Save

pytestmark = pytest.mark.filterwarnings("ignore")
DRAW = np.random.default_rng(5)
WIDTH = 7
VALUES = np.where(DRAW.random((800, WIDTH)) < 0.1, np.nan, DRAW.normal(size=(800, WIDTH)).round(2))
LABELS = (np.nan_to_num(VALUES[:, 0]) + np.nan_to_num(VALUES[:, 1]) > 0).astype(float)
NAMES = [f"x{at}" for at in range(WIDTH)]


def lightgbm(leaves: int, trees: int, **more: Any) -> Any:
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": leaves, "min_data_in_leaf": 2, **more}
    return lgb.train(settings, lgb.Dataset(VALUES, LABELS, feature_name=NAMES), trees)


def xgboost(depth: int) -> Any:
    settings = {"objective": "reg:squarederror", "nthread": 1, "max_depth": depth, "base_score": 0.3}
    return xgb.train(settings, xgb.DMatrix(VALUES, LABELS, feature_names=NAMES), 13)


@pytest.mark.parametrize(
    ("made", "off"),
    [
        pytest.param(lambda: lightgbm(7, 1), 0.0, id="one tree"),
        pytest.param(lambda: lightgbm(31, 21), 0.0, id="sets of 32"),
        pytest.param(lambda: lightgbm(60, 9), 0.0, id="sets of 64"),
        pytest.param(lambda: lightgbm(127, 9, max_depth=8), 0.0, id="walked only"),
        pytest.param(lambda: lightgbm(31, 9, use_missing=False), 0.0, id="missing is nought"),
        pytest.param(lambda: lightgbm(31, 9, objective="regression"), 0.0, id="a sum"),
        pytest.param(lambda: xgboost(4), 1e-6, id="float32"),
    ],
)
def test_every_way_gives_what_the_framework_gives(made: Any, off: float, tmp_path: Path) -> None:
    """One row, a few, a block, and what is left over; missing, infinite and edge values among them."""
    shelf = ModelShelf(tmp_path)
    example = pl.DataFrame(dict(zip(NAMES, np.nan_to_num(VALUES[:5]).T, strict=True)))
    draft = shelf.save(Save(kind="model", artifact="late", value=Model(made(), example=example), attempt="a-1"))
    source = shelf.source(draft, shelf.load(draft, "model", None).predictor)
    assert source is not None
    runtimes.prepare("compiled", source, tmp_path / "runtimes")
    call = runtimes.opened("compiled", source, tmp_path / "runtimes")
    rows = np.concatenate([VALUES, np.full((1, WIDTH), np.nan), np.full((1, WIDTH), np.inf), np.full((1, WIDTH), -np.inf)])
    if off:
        rows = rows[np.isfinite(rows).all(axis=1)]  # XGBoost refuses infinity
    expected = source.predictor.rows(rows)
    for count in (1, 3, 4, 16, 21, len(rows)):
        given = np.asarray(call(rows[-count:]))
        assert np.abs(given - expected[-count:]).max() <= off, count


@pytest.mark.parametrize("runtime", ["native", "compiled"])
def test_a_lone_mapping_of_numbers_is_answered_as_its_row(runtime: str, tmp_path: Path) -> None:
    """At once where its values are plain numbers, and by the longer way where one is missing or no float holds it."""
    shelf = ModelShelf(tmp_path)
    example = pl.DataFrame(dict(zip(NAMES, np.nan_to_num(VALUES[:5]).T, strict=True)))
    draft = shelf.save(Save(kind="model", artifact="late", value=Model(lightgbm(31, 9), example=example), attempt="a-1"))
    model = shelf.load(draft, "model", None)
    source = shelf.source(draft, model.predictor)
    assert source is not None
    runtimes.prepare("compiled", source, tmp_path / "runtimes")
    asked = equip(model, source, tmp_path / "runtimes", tolerance=0.0, timer=time.perf_counter, only=runtime)
    assert asked.predictor.one is not None
    for row in VALUES[:50]:
        given = dict(zip(NAMES, row.tolist(), strict=True))
        assert asked.predict(given) == source.predictor.rows(row[None])[0]
        assert asked.predict({name: None if np.isnan(value) else value for name, value in given.items()}) == asked.predict(given)
    assert asked.predict(dict.fromkeys(NAMES, 1)) == asked.predict(dict.fromkeys(NAMES, 1.0))
    assert isinstance(asked.predict(dict.fromkeys(NAMES, 1)), np.float64)
    with pytest.raises(UserError):
        asked.predict(dict.fromkeys(NAMES, 10**400))


def test_without_code_for_generations_of_processors_the_same_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that refuses `target_clones` (musl's, an old one) is asked again without."""
    real = shutil.which("cc")
    assert real is not None
    picky = tmp_path / "cc"
    picky.write_text(f'#!/bin/sh\ncase "$*" in *-DCLONES*) echo no clones >&2; exit 1;; esac\nexec {real} "$@"\n')
    picky.chmod(0o755)
    shelf = ModelShelf(tmp_path)
    example = pl.DataFrame(dict(zip(NAMES, np.nan_to_num(VALUES[:5]).T, strict=True)))
    draft = shelf.save(Save(kind="model", artifact="late", value=Model(lightgbm(31, 9), example=example), attempt="a-1"))
    source = shelf.source(draft, shelf.load(draft, "model", None).predictor)
    assert source is not None
    monkeypatch.setattr(shutil, "which", lambda _name: str(picky))
    runtimes.prepare("compiled", source, tmp_path / "runtimes")
    call = runtimes.opened("compiled", source, tmp_path / "runtimes")
    assert np.array_equal(call(VALUES), source.predictor.rows(VALUES))


def test_what_tables_do_not_take_is_left_to_comparisons(tmp_path: Path) -> None:
    """Several classes, and sets of categories."""
    treelite = pytest.importorskip("treelite")
    three = lgb.train(
        {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1},
        lgb.Dataset(VALUES, np.digitize(VALUES[:, 0], [-0.5, 0.5]), feature_name=NAMES),
        2,
    )
    codes = DRAW.integers(0, 5, (800, WIDTH)).astype(float)
    labels = (codes[:, 0] % 2).astype(float)
    sets = lgb.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1}, lgb.Dataset(codes, labels, categorical_feature=list(range(WIDTH))), 2
    )
    for booster in (three, sets):
        assert trees_to_tables.written(treelite.frontend.from_lightgbm(booster), tmp_path / "code") is None
