"""Whether a runtime agrees with its framework: what counts as equal, which odd rows are compared, and who is asked for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.model import Field, Signature
from bedplate.stages.deploy.agreement import Careful, apart, probed, within
from bedplate.storage.flavours import Stored
from bedplate.storage.runtimes import Source

INPUTS = (Field("a", "FP64"), Field("n", "INT64"), Field("c", "BYTES", ("x", "y")))
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


class Sum:
    """The framework: a row's sum; `refuses` missing and infinite values."""

    signature = Signature(inputs=INPUTS, outputs=(Field("total", "FP64"),))

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.asked = 0

    def matrix(self, columns: dict[str, Any]) -> Any:
        return np.array([[1.0, 2.0, 0.0], [2.0, 5.0, 1.0]])

    def predict(self, columns: dict[str, Any]) -> Any:
        return self.rows(self.matrix(columns))

    def rows(self, matrix: Any) -> Any:
        self.asked += 1
        if self.refuses and not np.isfinite(matrix).all():
            raise ValueError("not finite")
        with np.errstate(all="ignore"):
            return np.asarray(matrix, dtype=np.float64).sum(axis=1)


def source_of(framework: Sum) -> Source:
    stored = Stored(flavour="function", library="rows", signature=framework.signature, example=[{"a": 1.0, "n": 2, "c": "x"}])
    return Source(stored=stored, files={}, predictor=framework)


def float32(matrix: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.asarray(matrix, dtype=np.float32).sum(axis=1).astype(np.float64)


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_an_answer_agrees_with_itself_whatever_is_in_it(values: list[float]) -> None:
    """Not-a-number and infinity too."""
    assert apart(np.array(values), np.array(values)) == 0.0


@given(st.lists(NUMBERS, min_size=1, max_size=9), st.lists(NUMBERS, min_size=1, max_size=9))
def test_what_is_no_number_where_one_is_due_never_agrees(one: list[float], other: list[float]) -> None:
    """The distance is a number from 0 on, or infinite; missing against present, and infinite against finite, are never near."""
    size = min(len(one), len(other))
    first, second = np.array(one[:size]), np.array(other[:size])
    found = apart(first, second)
    assert found >= 0
    if (np.isnan(first) != np.isnan(second)).any() or (np.isinf(first) != np.isinf(second)).any():
        assert found == math.inf
    assert apart(first, second[:-1] if size > 1 else second[:, None]) == math.inf


def test_the_odd_rows_have_every_kind_of_value_in_every_kind_of_input() -> None:
    """Missing everywhere, categories too; infinite and large ones only where a number is taken."""
    kinds = {kind.name: rows for kind, rows, _ in probed(source_of(Sum())).odd}
    first = kinds["missing or infinite values"]
    assert np.isnan(first[:, 2]).any()
    assert not np.isinf(first[:, 2]).any()
    assert np.isinf(first[:, 0]).any()
    assert np.isinf(first[:, 1]).any()
    assert (np.isnan(first).all(axis=1)).any()
    assert 1e39 in kinds["numbers beyond 1e+38"][:, 0]
    assert 16_777_217.0 in kinds["numbers beyond what it is used to"][:, 1]


@pytest.mark.parametrize("refuses", [False, True])
def test_float32_is_not_asked_where_it_ends(refuses: bool) -> None:
    """It misses 2**24 + 1 and calls 1e39 infinite: those rows go to the framework, as do those that the framework refuses."""
    framework = Sum(refuses=refuses)
    odd, call = within(float32, framework.rows, probed(source_of(framework)), 1e-9)
    assert "beyond 1e+38" in odd
    assert "used to" in odd
    assert ("missing" in odd) is refuses
    assert isinstance(call, Careful)
    before = framework.asked
    call(np.array([[1.0, 2.0, 1.0]]))
    assert framework.asked == before
    assert call(np.array([[1e39, 2.0, 1.0]]))[0] == 1e39
    assert framework.asked == before + 1
    if refuses:
        with pytest.raises(ValueError, match="not finite"):
            call(np.array([[np.nan, 2.0, 1.0]]))


def test_who_agrees_on_everything_is_called_as_it_is() -> None:
    """Nothing is put before a runtime that needs no care."""
    framework = Sum()
    same = Sum().rows
    assert within(same, framework.rows, probed(source_of(framework)), 0.0) == ("", same)


@given(st.lists(NUMBERS, min_size=3, max_size=3))
def test_a_careful_runtime_says_what_the_framework_says_on_any_row(row: list[float]) -> None:
    """Within the tolerance that it was held to, whatever the numbers are."""
    framework = Sum()
    call = CAREFUL
    matrix = np.array([row])
    assert apart(np.asarray(call(matrix)), framework.rows(matrix)) <= 1e-6


CAREFUL = within(float32, Sum().rows, probed(source_of(Sum())), 1e-9)[1]
