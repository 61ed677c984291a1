"""Who may have an alias: the decision table, and what a rollback goes to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.catalog.promotion import barred_by, decide_promotion, rollback_target
from bedplate.core.records import Promotion, Verdict
from bedplate.testing.clock import START


def move(version: int, before: int | None, by: Any = "person", **fields: Any) -> Promotion:
    return Promotion(model="late", version=version, before=before, by=by, at=START, **{"alias": "production", **fields})


PASSED = Verdict(check="better", check_version=4, model="late", model_version=7, passed=True, promotes="production", at=START)
BY_IT = move(7, 6, "verdict", check="better", check_version=4)


@pytest.mark.parametrize(
    ("verdict", "current", "barred", "history", "promotes"),
    [
        (PASSED, None, set(), [], True),
        (PASSED, 6, {5}, [move(6, None)], True),
        (msgspec.structs.replace(PASSED, passed=False), 6, set(), [], False),
        (msgspec.structs.replace(PASSED, promotes=""), 6, set(), [], False),
        (PASSED, 7, set(), [move(7, 6)], False),
        (PASSED, 6, {7}, [], False),
        (PASSED, 8, set(), [BY_IT, move(8, 7)], False),
        (PASSED, 8, set(), [BY_IT, move(8, 7, "verdict", check="better", check_version=5)], True),
        (PASSED, 8, set(), [msgspec.structs.replace(BY_IT, check_version=3), move(8, 7)], True),
        (PASSED, 8, set(), [msgspec.structs.replace(BY_IT, alias="staging"), move(8, 7)], True),
    ],
    ids=[
        "first",
        "next",
        "failed",
        "no alias",
        "already there",
        "barred",
        "a person knew better",
        "the code went back",
        "another verdict",
        "another alias",
    ],
)
def test_a_verdict_promotes_by_the_rules(
    verdict: Verdict, current: int, barred: set[int], history: list[Promotion], promotes: bool
) -> None:
    """Invariant 8, line by line."""
    decided = decide_promotion(verdict, current, barred, history)
    assert (decided is not None) == promotes
    if decided is not None:
        assert (decided.version, decided.before, decided.alias, decided.check_version) == (7, current, "production", 4)


def test_barred_until_a_person_says_so() -> None:
    """A verdict's move does not free a version, a person's does."""
    history = [move(6, None), move(7, 6), move(6, 7, "rollback")]
    assert barred_by(history) == {7}
    assert barred_by([*history, move(7, 6, "verdict")]) == {7}
    assert barred_by([*history, move(7, 6, "person")]) == set()


@pytest.mark.parametrize(
    ("history", "target"),
    [
        ([], None),
        ([move(5, None)], None),
        ([move(5, None), move(6, 5)], 5),
        ([move(5, None), move(6, 5), move(7, 6), move(6, 7, "rollback")], 5),
        ([move(5, None), move(6, 5), move(7, 6), move(6, 7, "rollback"), move(7, 6)], 6),
        ([move(5, None), move(6, 5), move(5, 6)], 6),
        ([move(5, None), move(6, 5), move(5, 6), move(6, 5, "rollback")], None),
    ],
    ids=["none", "first", "one back", "two back", "promoted again", "there and back", "all barred"],
)
def test_a_rollback_goes_to_what_stood_before(history: list[Promotion], target: int | None) -> None:
    """Past barred versions, and never round in a circle."""
    assert rollback_target("production", history, barred_by(history)) == target


@given(st.lists(st.integers(min_value=0, max_value=5), max_size=30))
def test_rollbacks_end_and_never_return_to_a_barred_version(steps: list[int]) -> None:
    """Any history of promotions (1-5) and rollbacks (0): the target is never barred, nor where the alias is."""
    history: list[Promotion] = []
    for step in steps:
        current = history[-1].version if history else None
        if step:
            history.append(move(step, current))
            continue
        barred = barred_by(history)
        target = rollback_target("production", history, barred)
        if target is not None:
            assert target not in barred
            assert target != current
            history.append(move(target, current, "rollback"))
