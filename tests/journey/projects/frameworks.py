"""One table, and a model of every framework that goes to the edge in another file."""

from collections.abc import Iterator

import numpy as np
import polars as pl
import torch
import xgboost as xgb
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from torch import nn

from bedplate import Model, Project

mill = Project("mill")
INPUTS = ["x0", "x1", "x2"]


class Net(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.body(x)).squeeze(1)


@mill.prepare
def grain() -> pl.DataFrame:
    draw = np.random.default_rng(5).normal(size=(400, 3)).astype("float32")
    return pl.DataFrame(dict(zip(INPUTS, draw.T, strict=True))).with_columns(y=pl.Series((draw.sum(1) > 0).astype(int)))


@mill.train
def trees(grain: pl.DataFrame) -> Model:
    data = xgb.DMatrix(grain.select(INPUTS).to_numpy(), grain["y"].to_numpy(), feature_names=INPUTS)
    return Model(xgb.train({"objective": "binary:logistic", "nthread": 1, "seed": 1}, data, 20), example=grain.select(INPUTS))


@mill.train
def line(grain: pl.DataFrame) -> Model:
    native = LogisticRegression().fit(grain.select(INPUTS).to_numpy(), grain["y"].to_numpy())
    proto = to_onnx(native, grain.select(INPUTS).to_numpy()[:1], options={id(native): {"zipmap": False}})
    return Model(proto, example=grain.select(INPUTS))


@mill.train
def net(grain: pl.DataFrame) -> Model:
    torch.manual_seed(0)
    return Model(Net(8).eval(), example=grain.select(INPUTS), arguments={"hidden": 8})


@mill.service
def sieve(trees: Model, line: Model, x0: float, x1: float, x2: float = 0.5) -> dict[str, float | None]:
    row = {"x0": x0, "x1": x1, "x2": x2}
    return {"trees": float(trees.predict(row)), "both": both([float(trees.predict(row)), float(line.predict(row))])}


@mill.service
def steps(trees: Model, x0: float, count: int = 3) -> Iterator[float]:
    for at in range(count):
        yield float(trees.predict({"x0": x0, "x1": at / 3, "x2": 0.0}))


def both(values: list[float]) -> float | None:
    return sum(values) / len(values) if min(values) > 0.01 else None
