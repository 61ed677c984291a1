"""A model that is well, or bad in the way that a setting says, and the service that asks it."""

import time

import numpy as np
import polars as pl

from bedplate import Model, Project

post = Project("post")


@post.ingest
def parcels() -> pl.DataFrame:
    return pl.DataFrame({"weight": [0.0, 1.0, 2.0]})


@post.train
def days(parcels: pl.DataFrame, mood: str = "well") -> Model:
    return Model.of(guess, {"mood": mood}, example=parcels.head(1))


def guess(params: dict[str, str], columns: dict[str, np.ndarray]) -> np.ndarray:
    """What is bad shows with real parcels only: the example has no weight."""
    weight = columns["weight"]
    if (weight == 0).all() or params["mood"] in ("well", "other"):
        return weight * 2 + (params["mood"] == "other")
    if params["mood"] == "raises":
        raise ValueError("no such parcel")
    if params["mood"] == "slow":
        time.sleep(0.2)
    if params["mood"] == "shape":
        return np.zeros((len(weight), 2))
    return weight * np.nan if params["mood"] == "nan" else weight * 2


@post.service(p95="50 ms")
def arrives_in(days: Model, who: str, weight: float) -> float:
    return float(days.predict({"weight": weight}))
