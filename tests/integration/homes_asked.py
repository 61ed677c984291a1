"""Homes: the project of which tests ask one function in several ways, and how they ask it."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bedplate
from bedplate.pipeline.workspace import Workspace

PROJECT = """
from __future__ import annotations

from datetime import datetime

import lightgbm as lgb
import numpy as np
import polars as pl

from bedplate import Features, Model, Project

homes = Project("homes")
KINDS = pl.Enum(["flat", "house", "barn"])
INPUTS = ["kind", "area", "rooms", "rate"]


@homes.prepare
def sold() -> pl.DataFrame:
    draw = np.random.default_rng(1)
    kind = draw.choice(KINDS.categories.to_list(), 400)
    area, rooms, rate = draw.normal(80, 30, 400), draw.integers(1, 9, 400), draw.normal(0, 1, 400)
    price = area * (1 + (kind == "house")) + rooms * 5 + rate
    table = pl.DataFrame({"kind": kind, "area": area, "rooms": rooms, "rate": rate, "price": price})
    return table.with_columns(pl.col("kind").cast(KINDS))


@homes.features(entity="kind", time="time")
def market(sold: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({"kind": ["flat", "house"], "time": [datetime(2020, 1, 1)] * 2, "rate": [0.1, 1 / 3], "seen": [7, None]})


@homes.train
def cost(sold: pl.DataFrame) -> Model:
    inputs = Model.codes(sold.select(INPUTS)).to_numpy()
    data = lgb.Dataset(inputs, sold["price"].to_numpy(), feature_name=INPUTS, categorical_feature=["kind"])
    params = {"num_leaves": 15, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1, "deterministic": True, "seed": 1}
    return Model(lgb.train(params, data, 30), example=sold.select(INPUTS))
"""
"""A table, features, and a model; what is asked of them comes after it."""


def made(folder: Path, functions: str) -> Workspace:
    """The project with these functions, made."""
    (folder / "homes.py").write_text(PROJECT + functions)
    (folder / "bedplate.toml").write_text('compute = "inline"\n')
    workspace = bedplate.open(folder)
    workspace.run()
    return workspace


def posting(stack: ExitStack, words: list[str], folder: Path) -> Callable[[str, Any], Any]:
    """Asks a server that these words start; what is refused is None."""
    process = stack.enter_context(subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True))
    stack.callback(process.terminate)
    assert process.stdout is not None
    address = urlsplit(json.loads(process.stdout.readline())["url"])
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    stack.callback(connection.close)

    def post(path: str, body: Any) -> Any:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        reply = connection.getresponse()
        said = json.loads(reply.read())
        return said if reply.status == 200 else None

    return post


def bits(answers: list[Any]) -> list[str]:
    """Answers as text that tells every bit of a number."""
    return [one.hex() if isinstance(one, float) else repr(one) for one in answers]
