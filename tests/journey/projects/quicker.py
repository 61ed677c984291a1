"""Trees and a network on made-up measurements, each behind a check."""

import warnings

import lightgbm as lgb
import numpy as np
import polars as pl
from sklearn.neural_network import MLPClassifier

from bedplate import Check, Model, Project, use

shop = Project("shop")
INPUTS = [f"x{at}" for at in range(8)]


@shop.ingest
def measured() -> pl.DataFrame:
    draw = np.random.default_rng(3)
    values = draw.normal(size=(3000, 8))
    table = pl.DataFrame(dict(zip(INPUTS, values.T, strict=True)))
    return table.with_columns(y=pl.Series((values[:, 0] + values[:, 1] * values[:, 2] + draw.normal(size=3000) / 3 > 0).astype(int)))


@shop.train
def late(measured: pl.DataFrame) -> Model:
    past = measured.head(2000)
    data = lgb.Dataset(past.select(INPUTS).to_numpy(), past["y"].to_numpy(), feature_name=INPUTS)
    params = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 1}
    return Model(lgb.train(params, data, 60), example=past.select(INPUTS))


@shop.check(promotes="production")
def good_enough(late: Model, measured: pl.DataFrame, champion: Model = use("late@production")) -> Check:
    rest = measured.tail(1000)
    mine = right(rest, late)
    before = right(rest, champion) if champion else None
    return Check.all(Check.at_least("right", mine, 0.8), Check.compare("right against champion", mine, before, margin=0.05))


def right(rows: pl.DataFrame, model: Model) -> float:
    return float(((model.predict(rows) > 0.5) == (rows["y"].to_numpy() == 1)).mean())


@shop.train
def net(measured: pl.DataFrame) -> Model:
    past = measured.head(2000)
    network = MLPClassifier((128, 64), max_iter=10, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would go on learning
        network.fit(past.select(INPUTS).to_numpy(), past["y"].to_numpy())
    return Model(network, example=past.select(INPUTS))


@shop.check(promotes="production")
def net_good_enough(net: Model, measured: pl.DataFrame) -> Check:
    return Check.at_least("right", right(measured.tail(1000), net), 0.8)


@shop.prepare
def learned(measured: pl.DataFrame) -> pl.DataFrame:
    return measured.head(2000)


@shop.prepare
def held(measured: pl.DataFrame) -> pl.DataFrame:
    return measured.tail(1000)


@shop.train
def deep(learned: pl.DataFrame) -> Model:
    return net(learned)


@shop.check(promotes="production")
def deep_enough(deep: Model, held: pl.DataFrame) -> Check:
    return Check.at_least("right", right(held, deep), 0.8)


@shop.service
def ask(late: Model, x0: float, x1: float, x2: float) -> float:
    return float(late.predict({"x0": x0, "x1": x1, "x2": x2, **{f"x{at}": 0.0 for at in range(3, 8)}}))
