"""How bodies and queries become what an endpoint asks: the protocol's JSON habits, and limits before anything is parsed."""

from __future__ import annotations

import contextlib
import math
import time

import msgspec
import pytest

from bedplate.interfaces.http.door.asked import DEEPEST, MOST_VALUES, Reader, check_depth, queried
from bedplate.interfaces.http.door.endpoint import Asks, Fault


class Inner(Asks):
    key: str
    value: float


class Outer(Asks):
    run_id: str
    step: int = 0
    ids: list[str] = msgspec.field(default_factory=list)
    metrics: list[Inner] = msgspec.field(default_factory=list)
    flag: bool = False


READER = Reader(Outer)


def test_whole_numbers_and_special_values_come_as_text_too() -> None:
    """int64 as text, NaN and Infinity as text: as proto3 JSON has them."""
    body = b'{"run_id": "r", "step": "9007199254740993", "metrics": [{"key": "a", "value": "NaN"}, {"key": "b", "value": "-Infinity"}]}'
    asked = READER.body(body, {})
    assert asked.step == 9007199254740993
    assert math.isnan(asked.metrics[0].value)
    assert asked.metrics[1].value == -math.inf


def test_what_is_unknown_is_passed_over_and_null_is_nothing() -> None:
    asked = READER.body(b'{"run_id": "r", "colour": {"a": [1]}, "step": null, "metrics": [{"key": "a", "value": 1, "x": null}]}', {})
    assert (asked.step, asked.metrics[0].value) == (0, 1.0)


def test_a_query_repeats_its_keys_and_the_path_goes_before_it() -> None:
    asked = READER.query(b"run_id=query&ids=1&ids=2&ids%5B%5D=3&step=7&flag=true", {"run_id": "path"})
    assert (asked.run_id, asked.ids, asked.step, asked.flag) == ("path", ["1", "2", "3"], 7, True)


def test_an_empty_body_is_what_the_path_says() -> None:
    assert READER.body(b" ", {"run_id": "path"}).run_id == "path"


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"run_id": 5}', "'run_id'"),
        (b'{"run_id": "r", "metrics": [{"key": "a", "value": "seven"}]}', "'metrics[0].value'"),
        (b'{"step": 1}', "run_id"),
        (b'["run_id"]', "object"),
        (b"{", "not JSON"),
        (b'{"run_id": "\xff"}', "not JSON"),
        (b'{"run_id": "r", "metrics": [{"key": "a", "value": NaN}]}', "not JSON"),
    ],
)
def test_a_refusal_names_the_field(body: bytes, names: str) -> None:
    with pytest.raises(Fault, match=r".") as refused:
        READER.body(body, {})
    assert refused.value.status == 400
    assert names in refused.value.message


def test_depth_is_refused_before_anything_is_parsed() -> None:
    """However deep it is, closed or not, and however it is dressed up; brackets within text are no depth."""
    bodies = (
        b"[" * 200_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'["[", ' * 100,
        b'["]", ' * 100,
        b'["\\"]", ' * 100,
        b"[[]" * 70,
    )
    for body in bodies:
        with pytest.raises(Fault, match="deeper"):
            check_depth(body)
    for body in (b"[" * 16_000_000, b"[]" * 8_000_000, b'"' + b"[" * 16_000_000, b'""' * 7_000_000 + b"[" * 100):
        started = time.process_time()
        with contextlib.suppress(Fault):
            check_depth(body)
        assert time.process_time() - started < 1, "the size of a body is limited, and so is what it costs to look at"
    check_depth(b'{"run_id": "' + b"[{" * 10_000 + b'"}')
    check_depth(b"[" * DEEPEST + b"]" * DEEPEST)
    check_depth(b"[" + b'{"a":{}},' * 10_000 + b"1]")


def test_a_query_has_a_limit_and_is_text() -> None:
    with pytest.raises(Fault, match="more than 1000"):
        queried(b"a=1&" * 1001)
    with pytest.raises(Fault, match="UTF-8"):
        queried(b"a=%ff")


@pytest.mark.parametrize("value", [b"1", b'"1"', b'"a\\"b"'])
def test_a_flat_list_of_millions_is_refused_before_it_is_read(value: bytes) -> None:
    """Numbers and texts beside each other weigh as much as nested ones; commas within text are no values."""
    many = b'{"ids": [' + value + (b"," + value) * (MOST_VALUES + 1) + b"]}"
    with pytest.raises(Fault, match="holds more than") as refused:
        check_depth(many)
    assert refused.value.status == 413
    check_depth(b'{"ids": [' + value + (b"," + value) * 1000 + b'], "run_id": "' + b"," * (2 * MOST_VALUES) + b'"}')
