"""Traces over HTTP: `@mlflow.trace` of both lines of the client, and spans of plain OpenTelemetry."""

from __future__ import annotations

import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from mlflow_clients import Client, client
from trackers import Tracker, tracker

__all__ = ["client", "tracker"]

pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed")


def ask(up: Tracker, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of an answer."""
    sent = {"Authorization": f"Bearer {up.token}", "Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(up.url + path, data=body or None, method=method, headers=sent)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_what_a_client_traces_it_reads_searches_tags_judges_and_deletes(client: Client, tracker: Callable[..., Tracker]) -> None:
    """Proves that the decorator of either line works unchanged, and that what it sent comes back by every way in which it asks."""
    up = tracker()
    told = client.says("tracing", up.url, up.token)
    assert told["state"] == "ERROR"
    assert told["spans"] == [["answer", {"x": 9, "y": 9}, None], ["inner", {"x": 9}, [1, 2]]]
    assert (told["found"], told["failed"], told["ordered"], told["named"]) == (3, 1, 2, 3)
    assert (told["tagged"], told["untagged"]) == (1, 0)
    if told["line"] == "3":
        assert sorted(told["assessed"]) == [["good", True], ["right", {"a": 1}]]
        assert (told["updated"], told["by feedback"], told["left"]) == (False, 1, ["good"])
        assert (told["by span"], told["of run"]) == (3, 1)
    assert (told["deleted"], told["after"]) == (1, 3 if told["line"] == "3" else 2)


def spans(trace: str, count: int, name: str = "work") -> dict[str, Any]:
    """An export in OTLP's JSON: a root and its children."""
    listed = [
        {
            "traceId": trace, "spanId": f"{number + 1:016x}", "name": name if number == 0 else f"{name} {number}",
            **({"parentSpanId": f"{1:016x}"} if number else {}), "startTimeUnixNano": str(10**18 + number),
            "endTimeUnixNano": str(10**18 + 5_000_000), "attributes": [{"key": "n", "value": {"intValue": str(number)}}],
            "status": {"code": 1},
        }
        for number in range(count)
    ]  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": listed}]}]}


def test_the_sdk_of_opentelemetry_exports_to_it(tracker: Callable[..., Tracker]) -> None:
    """Proves that a plain exporter, protobuf and gzip, is answered as OTLP asks, and that its spans can be read as a trace."""
    exporting = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter", reason="the exporter is not installed")
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    up = tracker()
    exporter = exporting.OTLPSpanExporter(
        endpoint=f"{up.url}/v1/traces", headers={"authorization": f"Bearer {up.token}"}, compression=exporting.Compression.Gzip
    )
    provider = sdk.TracerProvider()
    with provider.get_tracer("shop").start_as_current_span("order") as span:
        span.set_attribute("items", 3)
        with provider.get_tracer("shop").start_as_current_span("pay"):
            pass
        ended = [span]
    assert exporter.export([one._readable_span() for one in ended]).name == "SUCCESS"
    exporter.shutdown()
    search = json.dumps({"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]}).encode()
    status, body = ask(up, "POST", "/api/3.0/mlflow/traces/search", search)
    found = json.loads(body)["traces"]
    assert (status, len(found), found[0]["tags"]["mlflow.traceName"], found[0]["state"]) == (200, 1, "order", "OK")


def test_spans_in_json_come_back_and_a_repeated_export_changes_nothing(tracker: Callable[..., Tracker]) -> None:
    """Proves that OTLP's JSON is read with its hexadecimal ids, and that a retry does not double a span."""
    up = tracker()
    body = json.dumps(spans("ab" * 16, 3)).encode()
    assert ask(up, "POST", "/v1/traces", body)[0] == 200
    assert ask(up, "POST", "/v1/traces", gzip.compress(body), {"Content-Encoding": "gzip"}) == (200, b"{}")
    status, answer = ask(up, "GET", f"/api/3.0/mlflow/traces/get?trace_id=tr-{'ab' * 16}")
    trace = json.loads(answer)["trace"]
    assert (status, [span["name"] for span in trace["spans"]]) == (200, ["work", "work 1", "work 2"])
    assert trace["trace_info"]["execution_duration"] == "0.005s"
    assert {"key": "service.name", "value": {"string_value": "shop"}} in trace["spans"][0]["attributes"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff\xff", {"Content-Type": "application/x-protobuf"}, 400),
        (b'{"resourceSpans": 7}', {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"<x/>", {"Content-Type": "text/xml"}, 415),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"\0" * (200 << 20), 1), {"Content-Encoding": "gzip"}, 413),
        (b'{"resourceSpans": []}', {"x-mlflow-experiment-id": "77"}, 404),
        (json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "ab", "spanId": "cd"}]}]}]}).encode(), {}, 400),
    ],
)
def test_what_is_no_export_is_refused(body: bytes, headers: dict[str, str], status: int, tracker: Callable[..., Tracker]) -> None:
    """Proves that what cannot be read is answered with a reason, and a bomb without its size."""
    up = tracker()
    assert ask(up, "POST", "/v1/traces", body, headers)[0] == status
    assert ask(up, "GET", "/health")[0] == 200


def test_a_trace_stays_in_its_experiment(tracker: Callable[..., Tracker]) -> None:
    """Proves that spans under the id of another experiment's trace change nothing there."""
    up = tracker()
    made = json.loads(ask(up, "POST", "/api/2.0/mlflow/experiments/create", b'{"name": "other"}')[1])["experiment_id"]
    assert ask(up, "POST", "/v1/traces", json.dumps(spans("cd" * 16, 1)).encode())[0] == 200
    status, body = ask(up, "POST", "/v1/traces", json.dumps(spans("cd" * 16, 2, "taken")).encode(), {"x-mlflow-experiment-id": made})
    assert (status, b"stays in the experiment" in body) == (400, True)
    answer = json.loads(ask(up, "GET", f"/api/3.0/mlflow/traces/get?trace_id=tr-{'cd' * 16}")[1])
    assert [span["name"] for span in answer["trace"]["spans"]] == ["work"]
