"""NumPy's numbers in a result are the numbers that they are, or the step says where one has no equal; nothing is rounded silently."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pytest

from bedplate.core.errors import UserError
from bedplate.pipeline.plain import plain

HEAD = "from typing import NamedTuple\nimport numpy as np\n"


class Pair(NamedTuple):
    a: Any
    b: Any


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.10000000149011612),
        (np.int64(2**62 + 1), 2**62 + 1),
        (np.bool_(True), True),
        (np.array(3), 3),
        (np.longdouble(0.5), 0.5),
        (np.datetime64("2026-01-02T03:04:05.000006000", "ns"), datetime(2026, 1, 2, 3, 4, 5, 6)),
        ({np.int64(1): [np.float64(2.0)]}, {1: [2.0]}),
        (Pair(np.int8(1), {"x": (np.uint8(255),)}), Pair(1, {"x": (255,)})),
        ({np.int64(3)}, {3}),
    ],
)
def test_a_number_is_converted_exactly_wherever_it_lies(given: Any, expected: Any) -> None:
    found = plain(given, "x")
    assert found == expected
    assert "numpy" not in "".join(type(item).__module__ for item in [found, *(found if isinstance(found, dict | set | tuple) else ())])
    assert type(found) is type(expected)


@pytest.mark.parametrize("given", [np.longdouble(1) / 3, np.datetime64("2026-01-02T03:04:05.123456789", "ns")])
def test_what_has_no_equal_is_refused_by_its_place(given: Any) -> None:
    if given.dtype.kind == "f" and float(given) == given:
        pytest.skip("a long double is a float here")
    with pytest.raises(UserError, match=r"figures\['a'\]\[1\] is .*which Python has no equal number for"):
        plain({"a": [1, given]}, "figures")


def test_a_step_may_return_numpys_numbers_in_what_it_declares(house: Any) -> None:
    text = HEAD + (
        "class Both(NamedTuple):\n    low: float\n    high: list[float]\n\n"
        "@p.step\ndef figures() -> dict[str, float]:\n    return {'auc': np.float64(0.75), 'n': np.int64(3)}\n\n"
        "@p.step\ndef ends() -> Both:\n    return Both(np.float32(0.5), list(np.array([1.0, 2.0])))\n"
    )
    assert house.run(text).failures == {}
    assert house.open()["figures"].load() == {"auc": 0.75, "n": 3}
    assert (house.open()["low"].load(), house.open()["high"].load()) == (0.5, [1.0, 2.0])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return {'auc': 'high'}", "Expected `float`, got `str` - at `$[...]`"),
        ("return {'auc': np.zeros(3)}", "Expected `float`, got `numpy.ndarray` - at `$[...]`"),
    ],
)
def test_what_does_not_fit_inside_is_named_with_the_type_as_it_is_written(house: Any, body: str, said: str) -> None:
    """Not `returned a dict, which is declared dict`."""
    failure = house.run(f"{HEAD}@p.step\ndef figures() -> dict[str, float]:\n    {body}\n").failures["figures"]
    assert "'figures', which is declared dict[str, float]" in failure
    assert f"in it: {said}" in failure


@pytest.mark.parametrize(("hint", "value"), [("dict", '{"k": b"x"}'), ("list", '[("a", b"x")]'), ("dict | None", '{"k": [b"x"]}')])
def test_bytes_that_the_annotation_does_not_name_are_refused_and_not_made_text(house: Any, hint: str, value: str) -> None:
    summary = house.run(f"@p.step\ndef a() -> {hint}:\n    return {value}\n")
    assert "a returned bytes inside 'a', which would come back as text" in summary.failures["a"]


def test_what_the_annotations_name_comes_back_to_who_asks_for_them(house: Any) -> None:
    text = """
    @p.step
    def a() -> dict[str, bytes]:
        return {"k": b"x"}

    @p.step
    def b() -> tuple[int, bytes]:
        return 1, b"y"

    @p.step
    def c(a: dict[str, bytes], b: tuple[int, bytes]) -> str:
        return repr((a, b))

    @p.step
    def d(b: list) -> str:
        return repr(b)
    """
    assert house.run(text).ok
    assert house.open()["d"].load() == "[1, 'eQ==']", "a consumer that asks for a list gets what JSON has"
    assert house.open()["c"].load() == "({'k': b'x'}, (1, b'y'))"
