"""What the description says of a field is what a request is held to: texts say their form, `3.0` is a whole number."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bedplate.interfaces.http.calls import Form
from bedplate.interfaces.http.openapi import describe
from bedplate.interfaces.http.pool import Pool
from bedplate.interfaces.http.replies import Problem
from bedplate.stages.deploy.deployment import Deployment
from bedplate.stages.deploy.service import Asked, service

KINDS: dict[str, Any] = {
    "at": time, "when": datetime, "day": date, "upto": timedelta, "price": Decimal, "raw": bytes,
    "maybe": datetime | None, "many": list[datetime],
}  # fmt: skip


def asked(kinds: dict[str, Any]) -> Any:
    return service("ask", lambda **_: 0.5, [], [Asked(name=name, annotation=kind) for name, kind in kinds.items()], float)


def test_a_text_with_a_form_says_which_one_wherever_it_is() -> None:
    told = describe(Deployment(number=1, services={}, models={}), {"ask": asked(KINDS)}, "p", "1")["components"]["schemas"]["Ask"][
        "properties"
    ]
    assert {name: told[name].get("format") for name in ("at", "when", "day")} == {"at": "time", "when": "date-time", "day": "date"}
    assert all("pattern" in told[name] and "format" not in told[name] for name in ("upto", "price", "raw"))
    assert told["many"]["items"]["format"] == "date-time"
    assert {"type": "string", "format": "date-time"} in told["maybe"]["anyOf"]


def test_a_whole_number_may_be_written_as_a_fraction_and_nothing_else_may() -> None:
    form = Form(asked({"count": int, "share": float, "extra": Any}), Pool())
    ((row,), _) = form.decode(b'{"count": 3.0, "share": 2.0, "extra": "3.0"}')
    assert (row.count, row.share, row.extra) == (3, 2.0, "3.0")
    assert type(row.count) is int
    assert [
        row.count for row in form.decode(b'[{"count": 1e3, "share": 1, "extra": [4.0]}, {"count": -0.0, "share": 1, "extra": 1}]')[0]
    ] == [1000, 0]
    for count in (b"1.5", b"1e300", b'"1"', b"9223372036854775808.0", b"true"):
        with pytest.raises(Problem, match="'count'") as raised:
            form.decode(b'{"share": 1, "extra": 1, "count": %b}' % count)
        assert raised.value.status == 422
