"""Where the time of one request went: who is traced, what the reply and the record say, and that the parts add up to the whole."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serve_site import SERVICES, Place, serving_at

from bedplate.core.errors import NotFound
from bedplate.core.features import FeatureSpec
from bedplate.interfaces.cli.show_prediction import show_prediction
from bedplate.interfaces.http.console.served.timed import time_of
from bedplate.stages.deploy.service import Asked, Wanted, service
from bedplate.stages.deploy.trace import PARTS
from bedplate.testing import serving

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SLOW = Wanted(parameter="rows", artifact="rows", view="features")


class SlowRows(serving.Rows):
    """Features that take a while to look up."""

    def __getitem__(self, entity: Any) -> Any:
        time.sleep(0.03)
        return super().__getitem__(entity)


def looks(rows: Any, key: str, work: float = 0.0) -> float:
    """Looks a row up, then works."""
    found = rows[key]["mean"]
    time.sleep(work)
    if work < 0.02 and key == "bad":
        raise ValueError(key)
    return float(found or 0.0)


LOOKS = service("looks", looks, [SLOW], [Asked(name="key", annotation=str), Asked(name="work", annotation=float, default=0.0)], float)
QUICK = service("quick", lambda number: number, [], [Asked(name="number", annotation=float)], float, p95_s=0.001)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("traced"))
    place.fill()
    place.record.add("rows", SlowRows({"a": {"mean": 1.0}}, FeatureSpec(("key",), "at")), kind="table")
    with serving_at(place, services=(LOOKS, QUICK, *SERVICES), trace_over_s=0.2):
        yield place


def ask(place: Place, path: str, body: Any, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return place.ask(path, body, headers={"Content-Type": "application/json", **named})


def head_of(place: Place, path: str, length: int, *more: str) -> str:
    """The head of a request that asks for a trace."""
    lines = (f"host: {place.address}", "x-trace: 1", "content-type: application/json", f"content-length: {length}", *more)
    return "\r\n".join((f"POST {path} HTTP/1.1", *lines, "", ""))


def recorded(place: Place, log: str, prediction: str) -> dict[str, Any] | None:
    """The trace in the record of a prediction, once that is written; None where it has none."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        rows = (
            [row for row in place.log(log).to_dicts() if row["prediction_id"] == prediction]
            if place.store.log(f"predictions/{log}").files()
            else []
        )
        if rows:
            text = rows[0].get("trace")
            return None if text is None else json.loads(text)
        time.sleep(0.1)
    raise AssertionError(f"{prediction} was not written")


def whole(trace: dict[str, Any]) -> float:
    return float(sum(trace[f"{name}_ms"] for name in PARTS))


def test_who_asks_for_a_trace_gets_its_parts_and_they_add_up(place: Place) -> None:
    """Features and function are told apart; the reply names the trace that it was asked for, and a span of its own in it."""
    began = time.perf_counter()
    answer = ask(place, "/looks", {"key": "a", "work": 0.05}, traceparent=PARENT)
    took_ms = (time.perf_counter() - began) * 1e3
    version, trace_id, span, flags = answer.headers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01")
    timing = dict(one.strip().split(";dur=") for one in answer.headers["server-timing"].split(","))
    assert float(timing["features"]) > 29
    assert float(timing["model"]) > 49
    assert sum(float(timing[name]) for name in PARTS if name != "write") == pytest.approx(float(timing["total"]), abs=0.01)
    trace = recorded(place, "looks", answer.json["prediction_id"])
    assert trace is not None
    assert (trace["why"], trace["trace"], trace["parent"], trace["span"]) == ("asked", trace_id, "00f067aa0ba902b7", span)
    assert float(timing["total"]) <= whole(trace) + 0.01 <= took_ms + 0.02
    assert all(trace[f"{name}_ms"] >= 0 for name in PARTS)


