"""What a service is: its request, its result, and the columns that its log gets."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import pytest

from bedplate.core.errors import ProjectError, StepError
from bedplate.core.parameters import tune
from bedplate.stages.deploy.service import Asked, column_type, plain, reader, request_columns, service


def function(**fields: Any) -> Any:
    return fields


def request(*asked: Asked) -> type[msgspec.Struct]:
    return service("will_be_late", function, [], asked, float).request


CASES = request(
    Asked(name="carrier", annotation=str),
    Asked(name="distance", annotation=float),
    Asked(name="stops", annotation=int, default=0),
    Asked(name="via", annotation=list[str], default=["EWR"]),
    Asked(name="note", annotation=str | None, default=None),
    Asked(name="depth", annotation=int, default=tune(1, 9, default=3)),
)


def test_a_request_takes_its_fields_with_their_defaults_and_a_whole_number_for_a_float() -> None:
    read = msgspec.json.decode(b'{"carrier":"UA","distance":100}', type=CASES)
    assert msgspec.structs.asdict(read) == {"carrier": "UA", "distance": 100.0, "stops": 0, "via": ["EWR"], "note": None, "depth": 3}
    assert isinstance(read.distance, float)


def test_a_mutable_default_is_not_shared_between_requests() -> None:
    one, other = CASES(carrier="a", distance=1.0), CASES(carrier="b", distance=1.0)
    one.via.append("JFK")
    assert other.via == ["EWR"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"carrier":"UA"}',
        b'{"carrier":"UA","distance":"100"}',
        b'{"carrier":"UA","distance":true}',
        b'{"carrier":1,"distance":1}',
        b'{"carrier":"UA","distance":1,"stops":1.5}',
        b'{"carrier":"UA","distance":1,"stops":9223372036854775808}',
        b'{"carrier":"UA","distance":1,"other":1}',
        b'{"carrier":null,"distance":1}',
        b'{"carrier":"UA","distance":NaN}',
        b'{"carrier":"UA","distance":1e999}',
    ],
)
def test_missing_extra_wrong_typed_and_unbounded_fields_are_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body, type=CASES)


def test_an_async_function_is_no_service() -> None:
    async def later() -> float:
        return 1.0

    with pytest.raises(ProjectError, match="async"):
        service("later", later, [], [], float)


class Verdict(NamedTuple):
    late: bool
    minutes: float


@pytest.mark.parametrize(
    ("returns", "value", "read"),
    [
        (float, np.float64(0.5), 0.5),
        (float, np.float32(0.5), 0.5),
        (float, 3, 3.0),
        (float | None, float("nan"), None),
        (float | None, np.float32(np.inf), None),
        (int, np.int64(3), 3),
        (bool, np.bool_(True), True),
        (float | None, None, None),
        (list[float], np.array([0.5, np.nan]), [0.5, None]),
        (dict[str, float], {"a": np.float64(1)}, {"a": 1.0}),
        (Verdict, Verdict(np.bool_(True), np.float64(12)), {"late": True, "minutes": 12.0}),
    ],
)
def test_results_become_plain_values_of_the_declared_type(returns: Any, value: Any, read: Any) -> None:
    made = reader(returns)(value)
    assert made == read
    assert type(made) is type(read)


@pytest.mark.parametrize(
    ("returns", "value"),
    [
        (float, None),
        (float, float("nan")),
        (float, np.float32("inf")),
        (float, "0.5"),
        (int, 1.5),
        (str, 1),
        (bool, 1),
        (dict[str, Any], {"a": object()}),
    ],
)
def test_a_result_that_is_not_what_was_declared_is_an_error_of_the_step(returns: Any, value: Any) -> None:
    with pytest.raises(StepError):
        reader(returns)(value)


def test_plain_leaves_text_and_times_alone() -> None:
    assert plain({"at": datetime(2026, 1, 1), "names": ("a", "b")}) == {"at": datetime(2026, 1, 1), "names": ["a", "b"]}


def test_columns_are_typed_by_the_annotations() -> None:
    assert request_columns(CASES) == {
        "carrier": "text", "distance": "float", "stops": "int", "via": "json", "note": "text", "depth": "int",
    }  # fmt: skip
    kinds = [column_type(one) for one in (bool, date, datetime | None, Literal["a", "b"], Literal[1, "a"], dict[str, int])]
    assert kinds == ["bool", "date", "time", "text", "json", "json"]
