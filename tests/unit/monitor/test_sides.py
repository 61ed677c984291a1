"""Versions side by side: outcomes of each, and whether labels tell which is better."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from bedplate.stages.monitor.report import watch_report

START = datetime(2026, 11, 22, tzinfo=UTC)


def served(errors: dict[int, float], n: int = 400, *, labelled: int | None = None, seed: int = 3) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A log of numbers, half of each version, with labels: `errors` is how far each version's answers lie off, on average."""
    chance = np.random.default_rng(seed)
    numbers = [list(errors)[at % len(errors)] for at in range(n)]
    actual = chance.normal(10.0, 2.0, n)
    predicted = actual + np.array([errors[one] for one in numbers]) * chance.choice([-1.0, 1.0], n) * chance.uniform(0.5, 1.5, n)
    ids = [f"p-{at}" for at in range(n)]
    log = pl.DataFrame(
        {
            "prediction_id": ids,
            "request_id": ids,
            "at": [START + timedelta(seconds=at) for at in range(n)],
            "latency_ms": [float(one) for one in numbers],
            "status": [500 if at % 40 == 0 and numbers[at] == 2 else 200 for at in range(n)],
            "error": [None] * n,
            "models": [f'{{"late":{one}}}' for one in numbers],
            "request": [{"distance": float(at)} for at in range(n)],
            "result": predicted,
        },
        schema_overrides={"error": pl.String},
    )
    return log, pl.DataFrame({"prediction_id": ids, "label": actual}).head(n if labelled is None else labelled)


def test_the_better_version_is_named_with_its_interval() -> None:
    """A version whose errors are half as large has a lower loss, by a difference whose interval lies below zero and holds the truth."""
    log, labels = served({1: 2.0, 2: 1.0, 3: 2.0})
    first, *others = watch_report(log, labels, service="s").sides
    assert first.versions == ("late@1",)
    better = next(one for one in others if one.versions == ("late@2",))
    equal = next(one for one in others if one.versions == ("late@3",))
    assert better.verdict == "better"
    assert better.low is not None
    assert better.high is not None
    assert better.low < -1.0 < better.high
    assert (equal.verdict, first.verdict, first.more) == ("", "", None)
    found = watch_report(log, labels, service="s").findings
    assert any(line.startswith("late@2 is better than late@1: its MAE differs by -") for line in found)
    assert any(line.startswith("late@3 is neither better nor worse than late@1") for line in found)


def test_outcomes_stand_side_by_side_without_a_label() -> None:
    log, labels = served({1: 1.0, 2: 1.0}, labelled=0)
    sides = {one.versions[0]: one for one in watch_report(log, labels, service="s").sides}
    assert sides["late@1"].failed == 0
    assert (sides["late@2"].predictions, sides["late@2"].p95_ms, sides["late@2"].loss) == (200, 2.0, None)


def test_few_labels_tell_nothing() -> None:
    """Fewer than thirty of one side: the losses are shown, and no difference is claimed."""
    log, labels = served({1: 5.0, 2: 0.1}, labelled=40)
    _, other = watch_report(log, labels, service="s").sides
    assert (other.loss is not None, other.more, other.verdict) == (True, None, "")


def test_one_version_has_no_side() -> None:
    log, labels = served({1: 1.0})
    assert watch_report(log, labels, service="s").sides == ()


@pytest.mark.parametrize("kind", ["binary", "class"])
def test_true_and_false_and_words_are_compared_too(kind: str) -> None:
    log, labels = served({1: 1.0, 2: 1.0})
    truth = [at % 3 == 0 for at in range(400)]
    right = [0.9 if true else 0.1 for true in truth]
    says = [value if at % 2 else 0.5 for at, value in enumerate(right)]
    words = ["late" if (value > 0.5) == (at % 2 == 1 or at % 4 == 0) else "on time" for at, value in enumerate(right)]
    log = log.with_columns(result=pl.Series(says) if kind == "binary" else pl.Series(words))
    actual = pl.Series(truth) if kind == "binary" else pl.Series(["late" if true else "on time" for true in truth])
    _, other = watch_report(log, labels.with_columns(label=actual), service="s").sides
    assert (other.versions, other.verdict) == (("late@2",), "better")
