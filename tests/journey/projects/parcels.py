"""How long a parcel is on its way: a model without a trainer, whose data can go bad, and a service that refuses to say nonsense."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from bedplate import Check, Files, Model, Project, use

parcels = Project("parcels")
LONGEST_HOURS = 240.0
INPUTS = ["distance_km", "weight_kg"]


@parcels.ingest
def delivered(source: Files = Files("data/*.csv")) -> pl.DataFrame:
    """What was delivered, a file a day: how far, how heavy, of which kind, and the hours that it took."""
    return pl.concat([pl.read_csv(path) for path in source.paths]).sort("day", "number")


@parcels.ingest
def trusted(source: Files = Files("trusted.csv")) -> pl.DataFrame:
    """Deliveries that were measured by hand: what a model is judged by."""
    return pl.read_csv(source.path)


def predict(params: dict[str, Any], columns: dict[str, Any]) -> Any:
    """A plane over distance and weight."""
    inputs = np.column_stack([np.asarray(columns[name], dtype=float) for name in INPUTS])
    return float(params["base"]) + inputs @ np.asarray(params["weights"], dtype=float)


@parcels.train
def transit(delivered: pl.DataFrame) -> Model:
    """Least squares."""
    inputs = delivered.select(pl.lit(1.0), *INPUTS).to_numpy()
    found = np.linalg.lstsq(inputs, delivered["hours"].to_numpy(), rcond=None)[0]
    params = {"base": float(found[0]), "weights": [float(one) for one in found[1:]]}
    return Model.of(predict, params, example=delivered.select(INPUTS))


@parcels.check(promotes="production")
def close_enough(transit: Model, trusted: pl.DataFrame, champion: Model | None = use("transit@production")) -> Check:
    """No kind of parcel is more than five hours off, and none is worse than today's."""
    today = None if champion is None else errors(champion, trusted)
    mine = errors(transit, trusted)
    return Check.all(
        Check.at_most("hours off", mine, 5.0),
        Check.compare("hours off against champion", mine, today, margin=1.0, lower_is_better=True),
    )


def errors(model: Model, rows: pl.DataFrame) -> dict[str, float]:
    """The mean error of each kind of parcel, in hours."""
    off = np.abs(np.asarray(model.predict(rows.select(INPUTS))) - rows["hours"].to_numpy())
    by_kind = rows.with_columns(off=pl.Series(off)).group_by("kind").agg(pl.col("off").mean()).sort("kind")
    return {str(kind): float(mean) for kind, mean in by_kind.iter_rows()}


@parcels.service
def arrives_in(transit: Model, distance_km: float, weight_kg: float) -> float:
    """The hours until a parcel is there."""
    hours = float(np.asarray(transit.predict({"distance_km": distance_km, "weight_kg": weight_kg})).item())
    if not 0 < hours < LONGEST_HOURS:
        raise ValueError(f"{hours:,.0f} hours is no delivery")
    return hours