def test_a_person_sees_where_the_time_went(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """`bedplate show PREDICTION` draws the parts with their numbers; --json has the same, and who names no prediction is told."""
    id = ask(place, "/looks", {"key": "a"}, X_Trace="1").json["prediction_id"]
    assert recorded(place, "looks", id)
    show_prediction(place.store, id, False)
    said = capsys.readouterr().out
    assert f"{id} of looks: answered (200)" in said
    assert [line.split()[0] for line in said.splitlines() if line.strip().startswith(PARTS)] == list(PARTS)
    assert "█" in said
    assert "  latency  " in said
    assert " ms, from the last byte of its request to its answer\n" in said
    assert " ms went,\n           from its first byte until the client had its answer\n" in said
    show_prediction(place.store, id, True)
    told = json.loads(capsys.readouterr().out)
    assert (told["service"], told["prediction"]["trace"]["why"]) == ("looks", "asked")
    table, (chart,) = time_of(told["prediction"]["trace"])
    assert [row[0] for row in table.rows] == [*PARTS, "all"]
    assert chart.title.endswith(" ms, from its first byte until the client had its answer")
    assert [one.x[0] for one in chart.series[1:]] == pytest.approx([one.y[0] for one in chart.series[:-1]])
    with pytest.raises(NotFound):
        show_prediction(place.store, "p-nobody", False)


def test_who_does_not_ask_is_not_told(place: Place) -> None:
    """Nor who sends what is no parent, or one that is not sampled."""
    for headers in ({}, {"traceparent": PARENT[:-1] + "0"}, {"traceparent": "00-" + "0" * 32 + PARENT[35:]}, {"traceparent": "nonsense"}):
        answer = ask(place, "/moody", {"mood": "calm"}, **headers)
        assert answer.status == 200
        assert {"traceparent", "server-timing"}.isdisjoint(name.lower() for name in answer.headers)


def test_a_person_asks_by_a_header_and_a_model_is_traced_too(place: Place) -> None:
    inputs = [{"name": name, "datatype": "FP64", "shape": [2], "data": [1.0, 2.0]} for name in "abc"]
    answer = ask(place, "/v2/models/wide/infer", {"inputs": inputs}, X_Trace="1", X_Request_Id="traced-1")
    assert answer.status == 200
    assert "model;dur=" in answer.headers["server-timing"]
    assert ask(place, "/moody", {"mood": "calm"}, X_Trace="1").headers["traceparent"].endswith("-01")
    assert ask(place, "/moody", {"mood": "nobody"}, X_Trace="1").headers["traceparent"].endswith("-01")


def test_what_was_slow_or_failed_is_traced_without_being_asked(place: Place) -> None:
    """By the service's own p95 where it has one."""
    slow = ask(place, "/looks", {"key": "a", "work": 0.25}).json["prediction_id"]
    quick = ask(place, "/looks", {"key": "a"}).json["prediction_id"]
    trace = recorded(place, "looks", slow)
    assert trace is not None
    assert (trace["why"], trace["features_ms"] > 29, whole(trace) > 279) == ("slow", True, True)
    assert recorded(place, "looks", quick) is None
    assert ask(place, "/looks", {"key": "bad"}, X_Request_Id="bad-1").status == 500
    end = time.monotonic() + 10
    while not (rows := [row for row in place.log("looks").to_dicts() if row["request_id"] == "bad-1"]):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert json.loads(rows[0]["trace"])["why"] == "failed"


def test_a_body_that_comes_slowly_is_the_network_s_time(place: Place) -> None:
    """Read from the first byte on."""
    host, port = place.address.split(":")
    body = json.dumps({"mood": "calm"}).encode()
    head = head_of(place, "/moody", len(body))
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body[:3])
        time.sleep(0.1)
        connection.sendall(body[3:])
        response = http.client.HTTPResponse(connection)
        response.begin()
        timing = dict(one.strip().split(";dur=") for one in response.headers["server-timing"].split(","))
    assert float(timing["read"]) > 99
    assert float(timing["total"]) > 99


def test_who_goes_away_is_recorded_all_the_same(place: Place) -> None:
    """A traced prediction waits for its answer to be sent, and not for one that nobody takes."""
    host, port = place.address.split(":")
    body = json.dumps({"key": "a", "work": 0.1}).encode()
    head = head_of(place, "/looks", len(body), "x-request-id: gone-1")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
    end = time.monotonic() + 10
    while not any(row["request_id"] == "gone-1" for row in place.log("looks").to_dicts()):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_one_of_many_is_drawn(tmp_path: Path) -> None:
    """As `trace_share` says, whatever is asked."""
    place = Place(tmp_path)
    place.fill()
    with serving_at(place, services=SERVICES, trace_share=0.1):
        said = [ask(place, "/moody", {"mood": "calm"}) for _ in range(40)]
    assert sum("server-timing" in one.headers for one in said) == 4
    place.stop()
    traces = [json.loads(row["trace"]) for row in place.log("moody").to_dicts() if row["trace"]]
    assert {one["why"] for one in traces} == {"drawn"}
    assert len(traces) == 4
