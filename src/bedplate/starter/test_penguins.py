"""Decorated functions stay plain functions: call them with what they would receive."""

from __future__ import annotations

import polars as pl
import pytest
from penguins import adults, design, mass, measured, predict

from bedplate import Context, Files


@pytest.fixture
def birds() -> pl.DataFrame:
    frame: pl.DataFrame = adults(measured(Files.of("data/penguins.csv")).lazy()).collect()
    return frame


def test_birds_without_a_measure_are_left_out(birds: pl.DataFrame) -> None:
    assert birds.height == 342
    assert birds.null_count().sum_horizontal().item() == 0


def test_a_longer_flipper_means_a_heavier_bird(birds: pl.DataFrame) -> None:
    model = mass(birds, Context.test())
    bird = {"species": ["Gentoo", "Gentoo"], "bill_length_mm": [47.0, 47.0], "bill_depth_mm": [15.0, 15.0], "flipper_length_mm": [210, 225]}
    lighter, heavier = predict(model.native, bird)
    assert 4000 < lighter < heavier < 6500


def test_the_matrix_knows_the_species(birds: pl.DataFrame) -> None:
    params = mass(birds, Context.test()).native
    row = {"species": ["Chinstrap"], "bill_length_mm": [49.0], "bill_depth_mm": [18.0], "flipper_length_mm": [195]}
    assert design(params, row)[0, :3].tolist() == [0, 1, 0]
