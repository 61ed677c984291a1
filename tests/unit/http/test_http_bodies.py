"""Whatever bytes come as a body, the answer is a value or one of our own problems, never another error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedplate.interfaces.http import body, tensors
from bedplate.interfaces.http.calls import Form
from bedplate.interfaces.http.pages import policy
from bedplate.interfaces.http.pool import Pool
from bedplate.interfaces.http.replies import Problem
from bedplate.stages.deploy.service import Asked, service

POOL = Pool(1)
FIELDS = [
    Asked(name="carrier", annotation=str),
    Asked(name="distance", annotation=float),
    Asked(name="extra", annotation=Any, default=None),
]
FORM = Form(service("late", lambda **_: 0.5, [], FIELDS, float), POOL)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["carrier", "distance", "extra", "x"]), inner, max_size=4),
    max_leaves=12,
)


def encoded(value: Any) -> bytes:
    """JSON as a careless client writes it: with NaN and lone surrogates."""
    return json.dumps(value).encode()


def tried(call: Callable[[], list[Any]]) -> tuple[int, list[Any]]:
    """200 and what the call returned, or the status of the problem that it raised. Any other error comes out."""
    try:
        return 200, call()
    except Problem as problem:
        return problem.status, []


@given(st.binary(max_size=200) | JSON.map(encoded))
@example(b"[" * 50_000)
@example(b'{"carrier":"a","distance":1,"extra":' + b"[" * 50_000 + b"]" * 50_000 + b"}")
@example(b'{"carrier":"a","distance":' + b"9" * 10_000 + b"}")
@example(b'{"carrier":"\\ud800","distance":1}')
def test_a_services_body_is_rows_or_a_problem(raw: bytes) -> None:
    status, found = tried(lambda: FORM.decode(raw)[0])
    assert status in (200, 400, 422)
    assert all(isinstance(row.carrier, str) and isinstance(row.distance, float) for row in found)


def test_a_caller_reads_the_types_as_the_author_wrote_them() -> None:
    """Not the bounds of 64 bits that a field of the request gets."""
    fields = [Asked(name="customer", annotation=int), Asked(name="age", annotation=int | None, default=None)]
    with pytest.raises(Problem) as caught:
        Form(service("late", lambda **_: 0.5, [], fields, float), POOL).decode(b'{"customer": "x"}')
    assert caught.value.why == "late takes customer: int, age: int | None"


SHAPES = st.lists(st.integers(-1, 4), max_size=3)
TENSOR = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b"]),
        "shape": SHAPES,
        "datatype": st.sampled_from(["FP64", "FP32", "INT64", "INT8", "UINT64", "BOOL", "BYTES", "FP16", "X"]),
    },
    optional={
        "data": st.lists(st.integers(-300, 300) | st.floats() | st.booleans() | st.text(max_size=3) | st.none(), max_size=6) | JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 40) | st.booleans() | st.text(max_size=1)}),
    },
)


@given(st.lists(TENSOR, max_size=3), st.binary(max_size=40), st.integers(-20, 20), st.booleans())
def test_an_inference_body_is_tensors_of_their_shape_or_a_problem(inputs: list[Any], tail: bytes, slip: int, binary: bool) -> None:
    head = encoded({"inputs": inputs})
    status, found = tried(lambda: tensors.parse(head + tail, str(len(head) + slip).encode() if binary else b"")[1])
    assert status in (200, 400)
    assert all(one.datatype == "BYTES" or np.shape(one.values) == one.shape for one in found)


@given(
    st.lists(st.floats(width=64), min_size=1, max_size=8),
    st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4),
)
def test_what_is_encoded_is_parsed_again_in_the_binary_form(numbers: list[float], texts: list[str]) -> None:
    outputs = [tensors.Output("n", "FP64", np.array(numbers)), tensors.Output("t", "BYTES", np.array(texts, dtype=object))]
    raw, length = tensors.encode("late", "7", "", outputs, [True, True])
    assert length is not None
    sent = raw[:length].replace(b'"outputs"', b'"inputs"')
    _, (first, second) = tensors.parse(sent + raw[length:], str(len(sent)).encode())
    np.testing.assert_array_equal(first.values, np.array(numbers))
    assert second.values == texts


def receiver(*pieces: bytes, gone: bool = False) -> Any:
    """What uvicorn would hand over: the pieces, then the end or a client that left."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False})
    waiting = iter(messages)

    async def receive() -> Any:
        return next(waiting)

    return receive


@pytest.mark.parametrize("declared", [None, b"9", b"what"])
def test_a_body_is_read_up_to_the_limit_whatever_its_header_says(declared: bytes | None) -> None:
    scope = {"headers": [(b"content-length", declared)] if declared else []}
    assert asyncio.run(body.read(scope, receiver(b"1234", b"56789"), 9)) == b"123456789"
    with pytest.raises(Problem, match="larger than"):
        asyncio.run(body.read(scope, receiver(b"12345", b"67890"), 9))


def test_a_client_that_leaves_is_not_an_error() -> None:
    with pytest.raises(body.Gone):
        asyncio.run(body.read({"headers": []}, receiver(b"12", gone=True), 9))


def test_a_body_that_announces_too_much_is_refused_before_it_is_sent() -> None:
    scope = {"headers": [(b"content-length", b"10"), (b"expect", b"100-continue")]}
    with pytest.raises(Problem, match="larger than"):
        asyncio.run(body.read(scope, receiver(), 9))


def test_an_absurd_length_is_answered_at_once() -> None:
    """Nothing more is waited for: the receiver has nothing to give."""
    scope = {"headers": [(b"content-length", b"1" + b"0" * 18)]}
    with pytest.raises(Problem, match="larger than") as refused:
        asyncio.run(body.read(scope, receiver(), 9))
    assert (b"connection", b"close") in refused.value.headers


def test_a_page_may_run_only_the_scripts_that_are_in_it() -> None:
    assert policy("<p>").startswith("default-src 'none'; script-src 'none'; style-src 'none'; ")
    assert "script-src 'sha256-" in policy("<script>1</script>")
