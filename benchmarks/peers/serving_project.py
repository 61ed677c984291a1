"""The project that bedplate serves in the benchmark: one boosted-tree model, and a service that asks it for a row, and one for arrays.

LightGBM is imported by who trains only.
"""

from __future__ import annotations

import importlib

import numpy as np
import polars as pl
from numpy import ndarray as array

from bedplate import Model, Project

FEATURES, TREES, ROWS = 30, 200, 4000
NAMES = [f"f{number}" for number in range(FEATURES)]

serving = Project("serving")


@serving.train
def trees() -> Model:
    """30 features, 200 trees of 31 leaves."""
    lightgbm = importlib.import_module("lightgbm")
    chance = np.random.default_rng(7)
    values = chance.normal(size=(ROWS, FEATURES))
    label = (values[:, :5].sum(axis=1) + chance.normal(size=ROWS) > 0).astype(float)
    params = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 1, "seed": 7, "deterministic": True}
    booster = lightgbm.train(params, lightgbm.Dataset(values, label, feature_name=NAMES), TREES)
    return Model(booster, example=pl.DataFrame(values[:8], schema=NAMES))


@serving.service(p95="5 ms")
def score(
    trees: Model,
    *,
    f0: float, f1: float, f2: float, f3: float, f4: float, f5: float, f6: float, f7: float, f8: float, f9: float,
    f10: float, f11: float, f12: float, f13: float, f14: float, f15: float, f16: float, f17: float, f18: float, f19: float,
    f20: float, f21: float, f22: float, f23: float, f24: float, f25: float, f26: float, f27: float, f28: float, f29: float,
) -> float:  # fmt: skip
    """The model's own answer."""
    return trees.predict(
        {
            "f0": f0, "f1": f1, "f2": f2, "f3": f3, "f4": f4, "f5": f5, "f6": f6, "f7": f7, "f8": f8, "f9": f9,
            "f10": f10, "f11": f11, "f12": f12, "f13": f13, "f14": f14, "f15": f15, "f16": f16, "f17": f17, "f18": f18, "f19": f19,
            "f20": f20, "f21": f21, "f22": f22, "f23": f23, "f24": f24, "f25": f25, "f26": f26, "f27": f27, "f28": f28, "f29": f29,
        }
    )  # fmt: skip


@serving.service(p95="5 ms")
def score_many(
    trees: Model,
    *,
    f0: array, f1: array, f2: array, f3: array, f4: array, f5: array, f6: array,
    f7: array, f8: array, f9: array, f10: array, f11: array, f12: array, f13: array,
    f14: array, f15: array, f16: array, f17: array, f18: array, f19: array, f20: array,
    f21: array, f22: array, f23: array, f24: array, f25: array, f26: array, f27: array,
    f28: array, f29: array,
) -> array:  # fmt: skip
    """The model's own answers."""
    return trees.predict(
        {
            "f0": f0, "f1": f1, "f2": f2, "f3": f3, "f4": f4, "f5": f5, "f6": f6, "f7": f7, "f8": f8, "f9": f9,
            "f10": f10, "f11": f11, "f12": f12, "f13": f13, "f14": f14, "f15": f15, "f16": f16, "f17": f17, "f18": f18, "f19": f19,
            "f20": f20, "f21": f21, "f22": f22, "f23": f23, "f24": f24, "f25": f25, "f26": f26, "f27": f27, "f28": f28, "f29": f29,
        }
    )  # fmt: skip
