"""The JSON part of a binary request that was read before is not read again, and means the same."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bedplate.interfaces.http import tensors
from bedplate.interfaces.http.replies import Problem


def body(values: dict[str, np.ndarray], **more: Any) -> tuple[bytes, bytes]:
    """A request of raw tensors, and the length of its JSON part."""
    inputs = [
        {"name": name, "shape": list(one.shape), "datatype": kind(one), "parameters": {"binary_data_size": one.nbytes}}
        for name, one in values.items()
    ]
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + b"".join(one.tobytes() for one in values.values()), b"%d" % len(head)


def kind(values: np.ndarray) -> str:
    return next(name for name, dtype in tensors.NUMPY.items() if np.dtype(dtype) == values.dtype)


def read(reader: tensors.Reader, asked: tuple[bytes, bytes]) -> dict[str, np.ndarray]:
    return {one.name: one.values for one in reader.read(*asked)[1]}


def test_other_values_under_the_same_head_are_read_as_they_are() -> None:
    """Twice and more, of several inputs and types."""
    reader = tensors.Reader()
    for at in range(4):
        given = {"a": np.full((2, 3), at, dtype=np.float32), "b": np.arange(at, at + 5, dtype=np.int64), "c": np.array([at % 2 == 0])}
        found = read(reader, body(given))
        for name, values in given.items():
            assert found[name].dtype == values.dtype
            assert np.array_equal(found[name], values)


def test_a_known_head_with_other_bytes_after_it_is_refused_as_before() -> None:
    reader = tensors.Reader()
    whole, length = body({"a": np.zeros((1, 3))})
    reader.read(whole, length)
    for wrong in (whole[:-1], whole + b"\0", whole[: int(length)]):
        with pytest.raises(Problem) as refused:
            reader.read(wrong, length)
        with pytest.raises(Problem) as before:
            tensors.parse(wrong, length)
        assert (refused.value.status, refused.value.what) == (before.value.status, before.value.what)


def test_what_names_its_request_or_holds_values_is_read_each_time() -> None:
    """An id is each request's own; a head that is wrong is wrong every time."""
    reader = tensors.Reader()
    assert [reader.read(*body({"a": np.zeros(1)}, id=name))[0].id for name in ("one", "two", "one")] == ["one", "two", "one"]
    text = json.dumps({"inputs": [{"name": "a", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]}).encode()
    for _ in range(2):
        assert read(reader, (text, b"%d" % len(text)))["a"].tolist() == [1.0, 2.0]
    wrong = json.dumps({"inputs": [{"name": "a", "shape": [-1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}]}).encode()
    for _ in range(2):
        with pytest.raises(Problem):
            reader.read(wrong + bytes(8), b"%d" % len(wrong))


def test_heads_that_are_all_different_do_not_pile_up() -> None:
    reader = tensors.Reader()
    for at in range(300):
        assert read(reader, body({f"a{at}": np.ones(1)}))[f"a{at}"].tolist() == [1.0]
    assert len(reader._kept) <= 64
