"""Runs told to other tools: OpenLineage events as its own client knows them, spans as OpenTelemetry's messages."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from trackers import Tracker, tracker

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.places import database_at
from bedplate.catalog.tracking.webhooks import SOURCE, Webhook, Webhooks
from bedplate.core.clock import SystemClock

__all__ = ["tracker"]

PROJECT = """
from bedplate import Project
import polars as pl

shop = Project("shop")


@shop.ingest
def orders() -> pl.DataFrame:
    return pl.DataFrame({"item": ["a", "b"], "price": [1.0, 2.0]})


@shop.prepare
def totals(orders: pl.DataFrame) -> pl.DataFrame:
    return orders.select(pl.sum("price"))


@shop.prepare
def broken(totals: pl.DataFrame) -> int:
    raise ValueError("no luck")
"""


class Receiver(BaseHTTPRequestHandler):
    got: ClassVar[list[tuple[str, Any]]] = []

    def do_POST(self) -> None:
        self.got.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.got = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """`bedplate run` of the project, with settings."""
    (folder / "shop.py").write_text(PROJECT)
    environment = {**os.environ, **{f"BEDPLATE_{name.upper()}": value for name, value in settings.items()}}
    return subprocess.run(
        [sys.executable, "-m", "bedplate", "run"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def check_events(events: list[dict[str, Any]]) -> None:
    """What OpenLineage asks of the events of a run, in the words of its own classes; and what this run was."""
    client = pytest.importorskip("openlineage.client.event_v2", reason="openlineage-python is not installed")
    for event in events:
        assert event["schemaURL"].startswith("https://openlineage.io/spec/")
        made = client.RunEvent(
            eventTime=event["eventTime"], producer=event["producer"], run=client.Run(runId=event["run"]["runId"]),
            job=client.Job(namespace=event["job"]["namespace"], name=event["job"]["name"]), eventType=client.RunState[event["eventType"]],
            inputs=[client.InputDataset(namespace=one["namespace"], name=one["name"]) for one in event["inputs"]],
            outputs=[client.OutputDataset(namespace=one["namespace"], name=one["name"]) for one in event["outputs"]],
        )  # fmt: skip
        datetime.datetime.fromisoformat(made.eventTime)
        datasets = [*event["inputs"], *event["outputs"]]
        facets = [event["run"]["facets"], event["job"]["facets"], *(one["facets"] for one in datasets)]
        assert all("_producer" in facet and "_schemaURL" in facet for group in facets for facet in group.values())
    ends = {event["job"]["name"]: event for event in events if event["eventType"] != "START"}
    assert {name: event["eventType"] for name, event in ends.items()} == {
        "shop": "FAIL", "shop.orders": "COMPLETE", "shop.totals": "COMPLETE", "shop.broken": "FAIL",
    }  # fmt: skip
    assert [one["name"] for one in ends["shop.totals"]["inputs"]] == ["orders"]
    (made,) = ends["shop.orders"]["outputs"]
    assert made["facets"]["schema"]["fields"][0]["name"] == "item"
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert "no luck" in ends["shop.broken"]["run"]["facets"]["errorMessage"]["message"]
    assert ends["shop.totals"]["run"]["facets"]["parent"]["run"]["runId"] == ends["shop"]["run"]["runId"]
    started = [event["run"]["runId"] for event in events if event["eventType"] == "START"]
    assert sorted(started) == sorted(event["run"]["runId"] for event in ends.values())


def test_a_run_is_told_to_files(tmp_path: Path) -> None:
    """Proves that each attempt begins and ends as OpenLineage asks, with what it read and made, and is a span of one trace."""
    assert run(tmp_path, openlineage="told/lineage.jsonl", otlp="told/spans.jsonl").returncode == 1
    check_events([json.loads(line) for line in (tmp_path / "told" / "lineage.jsonl").read_text().splitlines()])
    reading = pytest.importorskip("bedplate.interfaces.http.backends.otlp", reason="opentelemetry-proto is not installed")
    (line,) = (tmp_path / "told" / "spans.jsonl").read_bytes().splitlines()
    spans = {one.name: one for one in reading.read(line, is_json=True)}
    assert {name: one.status for name, one in spans.items()} == {"run shop": "ERROR", "orders": "OK", "totals": "OK", "broken": "ERROR"}
    assert {one.parent for name, one in spans.items() if name != "run shop"} == {spans["run shop"].id}
    assert all(one.started_ns <= one.ended_ns for one in spans.values())


def test_a_run_is_queued_for_the_webhooks_that_want_it(tmp_path: Path) -> None:
    """Proves that the end of a run waits for a server to tell it, once, and only where somebody wants it."""
    run(tmp_path)
    catalog = Catalog.open(database_at(f"sqlite:///{tmp_path}/.bedplate/catalog.db"), SystemClock())
    webhooks = Webhooks(catalog.database)
    for name, events in (("wants", ("run.failed",)), ("does not", ("run.finished",))):
        webhooks.put(Webhook(id=name, name=name, url="https://a.example/", events=events))
    webhooks.follow(SOURCE, 0)
    run(tmp_path)
    webhooks.follow(SOURCE, 0)
    (told,) = webhooks.take(2**62, 2**62 + 1)
    assert json.loads(told.body)["data"]["status"] == "failed"
    assert webhooks.deliveries("does not") == []
    catalog.close()


def test_a_run_is_told_to_addresses_that_are_allowed(tmp_path: Path, receiver: str) -> None:
    """Proves that events arrive where OpenLineage and OTLP expect them, and that an address that is not allowed fails no run."""
    refused = run(tmp_path, openlineage=receiver)
    assert (refused.returncode, Receiver.got) == (1, [])
    run(tmp_path, openlineage=receiver, otlp=receiver, allow_networks="127.0.0.0/8")
    paths = [path for path, _ in Receiver.got]
    assert (set(paths), paths.count("/v1/traces")) == ({"/api/v1/lineage", "/v1/traces"}, 1)
    asked = [sys.executable, "-m", "bedplate", "sql", "select subject, data from events where kind = 'outlet.failed'", "--json"]
    told = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "allow_networks" in told


def test_requests_of_a_server_are_told_to_a_collector(
    receiver: str, tracker: Callable[..., Tracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that each answered request is a span with its action and status, and that a server ends with what is left told."""
    monkeypatch.setenv("BEDPLATE_OTLP", receiver)
    monkeypatch.setenv("BEDPLATE_ALLOW_NETWORKS", "127.0.0.0/8")
    up = tracker()
    for _ in range(3):
        request = urllib.request.Request(f"{up.url}/metrics", headers={"Authorization": f"Bearer {up.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert b"bedplate_up_spans_dropped_total 0.0" in answer.read()
    end = time.monotonic() + 20
    while sum(1 for path, _ in Receiver.got if path == "/v1/traces") == 0 and time.monotonic() < end:
        time.sleep(0.1)
    spans = [span for _, body in Receiver.got for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    assert [span["name"] for span in spans].count("metrics.read") == 3
    assert {one["value"]["intValue"] for span in spans for one in span["attributes"]} == {"200"}
