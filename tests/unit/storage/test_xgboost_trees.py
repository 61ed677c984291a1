"""XGBoost models from strangers: what the library wrote passes, numbers that lead out of a tree are never walked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bedplate.core.errors import CorruptError
from bedplate.storage.backends import xgboost_trees

xgboost = pytest.importorskip("xgboost")


def written(**more: object) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=200), rng.integers(0, 5, 200)])
    data = xgboost.DMatrix(x, rng.integers(0, int(str(more.get("num_class", 2))), 200), feature_types=["q", "c"], enable_categorical=True)
    booster = xgboost.train({"nthread": 1, "max_cat_to_onehot": 1, **more}, data, 3)
    found: dict[str, Any] = json.loads(bytes(booster.save_raw("json")))
    return found


def trees(model: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = model["learner"]["gradient_booster"]["model"]["trees"]
    return found


@pytest.mark.parametrize(
    "more", [{}, {"objective": "multi:softprob", "num_class": 3}, {"booster": "dart"}, {"num_parallel_tree": 2}, {"max_depth": 1}]
)
def test_what_the_library_wrote_is_taken(more: dict[str, object]) -> None:
    xgboost_trees.check(json.dumps(written(**more)).encode())


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("split_indices", 2_000_000_000), ("split_indices", -7), ("left_children", 2_000_000_000), ("left_children", 0),
        ("right_children", -1),
        ("categories_nodes", 9_999), ("categories_segments", 99_999_999), ("categories_sizes", -1), ("categories", 1 << 40),
    ],
)  # fmt: skip
def test_a_number_that_leads_out_of_its_tree_is_refused(key: str, value: int) -> None:
    model = written()
    for tree in trees(model):
        tree[key] = [value] * len(tree[key])
    with pytest.raises(CorruptError):
        xgboost_trees.check(json.dumps(model).encode())


@pytest.mark.bad_input
def test_counts_that_are_not_there_are_refused() -> None:
    for change in ({"num_class": "1000000000"}, {"num_feature": "-5"}, {"num_feature": "x"}):
        model = written()
        model["learner"]["learner_model_param"] |= change
        with pytest.raises(CorruptError):
            xgboost_trees.check(json.dumps(model).encode())
    model = written()
    model["learner"]["gradient_booster"]["model"]["tree_info"] = [50_000_000] * 3
    with pytest.raises(CorruptError):
        xgboost_trees.check(json.dumps(model).encode())
