"""A request of many rows is recorded as one block, and read as its rows."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
import pytest

from bedplate.core.calling import request_type
from bedplate.stages.deploy.frames import Shape, frame
from bedplate.stages.deploy.recorder import MOST, Block, Cells, Kept, Prediction, Recorder
from bedplate.testing.serving import START, ManualClock

ROWS = np.arange(6.0).reshape(3, 2)


def block(rows: np.ndarray = ROWS, result: object = (0.5, float("nan"), 2.0)) -> Block:
    names = [f"p-{at}" for at in range(len(rows))]
    made = np.resize(np.asarray(result), len(rows)) if result is not None else None
    return Block(lambda: names, "q-1", START, 0.25, 200, "", '{"late":3}', rows, made)


def one_by_one(of: Block) -> list[Prediction]:
    results = [None] * of.rows if of.result is None else [None if np.isnan(one) else one for one in of.result.tolist()]
    same = (of.request_id, of.at, of.latency_ms, of.status, of.error, of.models)
    return [Prediction(name, *same, Cells(of.request, at), None, results[at]) for at, name in enumerate(of.names())]


@pytest.mark.parametrize("types", [{"a": "float", "b": "float"}, {"a": "float", "b": "bool"}])
@pytest.mark.parametrize("result", [(0.5, float("nan"), 2.0), None])
def test_a_block_is_its_rows(types: dict, result: object) -> None:
    """The same frame as from a prediction for each row, types and nulls included."""
    shape, whole = Shape(request=types, result="float"), block(result=result)
    assert frame([whole], shape).equals(frame(one_by_one(whole), shape))
    assert frame([whole], shape).schema == frame(one_by_one(whole), shape).schema


def test_blocks_and_lone_rows_stay_in_order() -> None:
    """Whatever mix one turn of the writer takes."""
    shape, whole = Shape(request={"a": "float", "b": "float"}, result="float"), block()
    lone = one_by_one(whole)
    mixed = frame([lone[0], whole, whole, *lone[1:]], shape)
    expected = [lone[0], *lone, *lone, *lone[1:]]
    assert mixed.equals(frame(expected, shape))
    assert mixed["at"].to_list() == [START] * 9
    assert mixed.schema["at"] == pl.Datetime("us", "UTC")


def test_room_is_counted_in_rows_and_one_turn_takes_whole_requests() -> None:
    """A request is never cut in two, and what a turn leaves is the next one's."""
    written: list[Sequence[Kept]] = []
    recorder = Recorder(lambda _name: written.append, limit=4 * MOST, clock=ManualClock())
    half = np.zeros((MOST // 2 + 1, 2))
    for _ in range(3):
        assert recorder.reserve(len(half))
        recorder.offer_block("a", block(half, 1.0))
    assert recorder.waiting == 3 * len(half)
    assert not recorder.reserve(4 * MOST)
    assert recorder.flush() == 0.0
    assert recorder.flush() == 0.0
    assert [len(batch) for batch in written] == [1, 1, 1]
    assert (recorder.waiting, recorder.written) == (0, 3 * len(half))
    assert recorder.reserve(4 * MOST)


def test_records_of_numbers_are_read_all_at_once_and_others_value_by_value() -> None:
    """With the same frame, nulls and whole numbers included."""
    asked = request_type("ask", [("a", float, msgspec.UNSET), ("b", float | None, None)])
    shape = Shape(request={"a": "float", "b": "float"}, result="float")

    def of(*requests: object) -> pl.DataFrame:
        return frame([Prediction("p", "q", START, 1.0, 200, "", "{}", one, None, 0.5) for one in requests], shape)

    numbers = of(asked(a=1.5, b=2.0), asked(a=3, b=-0.25))
    assert numbers["request"].to_list() == [{"a": 1.5, "b": 2.0}, {"a": 3.0, "b": -0.25}]
    missing = of(asked(a=1.5), asked(a=3.0, b=4.0))
    assert missing["request"].to_list() == [{"a": 1.5, "b": None}, {"a": 3.0, "b": 4.0}]
    assert numbers.schema == missing.schema


def test_a_request_of_scalars_is_nothing_that_a_collector_looks_at() -> None:
    """Thousands wait to be logged; one with a list may be in a circle, and is looked at."""
    assert not gc.is_tracked(request_type("ask", [("a", float, msgspec.UNSET), ("b", str | None, None)])(a=1.0))
    assert gc.is_tracked(request_type("ask", [("a", list[int], msgspec.UNSET)])(a=[1]))
