"""Quality: figures agree with their definitions, and the kind follows from the labels."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.stages.monitor.quality import auc, kind_of, quality

scored = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), st.integers(0, 1)), min_size=1, max_size=40)


@given(scored)
def test_auc_is_the_share_of_pairs_ranked_right_with_ties_as_half(pairs: list[tuple[float, int]]) -> None:
    good, bad = [p for p, y in pairs if y], [p for p, y in pairs if not y]
    found = auc([p for p, _ in pairs], [y for _, y in pairs])
    if not good or not bad:
        assert found is None
        return
    won = sum((g > b) + (g == b) / 2 for g in good for b in bad)
    assert found == pytest.approx(won / (len(good) * len(bad)))


def test_binary_figures_worked_by_hand() -> None:
    found = quality(pl.Series([0.9, 0.2, 0.6, 0.4]), pl.Series([True, False, False, True]), "binary")
    assert found.metrics["auc"] == 0.75
    assert found.metrics["log_loss"] == pytest.approx(-(math.log(0.9) + math.log(0.8) + math.log(0.4) + math.log(0.4)) / 4)
    assert found.metrics["brier"] == pytest.approx((0.01 + 0.04 + 0.36 + 0.36) / 4)
    assert found.metrics["accuracy"] == 0.5
    assert sum(b.n for b in found.calibration) == 4
    assert found.metrics["calibration_error"] == pytest.approx((0.1 + 0.2 + 0.6 + 0.6) / 4)


def test_certain_and_wrong_is_a_finite_loss() -> None:
    found = quality(pl.Series([1.0, 0.0]), pl.Series([0, 1]), "binary")
    assert math.isfinite(found.metrics["log_loss"])
    assert found.calibration[-1].high == 1.0


def test_number_and_class_figures_worked_by_hand() -> None:
    numbers = quality(pl.Series([1.0, 5.0]), pl.Series([2, 2]), "number")
    assert numbers.metrics == {"mae": 2.0, "rmse": pytest.approx(math.sqrt(5)), "bias": 1.0}
    words = quality(pl.Series(["a", "b", "c"]), pl.Series(["a", "b", "b"]), "class")
    assert words.metrics == {"accuracy": pytest.approx(2 / 3)}


def test_a_calibrated_model_has_a_small_calibration_error() -> None:
    dice = np.random.default_rng(0)
    p = dice.random(50_000)
    found = quality(pl.Series(p), pl.Series(dice.random(50_000) < p), "binary")
    assert found.metrics["calibration_error"] < 0.01


@pytest.mark.parametrize(
    ("predicted", "actual", "kind"),
    [
        ([0.2, 0.9], [True, False], "binary"),
        ([0.2, 0.9], [1, 0], "binary"),
        ([2.0, 0.9], [1, 0], "number"),
        ([0.2, 0.9], [3.5, 1.0], "number"),
        (["a", "b"], ["a", "a"], "class"),
        ([True, False], [True, True], "class"),
        ([0.2, 0.9], ["late", "early"], None),
        (["a"], [1.0], None),
    ],
)
def test_the_kind_of_quality_follows_from_predictions_and_labels(predicted: list[object], actual: list[object], kind: str | None) -> None:
    assert kind_of(pl.Series(predicted), pl.Series(actual)) == kind
