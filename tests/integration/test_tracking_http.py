"""The tracking API as no client of MLflow's would speak it: limits, tampered tokens, injections, other spellings of a path, strangers."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from trackers import Tracker

API = "/api/2.0/mlflow"


class Speaker:
    """Somebody with a token who writes their own requests."""

    def __init__(self, tracker: Tracker) -> None:
        self._at = urlsplit(tracker.url).netloc
        self._headers = {"Authorization": f"Bearer {tracker.token}", "Content-Type": "application/json"}

    def asks(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of an answer."""
        connection = http.client.HTTPConnection(self._at, timeout=60)
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        connection.request(method, target, None if body is None else json.dumps(body), self._headers)
        answer = connection.getresponse()
        read = json.loads(answer.read() or b"{}")
        connection.close()
        return answer.status, read

    def posts(self, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """The same for a POST to the tracking API."""
        return self.asks("POST", f"{API}/{path}", body)


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    """One server for all of these tests."""
    folder: Path = tmp_path_factory.mktemp("tracker")
    tracker = Tracker(folder)
    yield Speaker(tracker)
    tracker.kill()


@pytest.fixture
def experiment(speaker: Speaker) -> str:
    """A new experiment."""
    return str(speaker.posts("experiments/create", name=f"e-{secrets.token_hex(6)}")[1]["experiment_id"])


@pytest.fixture
def run(speaker: Speaker, experiment: str) -> str:
    """A new run in it."""
    return str(speaker.posts("runs/create", experiment_id=experiment, start_time=secrets.randbelow(10**9))[1]["run"]["info"]["run_id"])


def test_what_is_too_much_is_refused_by_the_fields_name(speaker: Speaker, run: str, experiment: str) -> None:
    """Each within three seconds, and nothing is recorded."""
    points = [{"key": "m", "value": 1, "timestamp": 1, "step": 1}] * 20_000
    for path, body, field in (
        ("runs/log-batch", {"run_id": run, "metrics": points}, "metrics"),
        ("runs/log-parameter", {"run_id": run, "key": "k", "value": "A" * 1_000_000}, "value"),
        ("runs/set-tag", {"run_id": run, "key": "A" * 100_000, "value": "v"}, "key"),
        ("runs/search", {"experiment_ids": [experiment] * 100_000}, "experiment_ids"),
        ("runs/search", {"experiment_ids": [experiment], "max_results": 2**31 - 1}, "max_results"),
        ("runs/search", {"experiment_ids": [experiment], "max_results": 0}, "max_results"),
        ("runs/search", {"experiment_ids": [experiment], "filter": "x" * 100_001}, "filter"),
        ("runs/search", {"experiment_ids": [experiment], "run_view_type": "SOME"}, "run_view_type"),
        ("experiments/search", {"max_results": 50_001}, "max_results"),
        ("experiments/create", {"name": "x" * 501}, "name"),
        ("experiments/create", {"name": "x", "artifact_location": "file:///etc"}, "artifact_location"),
        ("runs/update", {"run_id": run, "status": "DONE"}, "status"),
        ("runs/log-metric", {"run_id": run, "key": "m", "value": "much", "timestamp": 1}, "value"),
        ("runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": -1}, "timestamp"),
        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 1}, "run_id"),
        ("runs/create", {"experiment_id": experiment, "start_time": 2**62}, "start_time"),
    ):  # fmt: skip
        began = time.monotonic()
        status, said = speaker.posts(path, **body)
        assert (status, said["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), (path, said)
        assert field in said["message"], said
        assert time.monotonic() - began < 3
    told = speaker.asks("GET", f"{API}/runs/get", run_id=run)[1]["run"]["data"]
    assert (told["metrics"], told["params"], [tag["key"] for tag in told["tags"]]) == ([], [], ["mlflow.runName"])


def test_filters_and_tokens_inject_nothing(speaker: Speaker, run: str, experiment: str) -> None:
    """Neither values, keys nor page tokens get further than the parser; what is refused names no SQL."""
    speaker.posts("runs/log-parameter", run_id=run, key="a", value="a" * 4000)
    for text in ("params.a = 'x' OR '1'='1'", "params.a = 'x'; DROP TABLE runs", "params.a = $$x$$", "params.a = E'x'"):
        assert speaker.posts("runs/search", experiment_ids=[experiment], filter=text)[0] == 400
    for text in ("metrics.`x') OR 1=1 --` > 0", 'tags.`a" OR "1"="1` = \'b\'', "params.a = 'pg_sleep(3)'"):
        status, said = speaker.posts("runs/search", experiment_ids=[experiment], filter=text)
        assert (status, said.get("runs", [])) in ((200, []), (400, []))
    began = time.monotonic()
    assert speaker.posts("runs/search", experiment_ids=[experiment], filter=f"params.a LIKE '{'%a' * 60}%b'") == (200, {"runs": []})
    assert time.monotonic() - began < 1
    for token in ("MTsgRFJPUCBUQUJMRSBydW5zOw==", "eyJvZmZzZXQiOiAiMSBVTklPTiBTRUxFQ1QgMSJ9", "-1", "A" * 200_000, "é", _forged()):
        status, said = speaker.posts("runs/search", experiment_ids=[experiment], page_token=token)
        assert (status, said["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert "page_token" in said["message"]


def _forged() -> str:
    return base64.urlsafe_b64encode(b'["0","0","1; DROP TABLE runs"]').decode()


def test_curves_are_told_in_pages_in_bulk_and_as_samples(speaker: Speaker, run: str, experiment: str) -> None:
    """Values that JSON has no numbers for by their names; under /ajax-api/ too; a run that is not there spoils the request."""
    points = [
        {"key": "m", "value": value, "timestamp": 5, "step": step} for step, value in enumerate(["NaN", "-Infinity", -0.0, *range(97)])
    ]
    assert speaker.posts("runs/log-batch", run_id=run, metrics=points) == (200, {})
    first = speaker.asks("GET", f"{API}/metrics/get-history", run_id=run, metric_key="m", max_results=2)[1]
    assert [metric["value"] for metric in first["metrics"]] == ["NaN", "-Infinity"]
    token = first["next_page_token"]
    rest = speaker.asks("GET", f"{API}/metrics/get-history", run_id=run, metric_key="m", page_token=token)[1]
    assert ("next_page_token" in rest, len(rest["metrics"]), repr(rest["metrics"][0]["value"])) == (False, 98, "-0.0")
    bulk = speaker.asks("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", run_id=[run, run], metric_key="m", max_results=3)[1]
    assert [(metric["run_id"], metric["step"]) for metric in bulk["metrics"]] == [(run, 0), (run, 1), (run, 2)]
    place = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
    sample = speaker.asks("GET", place, run_ids=[run], metric_key="m", max_results=10, start_step=10, end_step=90)[1]
    steps = [metric["step"] for metric in sample["metrics"]]
    assert (steps[0], steps[-1], len(steps)) == (10, 90, 10)
    for query, status in (
        ({"run_ids": [run], "max_results": 2501}, 400), ({"run_ids": [run], "start_step": 1}, 400), ({"run_ids": []}, 400),
        ({"run_ids": [run], "start_step": 2, "end_step": 1}, 400), ({"run_ids": [run, "nobody"]}, 404),
    ):  # fmt: skip
        assert speaker.asks("GET", place, metric_key="m", **query)[0] == status, query
    for most, status in ((99_999_999, 400), (0, 400), (25_000, 200)):
        assert speaker.asks("GET", f"{API}/metrics/get-history", run_id=run, metric_key="m", max_results=most)[0] == status


def test_old_spellings_are_understood(speaker: Speaker, run: str, experiment: str) -> None:
    """`run_uuid`, numbers as texts, nulls, enums as numbers, and the list of experiments of a client two years old."""
    assert speaker.posts("runs/log-metric", run_uuid=run, key="m", value="1e3", timestamp="5", step="2", model_id=None) == (200, {})
    assert speaker.posts("runs/update", run_uuid=run, status=3, end_time="9") == (200, speaker.posts("runs/update", run_id=run)[1])
    told = speaker.asks("GET", f"{API}/runs/get", run_uuid=run)[1]["run"]
    assert (told["info"]["status"], told["info"]["end_time"], told["data"]["metrics"][0]["value"]) == ("FINISHED", 9, 1000.0)
    listed = speaker.asks("GET", f"{API}/experiments/list", view_type="ALL")[1]["experiments"]
    assert experiment in [one["experiment_id"] for one in listed]
    assert speaker.asks("GET", f"{API}/experiments/search", max_results=1, filter=f"experiment_id = '{experiment}'")[1]["experiments"]


def test_datasets_of_experiments_are_listed(speaker: Speaker, run: str, experiment: str) -> None:
    """Each once for each use."""
    dataset = {"name": "rows", "digest": "abc", "source_type": "local", "source": "{}"}
    inputs = [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "train"}]}] * 2
    assert speaker.posts("runs/log-inputs", run_id=run, datasets=inputs) == (200, {})
    said = speaker.posts("experiments/search-datasets", experiment_ids=[experiment])
    assert said == (200, {"dataset_summaries": [{"experiment_id": experiment, "name": "rows", "digest": "abc", "context": "train"}]})
    assert speaker.posts("experiments/search-datasets", experiment_ids=[experiment] * 21)[0] == 400
