"""How heavy is a penguin? Its mass from its species, bill and flipper, without a scale: a small project with all six stages.

The birds of 2007 and 2008 train, those of 2009 gate. The model is a ridge regression in a few lines of numpy, so that nothing
beyond bedplate itself is needed; a framework's own model (LightGBM, scikit-learn) would be returned in the same way.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl

from bedplate import Check, Context, Files, Model, Project, tune, use

penguins = Project("penguins", description="A penguin's mass from its measures")

LENGTHS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm"]
SPECIES = ["Adelie", "Chinstrap", "Gentoo"]
GATE_YEAR = 2009


@penguins.ingest
def measured(source: Files = Files("data/*.csv")) -> pl.DataFrame:
    """Every bird of every file, as written down."""
    return pl.concat([pl.read_csv(path, null_values="NA") for path in source.paths])


@penguins.prepare
def adults(measured: pl.LazyFrame) -> pl.LazyFrame:
    """Birds with all their measures."""
    species = pl.col("species").cast(pl.Enum(SPECIES))
    return measured.select(species, *LENGTHS, "body_mass_g", "year").drop_nulls()


@penguins.train
def mass(adults: pl.DataFrame, context: Context, strength: float = tune(0.01, 100.0, default=1.0, log=True)) -> Model:
    """Ridge regression on the birds before the gate's year; `strength` pulls the weights towards zero."""
    past = adults.filter(pl.col("year") < GATE_YEAR)
    inputs, masses = past.select("species", *LENGTHS), past["body_mass_g"].to_numpy()
    lengths = inputs.select(LENGTHS).to_numpy()
    params: dict[str, Any] = {"mean": lengths.mean(axis=0), "scale": lengths.std(axis=0), "average": masses.mean()}
    x, y = design(params, inputs.to_dict(as_series=False)), masses - params["average"]
    params["weights"] = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y)
    context.metric("birds", past.height)
    return Model.of(predict, params, example=inputs)


def predict(params: dict[str, Any], columns: dict[str, Any]) -> Any:
    """Mass in grams, one for each row of the columns."""
    return params["average"] + design(params, columns) @ params["weights"]


def design(params: dict[str, Any], columns: dict[str, Any]) -> Any:
    """The matrix of a regression: a column per species, then the standardised lengths."""
    species = [np.asarray(columns["species"]) == name for name in SPECIES]
    lengths = (np.column_stack([columns[name] for name in LENGTHS]) - params["mean"]) / params["scale"]
    return np.column_stack([*species, lengths])


@penguins.check(promotes="production")
def good_enough(mass: Model, adults: pl.DataFrame, champion: Model = use("mass@production")) -> Check:
    """On the birds of the gate's year: within 350 g on average for each species, and no worse than the model that serves today."""
    unseen = adults.filter(pl.col("year") >= GATE_YEAR)
    errors = by_species(unseen, mass)
    return Check.all(
        Check.at_most("mean error in grams", errors, 350.0),
        Check.compare("against champion", errors, by_species(unseen, champion) if champion else None, margin=5.0, lower_is_better=True),
    )


def by_species(birds: pl.DataFrame, model: Model) -> dict[str, float]:
    """The mean absolute error in grams of each species."""
    off = birds.with_columns(off=(pl.Series(model.predict(birds)) - birds["body_mass_g"]).abs())
    return dict(off.group_by("species").agg(pl.col("off").mean()).sort("species").rows())


@penguins.service(p95="20 ms")
def weigh(
    mass: Model, species: Literal["Adelie", "Chinstrap", "Gentoo"], bill_length_mm: float, bill_depth_mm: float, flipper_length_mm: float
) -> float:
    """The mass of a penguin in grams."""
    bird = {
        "species": species,
        "bill_length_mm": bill_length_mm,
        "bill_depth_mm": bill_depth_mm,
        "flipper_length_mm": flipper_length_mm,
    }
    return float(mass.predict(bird))


@penguins.watch(every="1 day")
def still_right(weigh: pl.DataFrame) -> Check:
    """On the birds that were weighed on a scale later (`bedplate labels FILE`): still within 350 g on average?"""
    known = weigh.drop_nulls("label")
    if known.is_empty():
        return Check.at_least("labels", 0, 0)  # nothing is known to be wrong
    return Check.at_most("mean error in grams", np.abs(known["result"].to_numpy() - known["label"].to_numpy()).mean(), 350.0)
