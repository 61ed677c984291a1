"""Requests as spans of OpenTelemetry, to the collector that the setting `otlp` names: each a trace of its own, in OTLP's JSON.

Choices: what waits is bounded and never waited for; every five seconds what came is sent at once, and what cannot be sent is dropped and
counted (`bedplate_up_spans_dropped_total`). Limits: an address only, not a file; who asked and what for is not told, only which action.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any, Final

import msgspec
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError
from bedplate.core.extras import load
from bedplate.network.guard import Network

EVERY_S: Final = 5.0
_MOST: Final = 5_000
_SERVER: Final = 2
_LIMIT_S: Final = 10.0
_LIMIT_BYTES: Final = 65_536


class RequestSpans(Collector):
    """Takes requests as they are counted, and sends them on."""

    def __init__(self, place: str, clock: Clock, allowed: tuple[Network, ...], random_bits: Callable[[int], int]) -> None:
        self._url = place if place.rstrip("/").endswith("/v1/traces") else f"{place.rstrip('/')}/v1/traces"
        self._clock = clock
        self._allowed = allowed
        self._random_bits = random_bits
        self._waiting: deque[dict[str, Any]] = deque()
        self._dropped = 0

    def request(self, action: str, status: int, seconds: float) -> None:
        """Take one answered request; the oldest goes where there is no room."""
        ended_ns = int(self._clock.now().timestamp() * 1e9)
        if len(self._waiting) >= _MOST:
            self._waiting.popleft()
            self._dropped += 1
        attributes = [{"key": "http.response.status_code", "value": {"intValue": str(status)}}]
        self._waiting.append(
            {
                "traceId": f"{self._random_bits(128) or 1:032x}", "spanId": f"{self._random_bits(64) or 1:016x}", "name": action or "none",
                "kind": _SERVER, "startTimeUnixNano": str(ended_ns - int(seconds * 1e9)), "endTimeUnixNano": str(ended_ns),
                "attributes": attributes, "status": {"code": 2 if status >= 500 else 0},
            }
        )  # fmt: skip

    def send(self) -> None:
        """Send what waits."""
        spans = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not spans:
            return
        version = metadata.version("bedplate")
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bedplate up"}}]}
        scopes = [{"scope": {"name": "bedplate", "version": version}, "spans": spans}]
        body = msgspec.json.encode({"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]})
        try:
            module: Any = load("bedplate.network.backends.client", "telling a collector", "http")
            client, limits = module.Client(self._clock, self._allowed), module.Limits(_LIMIT_BYTES, _LIMIT_S)
            with client.ask("POST", self._url, limits, body=body, headers={"Content-Type": "application/json"}) as answer:
                taken = 200 <= answer.status < 300
        except BedplateError:
            taken = False
        if not taken:
            self._dropped += len(spans)

    def collect(self) -> Iterator[Metric]:
        """How many were dropped."""
        yield CounterMetricFamily("bedplate_up_spans_dropped", "Requests that were not told to the collector.", value=self._dropped)
