"""What a server says of itself: OpenAPI, the page, health, and metrics that a real Prometheus reads."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import prometheus
from serve_site import SERVICES, Place, serving_at

NEED = "the Debian package `prometheus` (its programs prometheus and promtool) is not on the path"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("pages"))
    place.fill()
    with serving_at(place):
        yield place


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Place]:
    """A server that was asked for four rows in two requests, and for two things that it refused."""
    place = Place(tmp_path)
    place.fill()
    with serving_at(place):
        place.ask("/will_be_late", {"carrier": "UA", "distance": 500})
        place.ask("/will_be_late", [{"carrier": "UA", "distance": 500}] * 3)
        place.ask("/will_be_late", {"carrier": "UA"})
        place.ask("/nothing", {})
        yield place


def test_openapi_describes_each_service_by_its_own_fields_with_a_working_example(place: Place) -> None:
    document = place.ask("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert {path for path in document["paths"] if "post" in document["paths"][path]} == {f"/{service.name}" for service in SERVICES}
    operation = document["paths"]["/will_be_late"]["post"]
    assert operation["summary"] == "How probable it is that a flight is late."
    schema = document["components"]["schemas"]["WillBeLate"]
    assert schema["required"] == ["carrier", "distance"]
    assert schema["additionalProperties"] is False
    assert {name: one["type"] for name, one in schema["properties"].items()} == {
        "carrier": "string",
        "distance": "number",
        "stops": "integer",
    }
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert example == {"carrier": "UA", "distance": 500.0, "stops": 0}
    assert place.ask("/will_be_late", example).status == 200
    assert operation["x-bedplate"]["serving"] == {"late": "late@1", "delays": "delays@1"}


def test_every_reference_in_openapi_points_somewhere(place: Place) -> None:
    document = place.ask("/openapi.json").json

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for one in value.values():
                yield from references(one)
        elif isinstance(value, list):
            for one in value:
                yield from references(one)

    found = set(references(document))
    assert "#/components/schemas/Error" in found
    for reference in found:
        assert reference.rpartition("/")[2] in document["components"]["schemas"], reference


def test_the_page_loads_nothing_from_elsewhere_and_may_not(place: Place) -> None:
    answer = place.ask("/docs")
    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/html")
    assert "http://" not in text
    assert "https://" not in text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy
    assert (place.ask("/").status, place.ask("/").headers["location"]) == (307, "docs")
    assert not re.findall(r"""(?:href=|fetch\()"/""", text), "under `up` it lies below /services"


def test_health_names_the_versions_that_serve(place: Place) -> None:
    assert place.ask("/health/ready").json == {
        "ready": True,
        "waiting": {},
        "services": {"will_be_late": {"late": "late@1", "delays": "delays@1"}, "moody": {}},
        "models": {"late": 1, "wide": 1},
        "runtimes": {},
        "problems": {},
    }


def test_metrics_count_requests_rows_and_versions(asked: Place) -> None:
    text = asked.ask("/metrics").body.decode()
    for line in (
        'bedplate_requests_total{service="will_be_late",status="200"} 2.0',
        'bedplate_requests_total{service="will_be_late",status="422"} 1.0',
        'bedplate_requests_total{service="none of them",status="404"} 1.0',
        'bedplate_predictions_total{service="will_be_late"} 4.0',
        'bedplate_request_seconds_count{service="will_be_late"} 3.0',
        'bedplate_model_version{model="late",version="1"} 1.0',
        'bedplate_service_ready{service="will_be_late"} 1.0',
        "bedplate_swaps_total 0.0",
        "bedplate_log_dropped_total 0.0",
    ):
        assert line in text
    assert "process_cpu_seconds_total" in text
    assert '=""' not in text
    assert text.count('service="none of them"') == 1


@pytest.mark.skipif(shutil.which("promtool") is None, reason=NEED)
def test_promtool_finds_nothing_wrong_with_the_metrics(asked: Place) -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=asked.ask("/metrics").body, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_a_real_prometheus_scrapes_the_server(asked: Place, tmp_path: Path) -> None:
    with prometheus(asked.address, tmp_path) as value:
        assert value("up") == "1"
        assert value('bedplate_model_version{model="late",version="1"}') == "1"
        assert value('bedplate_predictions_total{service="will_be_late"}') == "4"
