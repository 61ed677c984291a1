"""One model of a kind, stored, with every runtime that takes it prepared: CPU microseconds of a call with one row and with 32, how far off.

`runtimes_ours.py KIND`: lightgbm, xgboost, histograms (scikit-learn), mlp (PyTorch, 1M parameters). 30 features, 200 trees of 31 leaves.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bedplate import Model
from bedplate.core.errors import UserError
from bedplate.stages.deploy.runtime import MANY, measured
from bedplate.storage import runtimes
from bedplate.storage.models import ModelShelf
from bedplate.storage.shelf import Save

FEATURES, TREES, LEAVES, ROWS = 30, 200, 31, 20_000
NAMES = [f"x{at}" for at in range(FEATURES)]


def table() -> tuple[Any, Any]:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(ROWS, FEATURES))
    return values, (values[:, 0] + values[:, 1] * values[:, 2] + draw.normal(size=ROWS) / 2 > 0).astype(int)


def lightgbm(values: Any, labels: Any) -> Any:
    lightgbm = importlib.import_module("lightgbm")
    settings = {"objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "verbosity": -1, "seed": 1, "deterministic": True}
    return lightgbm.train(settings, lightgbm.Dataset(values, labels, feature_name=NAMES), TREES)


def xgboost(values: Any, labels: Any) -> Any:
    xgboost = importlib.import_module("xgboost")
    settings = {"objective": "binary:logistic", "max_leaves": LEAVES, "grow_policy": "lossguide", "nthread": 1, "seed": 1}
    return xgboost.train(settings, xgboost.DMatrix(values, labels, feature_names=NAMES), TREES)


def histograms(values: Any, labels: Any) -> Any:
    forest = importlib.import_module("sklearn.ensemble").HistGradientBoostingClassifier
    return forest(max_iter=TREES, max_leaf_nodes=LEAVES, early_stopping=False, random_state=1).fit(values, labels)


def mlp(values: Any, labels: Any) -> Any:
    torch = importlib.import_module("torch")
    torch.manual_seed(1)
    torch.set_num_threads(1)
    layers = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 1000), torch.nn.ReLU(), torch.nn.Linear(1000, 968), torch.nn.ReLU(), torch.nn.Linear(968, 1)
    )
    shape = ({0: torch.export.Dim("batch", min=1, max=1 << 20)},)
    return torch.export.export(layers, (torch.zeros(2, FEATURES),), dynamic_shapes=shape)


KINDS: dict[str, Callable[[Any, Any], Any]] = {"lightgbm": lightgbm, "xgboost": xgboost, "histograms": histograms, "mlp": mlp}


def main(kind: str) -> None:
    warnings.simplefilter("ignore")
    values, labels = table()
    example = pl.DataFrame(dict(zip(NAMES, values[:5].T, strict=True)))
    native = KINDS[kind](values, labels)
    shelf = ModelShelf(Path.cwd())
    draft = shelf.save(Save(kind="model", artifact="late", value=Model(native, example=example), attempt="a-1"))
    source = shelf.source(draft, shelf.load(draft, "model", None).predictor)
    if source is None:
        raise SystemExit(f"{kind} does not compute on rows")
    for name in runtimes.for_flavour(source.stored.flavour):
        begun = time.process_time()
        with contextlib.suppress(UserError):  # a runtime that does not take this kind of model has no figures
            if not (Path.cwd() / "runtimes" / name).exists():
                runtimes.prepare(name, source, Path.cwd() / "runtimes")
        print(f"told:{kind}_{plain(name)}_prepared={time.process_time() - begun}")
    choice, _ = measured(source, Path.cwd() / "runtimes", tolerance=1e-6, timer=time.process_time)
    for one in choice.tried:
        if one.one_us is not None and one.many_us is not None:
            print(f"told:{kind}_{plain(one.runtime)}_one={one.one_us}")
            print(f"told:{kind}_{plain(one.runtime)}_many={one.many_us / MANY}")
            print(f"told:{kind}_{plain(one.runtime)}_off={one.off}")
    if kind == "lightgbm":
        one = values[:1].copy()
        begun = time.process_time()
        for _ in range(500):
            native.predict(one)
        print(f"told:lightgbm_booster_one={(time.process_time() - begun) / 500 * 1e6}")


def plain(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


if __name__ == "__main__":
    main(sys.argv[1])
