"""`GET /metrics` of `bedplate up`: what Prometheus reads, and for whom."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from up_site import API, in_thread


def test_requests_are_counted_by_action_and_status_and_timed(tmp_path: Path) -> None:
    with in_thread(tmp_path) as up:
        with up.line() as line:
            run = line.new_run()
            for step in range(5):
                line.ask("POST", f"{API}/runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": step})
            line.ask("POST", f"{API}/runs/log-metric", {"run_id": run})
        assert up.nobody("GET", "/metrics").status == 401
        said = up.ask("GET", "/metrics")
    assert said.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {family.name: family for family in text_string_to_metric_families(said.body.decode())}
    counted = {(one.labels["action"], one.labels["status"]): one.value for one in found["bedplate_up_requests"].samples}
    assert counted["run.write", "200"] == 6
    assert counted["run.write", "400"] == 1
    assert counted["", "401"] == 1
    timed = {one.name: one.value for one in found["bedplate_up_request_seconds"].samples if one.labels["action"] == "run.write"}
    assert timed["bedplate_up_request_seconds_count"] == 7
    assert timed["bedplate_up_request_seconds_sum"] > 0
    buckets = [
        one.value for one in found["bedplate_up_request_seconds"].samples if one.labels.get("le") and one.labels["action"] == "run.write"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 7
    assert found["bedplate_up_writes"].samples[0].value == 6
    assert {one.labels["lane"] for one in found["bedplate_up_waiting"].samples} == {"write", "read", "bytes"}
